type Json = Record<string, unknown>;

interface Seeding {
  readonly find: (document: string, variables: Json) => Promise<Json>;
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
}

/** Evaluation of alert rules lags behind what is reported, ms. */
const alertMs = 10_000;

/** A running trace with a span and an alert, and their ids by the names that arguments have. */
export async function seedTrace({ find, run, say, contextId }: Seeding): Promise<Readonly<Record<string, string>>> {
  const errors = 'userErrors { code message path }';
  const created = await run(
    'createTrace',
    `mutation ($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
    {
      input: {
        contextId,
        name: say('trace'),
        correlationId: say('correlation'),
        tags: [say('tag')],
        serviceName: say('served'),
      },
    },
  );
  const traceId = (created['trace'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const related = await run(
    'createTrace',
    `mutation ($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
    { input: { contextId, name: say('related trace'), correlationId: say('correlation') } },
  );
  const relatedTraceId = (related['trace'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const recorded = await tellOf({ run, say }, traceId);
  const startNs = BigInt(Date.now()) * 1_000_000n;
  await run(
    'addSpans',
    `mutation ($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { ${errors} } }`,
    {
      id: traceId,
      spans: [
        {
          spanId: '00000000000000a1',
          name: say('span'),
          service: say('service'),
          startTimeUnixNano: String(startNs),
          endTimeUnixNano: String(startNs + 1_000_000n),
          attributes: { note: say('attribute') },
        },
      ],
    },
  );
  const configured = await run(
    'configureAlert',
    `mutation ($input: ConfigureAlertInput!) { configureAlert(input: $input) { rule { id } ${errors} } }`,
    { input: { name: say('rule'), metric: say('metric'), threshold: 1, cooldownSeconds: 0 } },
  );
  const ruleId = (configured['rule'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  await run(
    'recordMetrics',
    `mutation ($id: ID!, $metrics: [TraceMetricInput!]!) { recordMetrics(traceId: $id, metrics: $metrics) { ${errors} } }`,
    { id: traceId, metrics: [{ name: say('metric'), value: 2 }] },
  );
  let alertId: string | undefined;
  for (const until = Date.now() + alertMs; alertId === undefined && Date.now() < until; ) {
    const { traceAlerts } = await find('query ($id: ID!) { traceAlerts(filter: { ruleId: $id }) { nodes { id } } }', {
      id: ruleId,
    });
    alertId = (traceAlerts as { nodes: { id: string }[] } | undefined)?.nodes[0]?.id;
    if (alertId === undefined) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { traceId, relatedTraceId, ruleId, alertId: alertId ?? crypto.randomUUID(), ...recorded };
}

/** An event, an error, a decision and a snapshot of the trace; ids of the last three. */
async function tellOf(
  { run, say }: Pick<Seeding, 'run' | 'say'>,
  traceId: string,
): Promise<Readonly<Record<string, string>>> {
  const errors = 'userErrors { code message path }';
  await run(
    'recordTraceEvents',
    `mutation ($id: ID!, $events: [TraceEventInput!]!) { recordTraceEvents(traceId: $id, events: $events) { ${errors} } }`,
    {
      id: traceId,
      events: [
        {
          phase: 'CHECKPOINT',
          name: say('event'),
          source: { component: say('component') },
          data: { note: say('told') },
        },
      ],
    },
  );
  const failed = await run(
    'recordTraceError',
    `mutation ($id: ID!, $input: TraceErrorInput!) { recordTraceError(traceId: $id, input: $input) { error { id } ${errors} } }`,
    { id: traceId, input: { code: 'UNAVAILABLE', message: say('message'), type: 'SYSTEM', stack: say('stack') } },
  );
  const decided = await run(
    'recordTraceDecision',
    `mutation ($id: ID!, $input: TraceDecisionInput!) { recordTraceDecision(traceId: $id, input: $input) { decision { id } ${errors} } }`,
    {
      id: traceId,
      input: {
        decisionPoint: say('point'),
        options: [{ option: say('option'), rationale: say('rationale') }],
        selected: say('option'),
        criteria: [say('criterion')],
      },
    },
  );
  const captured = await run(
    'captureTraceSnapshot',
    `mutation ($id: ID!, $input: TraceSnapshotInput) { captureTraceSnapshot(traceId: $id, input: $input) { snapshot { id } ${errors} } }`,
    { id: traceId, input: { reason: say('reason'), state: { note: say('state') } } },
  );
  const idOf = (payload: Json, part: string) =>
    (payload[part] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  return {
    traceErrorId: idOf(failed, 'error'),
    traceDecisionId: idOf(decided, 'decision'),
    traceSnapshotId: idOf(captured, 'snapshot'),
  };
}
