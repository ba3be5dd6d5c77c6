type Json = Record<string, unknown>;

interface Seeding {
  readonly find: (document: string, variables: Json) => Promise<Json>;
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
  readonly serial: number;
}

/** Files are written and events delivered behind the answers, ms. */
const waitMs = 15_000;

const errors = 'userErrors { code message path }';

async function waitFor<Value>(read: () => Promise<Value>, isThere: (value: Value) => boolean): Promise<Value> {
  for (const until = Date.now() + waitMs; ; ) {
    const value = await read();
    if (isThere(value) || Date.now() > until) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const idIn = (payload: Json, name: string) =>
  (payload[name] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();

/** An export that is ready, and a delivery that waits for its consumer's answer. */
export async function seedPlatform({
  find,
  run,
  say,
  contextId,
  serial,
}: Seeding): Promise<Readonly<Record<string, string>>> {
  const auditExportId = idIn(
    await run('exportAudit', `mutation { exportAudit(input: { format: NDJSON }) { file { id } ${errors} } }`, {}),
    'file',
  );
  const reportId = idIn(
    await run(
      'createReport',
      `mutation ($contextId: ID!) { createReport(input: { contextId: $contextId, format: JSON }) { file { id } ${errors} } }`,
      { contextId },
    ),
    'file',
  );
  const eventSubscriptionId = idIn(
    await run(
      'createEventSubscription',
      `mutation ($input: CreateEventSubscriptionInput!) { createEventSubscription(input: $input) { subscription { id } ${errors} } }`,
      { input: { name: say('group'), target: 'PULL', patterns: [`walk${serial}.*`], ackTimeoutMs: 3_600_000 } },
    ),
    'subscription',
  );
  await run(
    'publishEvent',
    `mutation ($input: PublishEventInput!) { publishEvent(input: $input) { event { eventId } ${errors} } }`,
    { input: { type: `walk${serial}.told`, payload: { note: say('told') }, orderingKey: say('key') } },
  );
  await run(
    'setConfig',
    `mutation ($input: SetConfigInput!) { setConfig(input: $input) { entry { version } ${errors} } }`,
    { input: { key: 'walk.key', value: { note: say('value') } } },
  );
  await run(
    'setCacheEntry',
    `mutation ($input: SetCacheEntryInput!) { setCacheEntry(input: $input) { entry { version } ${errors} } }`,
    { input: { key: 'walk.key', value: { note: say('cached') }, tags: ['walk'] } },
  );
  await run(
    'registerSchema',
    `mutation ($document: JSON!) { registerSchema(name: "walk", document: $document) { schema { version } ${errors} } }`,
    { document: { type: 'object', title: say('schema') } },
  );
  const businessRuleId = idIn(
    await run(
      'createBusinessRule',
      `mutation ($input: BusinessRuleInput!) { createBusinessRule(input: $input) { rule { id } ${errors} } }`,
      { input: { ruleSet: 'walk', name: say('rule'), expression: 'neverThere EXISTS', message: say('broken') } },
    ),
    'rule',
  );
  const apiTokenId = idIn(
    await run(
      'issueApiToken',
      `mutation ($name: String!) { issueApiToken(input: { name: $name, scopes: ["context:read"], lifeDays: 1 }) { apiToken { id } ${errors} } }`,
      { name: say('token') },
    ),
    'apiToken',
  );
  await run(
    'revokeTokens',
    `mutation { revokeTokens(input: { kind: TOKEN, key: "walk key" }) { revocation { key } ${errors} } }`,
    {},
  );
  const sealed = await run(
    'encrypt',
    `mutation ($plaintext: String!) { encrypt(plaintext: $plaintext) { ciphertext ${errors} } }`,
    { plaintext: say('sealed') },
  );
  await waitFor(
    () =>
      find('query ($id: ID!, $reportId: ID!) { auditExport(id: $id) { status } report(id: $reportId) { status } }', {
        id: auditExportId,
        reportId,
      }),
    (found) =>
      [found['auditExport'], found['report']].every((file) => (file as { status: string } | null)?.status === 'READY'),
  );
  // After those: a tenant has ten files being written at a time.
  const subjectExportId = idIn(
    await run('exportSubject', `mutation { exportSubject(subject: "nobody") { file { id } ${errors} } }`, {}),
    'file',
  );
  await waitFor(
    () => find('query ($id: ID!) { subjectExport(id: $id) { status } }', { id: subjectExportId }),
    (found) => (found['subjectExport'] as { status: string } | null)?.status === 'READY',
  );
  // Within its time of grace.
  const subjectErasureId = idIn(
    await run(
      'eraseSubject',
      `mutation ($subject: ID!) { eraseSubject(input: { subject: $subject, graceSeconds: 86400 }) { erasure { id } ${errors} } }`,
      // A subject is erased once at a time, and a tenant has several worlds.
      { subject: `nobody-${crypto.randomUUID()}` },
    ),
    'erasure',
  );
  const { deliveries } = await waitFor(
    () =>
      find('query ($id: ID!) { deliveries(subscriptionId: $id, status: [SENT]) { nodes { id eventId } } }', {
        id: eventSubscriptionId,
      }),
    ({ deliveries: found }) => (found as { nodes: unknown[] } | undefined)?.nodes.length === 1,
  );
  const [delivery] = (deliveries as { nodes: { id: string; eventId: string }[] } | undefined)?.nodes ?? [];
  return {
    auditExportId,
    reportId,
    eventSubscriptionId,
    businessRuleId,
    subjectExportId,
    subjectErasureId,
    apiTokenId,
    sealedText: String(sealed['ciphertext']),
    deliveryId: delivery?.id ?? crypto.randomUUID(),
    publishedEventId: delivery?.eventId ?? crypto.randomUUID(),
  };
}
