import {
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLInputType,
  isInputObjectType,
  isListType,
  isNonNullType,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ContextRig, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
const owner = principal('owner', { scopes: ['*'] });
beforeAll(async () => {
  rig = await openContextRig({ QUOTA_CONTEXTS_PER_USER: '5000' });
});
afterAll(() => rig[Symbol.asyncDispose]());

const confirmId = '6f9619ff-8b86-4011-b42d-00cf4fc964ff';
const override = { confirmId, reason: 'board' };
const tooLong = 'x'.repeat(262_145);
const deep = Array.from({ length: 40 }).reduce<unknown>((inner) => [inner], 1);

/** What no value of a scalar may be, by its type; a free text is bounded by 256 KiB. */
const bad: Readonly<Record<string, readonly unknown[]>> = {
  String: ['a\0', '\ud800', 'a\udc00b', tooLong],
  ID: [
    '',
    'ctx-1',
    'a\0',
    '\ud800',
    tooLong,
    '6F9619FF-8B86-4011-B42D-00CF4FC964FF',
    '123e4567-e89b-12d3-a456-426614174000',
  ],
  Int: [-1, 2_147_483_647, -2_147_483_648],
  DurationMs: [-1, 0.5, 1e15, '1'],
  DateTime: ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-12:00', '2026-02-30T00:00:00Z', '2026-01-01', 1],
  JSON: [{ a: 'b\0' }, { 'a\0': 1 }, { a: ['\ud800'] }, { '\udfff': 1 }, deep, { a: 'x'.repeat(1_048_577) }],
};

const configuration = { maxParticipants: 5, maxSessions: 5, timeoutMs: 60_000, cleanupDelayMs: 5 };
const accessControl = {
  requiredCapabilities: ['code'],
  requiredRoles: ['dev'],
  permissions: [
    {
      principal: 'a',
      principalType: 'AGENT',
      resource: 'plan',
      actions: ['READ'],
      conditions: { expression: 'subject.id == "a"' },
    },
  ],
  policies: [{ type: 'SECURITY', enforcement: 'STRICT', rules: { deny: ['subject.id == "b"'] } }],
};
const described = {
  summary: 's',
  ownerRole: confirmId,
  tags: ['t'],
  language: 'en',
  constraints: { a: 1 },
  governance: { lifecyclePhase: 'p', truthDomain: 't' },
  configuration,
  accessControl,
  category: 'c',
  customData: { a: 1 },
};
const sharedState = {
  variables: { a: 1 },
  resources: {
    allocated: [{ name: 'gpu', type: 't', unit: 'u' }],
    requirements: [{ name: 'cpu', minimum: 1, unit: 'core' }],
  },
  dependencies: [{ id: 'd', name: 'n', version: 'v' }],
  goals: [
    { id: 'g', name: 'n', description: 'd', successCriteria: [{ metric: 'm', operator: 'EQ', value: 'v', unit: 'u' }] },
  ],
};
const input = {
  title: 't',
  root: { domain: 'd', environment: 'e', entryPoint: 'm', extra: { a: 1 } },
  ...described,
  sharedState,
  idempotencyKey: 'k',
};

/** A good call of every mutation, with all there is to say. */
const calls: Readonly<
  Record<string, (ids: { id: string; participant: string; session: string }) => Record<string, unknown>>
> = {
  createContext: () => ({ input }),
  createContexts: () => ({ inputs: [input], mode: 'ATOMIC', idempotencyKey: 'k' }),
  updateContext: ({ id }) => ({
    contextId: id,
    patch: { title: 't', root: { domain: 'x' }, ...described, expiresAt: '2030-01-01T00:00:00Z' },
    expectedVersion: 1,
    override,
    idempotencyKey: 'k',
  }),
  changeContextStatus: ({ id }) => ({
    contextId: id,
    status: 'SUSPENDED',
    reason: 'r',
    expectedVersion: 1,
    override,
    idempotencyKey: 'k',
  }),
  deleteContext: ({ id }) => ({ contextId: id, override, idempotencyKey: 'k' }),
  restoreContext: ({ id }) => ({ contextId: id, override, idempotencyKey: 'k' }),
  updateSharedState: ({ id }) => ({
    input: {
      contextId: id,
      baseVersion: 0,
      changes: [{ key: 'variables.a', value: 1, timestamp: '2026-01-01T00:00:00Z' }],
      nodeId: 'n',
      override,
      idempotencyKey: 'k',
    },
  }),
  addParticipant: ({ id }) => ({
    input: {
      contextId: id,
      agentId: 'new',
      displayName: 'N',
      roles: ['dev'],
      capabilities: ['code'],
      maxConcurrentTasks: 5,
      timeoutMs: 60_000,
      notifications: { email: false },
      override,
      idempotencyKey: 'k',
    },
  }),
  updateParticipant: ({ id, participant }) => ({
    contextId: id,
    participantId: participant,
    patch: {
      displayName: 'N',
      roles: ['dev'],
      capabilities: ['code'],
      maxConcurrentTasks: 7,
      timeoutMs: 60_000,
      notifications: { push: false },
    },
    expectedVersion: 1,
    override,
    idempotencyKey: 'k',
  }),
  removeParticipant: ({ id, participant }) => ({
    contextId: id,
    participantId: participant,
    reason: 'r',
    override,
    idempotencyKey: 'k',
  }),
  joinContext: ({ id }) => ({
    contextId: id,
    joinToken: 't',
    displayName: 'N',
    capabilities: ['code'],
    override,
    idempotencyKey: 'k',
  }),
  decideJoinRequest: ({ id, participant }) => ({
    contextId: id,
    participantId: participant,
    decision: 'APPROVE',
    reason: 'r',
    override,
    idempotencyKey: 'k',
  }),
  leaveContext: ({ id }) => ({ contextId: id, override, idempotencyKey: 'k' }),
  rotateContextJoinToken: ({ id }) => ({ contextId: id, expectedVersion: 1, override, idempotencyKey: 'k' }),
  revokeContextJoinToken: ({ id }) => ({ contextId: id, expectedVersion: 1, override, idempotencyKey: 'k' }),
  createSession: ({ id, participant }) => ({
    input: {
      contextId: id,
      name: 's',
      type: 'work',
      participantIds: [participant],
      maxDurationMs: 60_000,
      override,
      idempotencyKey: 'k',
    },
  }),
  changeSessionStatus: ({ id, session }) => ({
    contextId: id,
    sessionId: session,
    status: 'PAUSED',
    expectedVersion: 1,
    override,
    idempotencyKey: 'k',
  }),
  endSession: ({ id, session }) => ({ contextId: id, sessionId: session, override, idempotencyKey: 'k' }),
  setMetadata: ({ id }) => ({
    contextId: id,
    entries: [{ key: 'a', value: { b: 1 }, type: 'object', description: 'd' }],
    override,
    idempotencyKey: 'k',
  }),
  deleteMetadata: ({ id }) => ({ contextId: id, keys: ['a'], override, idempotencyKey: 'k' }),
};

/** Every way to spoil one scalar of the arguments, named by its place. */
function* spoilt(
  fields: readonly (GraphQLArgument | GraphQLInputField)[],
  value: Record<string, unknown>,
): Generator<[string, Record<string, unknown>]> {
  for (const { name, type } of fields)
    if (value[name] !== undefined)
      for (const [place, other] of spoiltValue(type, value[name]))
        yield [`${name}${place}`, { ...value, [name]: other }];
}

function* spoiltValue(type: GraphQLInputType, value: unknown): Generator<[string, unknown]> {
  const inner = isNonNullType(type) ? type.ofType : type;
  if (isListType(inner)) {
    for (const [place, other] of spoiltValue(inner.ofType, (value as unknown[])[0])) yield [`.0${place}`, [other]];
  } else if (isInputObjectType(inner)) {
    for (const [place, other] of spoilt(Object.values(inner.getFields()), value as Record<string, unknown>))
      yield [`.${place}`, other];
  } else
    for (const other of bad[(inner as { name: string }).name] ?? [])
      yield [` ${JSON.stringify(other).slice(0, 30)}`, other];
}

const fingerprint = async () =>
  (
    await rig.sql`SELECT (SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM context.context c) AS contexts, (SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM context.participant c) AS participants,
    (SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM context.session c) AS sessions, (SELECT count(*) FROM context.event) AS events, (SELECT count(*) FROM context.audit) AS audit, (SELECT count(*) FROM context.metadata) AS metadata,
    (SELECT count(*) FROM context.shared_key) AS keys, (SELECT count(*) FROM context.idempotency) AS idempotency, (SELECT count(*) FROM context.usage) AS usage`
  )[0];

function documentOf(name: string): string {
  const { args } = rig.subgraph.schema.getMutationType()!.getFields()[name]!;
  const declared = args.map((argument) => `$${argument.name}: ${String(argument.type)}`).join(', ');
  const passed = args.map((argument) => `${argument.name}: $${argument.name}`).join(', ');
  return `mutation (${declared}) { answer: ${name}(${passed}) { userErrors { code path } } }`;
}

async function prepare() {
  const id = await rig.createContext(owner, { accessControl: { joinPolicy: 'INVITATION_ONLY' } });
  const made = await rig.ask(
    owner,
    'mutation ($id: ID!) { joinContext(contextId: $id) { participant { id } } createSession(input: { contextId: $id, name: "s" }) { session { id } } }',
    { id },
  );
  return {
    id,
    participant: String(made['joinContext']!['participant']!['id']),
    session: String(made['createSession']!['session']!['id']),
  };
}

/** How a refusal may be told: never as a failure of ours. */
const typed = ['VALIDATION_FAILED', 'NOT_FOUND', 'VERSION_CONFLICT', 'PARTICIPANT_NOT_FOUND'];

describe('hostile values', () => {
  test.each(Object.keys(calls))('%s refuses each of them with a typed error and stores nothing', async (name) => {
    const ids = await prepare();
    const { args } = rig.subgraph.schema.getMutationType()!.getFields()[name]!;
    const document = documentOf(name);
    const before = await fingerprint();
    const accepted: string[] = [];
    let cases = 0;
    for (const [place, variables] of spoilt(args, calls[name]!(ids))) {
      cases += 1;
      const { data, errors } = await rig.run(owner, document, variables);
      const coerced = errors.length > 0 && errors.every(({ message }) => /^Variable "\$/.test(message));
      const code = data?.['answer']?.['userErrors']?.[0]?.['code'] as string | undefined;
      if (!coerced && !typed.includes(code ?? '')) accepted.push(`${place}: ${code ?? JSON.stringify(errors)}`);
    }
    expect(accepted).toEqual([]);
    expect(cases).toBeGreaterThan(5);
    expect(await fingerprint()).toEqual(before);
  });

  test('every mutation is in that list, with every argument', () => {
    const fields = rig.subgraph.schema.getMutationType()!.getFields();
    expect(Object.keys(calls).sort()).toEqual(Object.keys(fields).sort());
  });

  test('one of them in a batch is refused alone', async () => {
    const { id } = await prepare();
    const state =
      'mutation ($input: UpdateSharedStateInput!) { answer: updateSharedState(input: $input) { userErrors { code } } }';
    const patch =
      'mutation ($id: ID!, $patch: ContextPatch!) { answer: updateContext(contextId: $id, patch: $patch) { userErrors { code } } }';
    const write = (index: number, timestamp: string) =>
      rig.run(owner, state, {
        input: { contextId: id, baseVersion: 0, changes: [{ key: `variables.k${index}`, value: 1, timestamp }] },
      });
    const answers = await Promise.all([
      ...['2026-01-01T00:00:00Z', '0000-01-01T00:00:00Z', '0001-01-01T00:00:00+14:00', '2026-01-01T00:00:00Z'].map(
        (timestamp, index) => write(index, timestamp),
      ),
      rig.run(owner, patch, { id, patch: { customData: { a: 1 } } }),
      rig.run(owner, patch, { id, patch: { expiresAt: '9999-12-31T23:59:59-12:00' } }),
      rig.run(owner, patch, { id, patch: { customData: { b: 1 } } }),
    ]);
    const refused = expect.stringContaining('DateTime: expected an ISO 8601 date-time') as string;
    const codes = answers.map(
      ({ data, errors }) => data?.['answer']?.['userErrors']?.[0]?.['code'] ?? errors[0]?.message ?? 'done',
    );
    expect(codes).toEqual(['done', refused, refused, 'done', 'done', refused, 'done']);
  });
});
