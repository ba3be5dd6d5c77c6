type Json = Record<string, unknown>;

interface Seeding {
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
}

/** A running trace with a span, and its id by the name that arguments have. */
export async function seedTrace({ run, say, contextId }: Seeding): Promise<Readonly<Record<string, string>>> {
  const errors = 'userErrors { code message path }';
  const created = await run(
    'createTrace',
    `mutation ($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
    { input: { contextId, name: say('trace') } },
  );
  const traceId = (created['trace'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
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
  return { traceId };
}
