type Json = Record<string, unknown>;

interface Seeding {
  readonly find: (document: string, variables: Json) => Promise<Json>;
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly serial: number;
}

/** Else each world would have ids of its own. */
const span = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: '00000000000000a1' };

const errors = 'userErrors { code message path }';
/** Records are stored, and alerts fire, shortly after they were sent, ms. */
const lagMs = 30_000;

/** What is observed of a tenant: records of its log, figures and an alert, a dashboard, an error. Ids by the names of arguments. */
export async function seedObserved({ find, run, say, serial }: Seeding): Promise<Readonly<Record<string, string>>> {
  const chatty = `chatty-${serial}`;
  await run('writeLogs', `mutation ($inputs: [PlatformLogInput!]!) { writeLogs(inputs: $inputs) { ${errors} } }`, {
    inputs: Array.from({ length: 1_000 }, () => ({ ...span, level: 'DEBUG', module: chatty, message: say('chat') })),
  });
  const written = await run(
    'writeLog',
    `mutation ($input: PlatformLogInput!) { writeLog(input: $input) { id ${errors} } }`,
    { input: { ...span, level: 'ERROR', module: 'walk', message: say('logged'), metadata: { note: say('noted') } } },
  );
  const logId = (written['id'] as string | null | undefined) ?? crypto.randomUUID();
  const dashboard = await run(
    'createDashboard',
    `mutation ($input: PlatformDashboardInput!) { createDashboard(input: $input) { dashboard { id } ${errors} } }`,
    { input: { title: say('dashboard'), panels: [{ title: say('panel'), query: { metric: 'walk_metric' } }] } },
  );
  await run(
    'recordMetricSamples',
    `mutation ($samples: [PlatformMetricSampleInput!]!) { recordMetricSamples(samples: $samples) { ${errors} } }`,
    {
      samples: [
        { name: 'walk_metric', value: 1, unit: say('').slice(0, 30), labels: [{ name: 'walk', value: say('label') }] },
      ],
    },
  );
  const channel = `mutation ($input: PlatformNotificationChannelInput!) { putNotificationChannel(input: $input) { ${errors} } }`;
  await run('putNotificationChannel', channel, {
    input: {
      name: 'walked',
      kind: 'WEBHOOK',
      target: `https://walk.example/${encodeURIComponent(say('hook').replaceAll(' ', '-'))}`,
      enabled: false,
    },
  });
  const rule = await run(
    'createAlertRule',
    `mutation ($input: PlatformAlertRuleInput!) { createAlertRule(input: $input) { rule { id } ${errors} } }`,
    {
      input: {
        name: say('watch'),
        conditions: [{ query: { metric: 'walk_metric' }, threshold: 0, windowSeconds: 86_400 }],
        enabled: true,
      },
    },
  );
  await run(
    'createNotificationRule',
    `mutation ($input: PlatformErrorNotificationRuleInput!) { createNotificationRule(input: $input) { ${errors} } }`,
    { input: { name: 'walked', channels: ['walked'], modules: ['walk'], enabled: false } },
  );
  const captured = await run(
    'captureError',
    `mutation ($input: PlatformErrorInput!) { captureError(input: $input) { error { id fingerprint } ${errors} } }`,
    {
      input: {
        code: 'UNAVAILABLE',
        module: 'walk',
        operation: say('operation'),
        message: say('failed'),
        details: { jobId: 'none' },
      },
    },
  );
  const error = captured['error'] as { id: string; fingerprint: string } | null | undefined;
  const idOf = (payload: Json, name: string) =>
    (payload[name] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const alertRuleId = idOf(rule, 'rule');
  const [platformAlertId, platformRecommendationId] = await Promise.all([
    soon(async () => {
      const { alerts } = await find('{ alerts(states: [FIRING]) { id ruleId } }', {});
      return (alerts as { id: string; ruleId: string }[] | undefined)?.find(({ ruleId }) => ruleId === alertRuleId)?.id;
    }),
    soon(async () => {
      const found = await find('query ($target: String) { optimizationRecommendations(target: $target) { id } }', {
        target: chatty,
      });
      return (found['optimizationRecommendations'] as { id: string }[] | undefined)?.[0]?.id;
    }),
    soon(async () =>
      (await find('query ($id: ID!) { log(logId: $id) { id } }', { id: logId }))['log'] ? logId : undefined,
    ),
  ]);
  return {
    logId,
    dashboardId: idOf(dashboard, 'dashboard'),
    alertRuleId,
    platformAlertId,
    platformRecommendationId,
    errorId: error?.id ?? crypto.randomUUID(),
    errorFingerprint: error?.fingerprint ?? '0'.repeat(32),
  };
}

/** What is there shortly after it was asked for; an id of nothing where it is not. */
async function soon(look: () => Promise<string | undefined>): Promise<string> {
  for (const until = Date.now() + lagMs; Date.now() < until; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return crypto.randomUUID();
}
