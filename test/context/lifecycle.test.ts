import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ContextStatusValue } from '../../subgraphs/context/rows.ts';
import { admin, alice, bob, type ContextRig, openContextRig, stranger } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig({ QUOTA_CONTEXTS_PER_USER: '5000' });
});
afterAll(() => rig[Symbol.asyncDispose]());

const change =
  'mutation ($id: ID!, $status: ContextStatus!, $reason: String, $version: Int, $key: String) { changeContextStatus(contextId: $id, status: $status, reason: $reason, expectedVersion: $version, idempotencyKey: $key) { context { status closeReason lifecycleStage version } userErrors { code path message retryable } } }';
const update =
  'mutation ($id: ID!, $patch: ContextPatch!, $version: Int, $key: String) { updateContext(contextId: $id, patch: $patch, expectedVersion: $version, idempotencyKey: $key) { context { id title summary tags version root constraints customData domain entryPoint governance { locked lastConfirmId } configuration { maxParticipants timeoutMs } expiresAt status } userErrors { code path message } } }';
const create =
  'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id title status version expiresAt } accessInfo { contextUrl permissions joinToken } userErrors { code path message } } }';
const root = { domain: 'tests', environment: 'test' };

async function contextIn(status: ContextStatusValue): Promise<string> {
  const id = await rig.createContext(alice, { activate: status !== 'draft' });
  const steps: Record<ContextStatusValue, string[]> = {
    draft: [],
    active: [],
    suspended: ['SUSPENDED'],
    closed: ['CLOSED'],
    archived: ['CLOSED', 'ARCHIVED'],
  };
  for (const step of steps[status]) await rig.ask(alice, change, { id, status: step });
  return id;
}

describe('states', () => {
  const all: readonly ContextStatusValue[] = ['draft', 'active', 'suspended', 'closed', 'archived'];
  const allowed = new Set([
    'draft>active',
    'draft>closed',
    'active>suspended',
    'active>closed',
    'suspended>active',
    'suspended>closed',
    'closed>archived',
  ]);
  const pairs = all.flatMap((from) => all.map((to) => [from, to] as const));

  test.each(pairs)('%s to %s', async (from, to) => {
    const id = await contextIn(from);
    const before = rig.events.length;
    const { context, userErrors } = (await rig.ask(alice, change, { id, status: to.toUpperCase(), reason: 'because' }))[
      'changeContextStatus'
    ]!;
    if (allowed.has(`${from}>${to}`)) {
      expect(userErrors).toEqual([]);
      expect(context).toMatchObject({ status: to.toUpperCase(), closeReason: to === 'closed' ? 'because' : null });
      if (to === 'closed') expect(context!['lifecycleStage']).toBe('COMPLETED');
      expect(rig.events.slice(before).map(({ type }) => type)).toEqual(['context.updated', 'context.state.changed']);
    } else {
      // What is archived is refused before its state machine is asked.
      expect(userErrors).toMatchObject([
        { code: from === 'archived' ? 'INVALID_STATE' : 'INVALID_STATE_TRANSITION', retryable: false },
      ]);
      if (from !== 'archived') expect(userErrors![0]!['path']).toEqual(['status']);
      expect(rig.events.length).toBe(before);
    }
  });

  test('who may: a writer suspends, only owner or administrator closes', async () => {
    const id = await contextIn('active');
    expect((await rig.ask(bob, change, { id, status: 'SUSPENDED' }))['changeContextStatus']!['userErrors']).toEqual([]);
    expect((await rig.run(bob, change, { id, status: 'CLOSED' })).errors).toMatchObject([
      { code: 'PERMISSION_DENIED' },
    ]);
    expect(
      (await rig.run(bob, 'mutation ($id: ID!) { deleteContext(contextId: $id) { deleted } }', { id })).errors,
    ).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect((await rig.ask(admin, change, { id, status: 'CLOSED' }))['changeContextStatus']!['context']).toMatchObject({
      status: 'CLOSED',
    });
  });

  test('a patch may carry the status', async () => {
    const id = await contextIn('active');
    const { context, userErrors } = (
      await rig.ask(alice, update, { id, patch: { status: 'SUSPENDED', title: 'slept' } })
    )['updateContext']!;
    expect([context!['status'], context!['title'], userErrors]).toEqual(['SUSPENDED', 'slept', []]);
    expect(
      (await rig.ask(alice, update, { id, patch: { status: 'ARCHIVED', title: 'not kept' } }))['updateContext']![
        'userErrors'
      ],
    ).toMatchObject([{ code: 'INVALID_STATE_TRANSITION' }]);
    expect((await rig.ask(alice, 'query ($id: ID!) { context(contextId: $id) { title } }', { id }))['context']).toEqual(
      { title: 'slept' },
    );
  });
});

describe('versions', () => {
  test('of ten writers with one version one wins', async () => {
    const id = await contextIn('active');
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        rig.ask(alice, update, { id, patch: { title: `by ${index}` }, version: 1 }),
      ),
    );
    const codes = answers.map((answer) => answer['updateContext']!['userErrors']![0]?.['code'] ?? 'won');
    expect(codes.filter((code) => code === 'won')).toHaveLength(1);
    expect(codes.filter((code) => code === 'VERSION_CONFLICT')).toHaveLength(9);
    const loser = answers.find((answer) => answer['updateContext']!['context'] === null)!;
    expect(loser['updateContext']!['userErrors']).toMatchObject([
      { path: ['expectedVersion'], message: 'expected version 1, the stored one is 2' },
    ]);
  });

  test('without a version all are applied, each once', async () => {
    const id = await contextIn('active');
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        rig.ask(alice, update, { id, patch: { customData: { [`k${index}`]: index } } }),
      ),
    );
    const { context } = await rig.ask(
      alice,
      'query ($id: ID!) { context(contextId: $id) { version customData history(first: 100) { nodes { version } totalCount } } }',
      { id },
    );
    expect(context!['version']).toBe(21);
    expect(Object.keys(context!['customData'] as object)).toHaveLength(20);
    expect(context!['history']!['nodes']).toHaveLength(20);
    expect(context!['history']!['totalCount']).toBe(20);
    const sequences =
      await rig.sql`SELECT array_agg(sequence ORDER BY sequence) AS list FROM context.event WHERE stream_id = ${id}`;
    expect(sequences[0]!['list']).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
  });

  test('a patch that changes nothing leaves no trace', async () => {
    const id = await contextIn('active');
    const before = rig.events.length;
    expect(
      (await rig.ask(alice, update, { id, patch: { title: 'A context', tags: [] } }))['updateContext']!['context']![
        'version'
      ],
    ).toBe(1);
    expect(rig.events.length).toBe(before);
  });
});

describe('patches', () => {
  test('follow RFC 7396 where they are JSON, and keep keys that look like machinery', async () => {
    const odd = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2, "toString": null}') as Record<string, unknown>;
    const { context } = (
      await rig.ask(alice, create, {
        input: { title: 'odd', root: { ...root, extra: odd }, constraints: odd, customData: odd },
      })
    )['createContext']!;
    const id = context!['id'];
    const raw = await rig.run(alice, 'query ($id: ID!) { context(contextId: $id) { root constraints customData } }', {
      id,
    });
    for (const field of ['root', 'constraints', 'customData'])
      expect(Object.getOwnPropertyDescriptor(raw.data['context']![field]!, '__proto__')?.value).toEqual({ a: 1 });
    const patch = {
      root: { domain: 'moved', entry_point: 'main', gone: null },
      constraints: JSON.parse('{"__proto__": {"b": 2}, "constructor": null}') as unknown,
      customData: { deep: { er: [1, null] } },
    };
    const patched = (await rig.ask(alice, update, { id, patch }))['updateContext']!['context']!;
    expect([patched['domain'], patched['entryPoint']]).toEqual(['moved', 'main']);
    expect(Object.getOwnPropertyDescriptor(patched['constraints'], '__proto__')?.value).toEqual({ a: 1, b: 2 });
    expect(patched['constraints']).not.toHaveProperty('constructor', 2);
    expect(patched['customData']).toMatchObject({ deep: { er: [1, null] } });
    expect(({} as { a?: unknown }).a).toBeUndefined();
  });

  test.each([
    [{ title: '' }, ['patch', 'title']],
    [{ title: null }, ['patch', 'title']],
    [{ title: 'x'.repeat(256) }, ['patch', 'title']],
    [{ title: 'a\0b' }, ['patch', 'title']],
    [{ title: '\udc00' }, ['patch', 'title']],
    [{ summary: 'ä'.repeat(131_073) }, ['patch', 'summary']],
    [{ root: { domain: null } }, ['patch', 'root', 'domain']],
    [{ root: { entry_point: 3 } }, ['patch', 'root', 'entry_point']],
    [{ root: [] }, ['patch', 'root']],
    [{ constraints: 'text' }, ['patch', 'constraints']],
    [{ customData: { 'a\0': 1 } }, ['patch', 'customData']],
    [{ ownerRole: 'ROLE' }, ['patch', 'ownerRole']],
    [{ tags: ['a', ''] }, ['patch', 'tags', '1']],
    [{ configuration: { maxParticipants: 0 } }, ['patch', 'configuration', 'maxParticipants']],
    [{ configuration: { timeoutMs: 999 } }, ['patch', 'configuration', 'timeoutMs']],
    [{ expiresAt: '2020-01-01T00:00:00Z' }, ['patch', 'expiresAt']],
    [
      {
        accessControl: { permissions: [{ principal: 'a', principalType: 'USER', resource: '', actions: ['READ'] }] },
      },
      ['patch', 'accessControl', 'permissions', '0', 'resource'],
    ],
  ])('%j is refused with its path', async (patch, path) => {
    const id = await contextIn('active');
    const before = rig.events.length;
    expect((await rig.ask(alice, update, { id, patch }))['updateContext']!['userErrors']).toMatchObject([
      { code: 'VALIDATION_FAILED', path },
    ]);
    expect(rig.events.length).toBe(before);
  });

  test('no fewer participants than there are; another timeout begins a new life span', async () => {
    const id = await contextIn('active');
    for (const agentId of ['a', 'b', 'c'])
      await rig.ask(
        alice,
        'mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { userErrors { code } } }',
        { input: { contextId: id, agentId } },
      );
    expect(
      (await rig.ask(alice, update, { id, patch: { configuration: { maxParticipants: 2 } } }))['updateContext']![
        'userErrors'
      ],
    ).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['patch', 'configuration', 'maxParticipants'] }]);
    const context = (
      await rig.ask(alice, update, { id, patch: { configuration: { maxParticipants: 3, timeoutMs: 7_200_000 } } })
    )['updateContext']!['context']!;
    expect(Math.abs(Date.parse(String(context['expiresAt'])) - Date.now() - 7_200_000)).toBeLessThan(5_000);
  });
});

describe('idempotency', () => {
  test('the same key and input answer alike, also at once; other input is refused', async () => {
    const input = { title: 'once', root, accessControl: { joinPolicy: 'INVITATION_ONLY' }, idempotencyKey: 'create-1' };
    const answers = await Promise.all(Array.from({ length: 8 }, () => rig.ask(alice, create, { input })));
    answers.push(await rig.ask(alice, create, { input }));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]!['createContext']!['accessInfo']!['joinToken']).toMatch(/^[\w-]{32}$/);
    expect(await rig.sql`SELECT count(*)::int AS n FROM context.context WHERE title = 'once'`).toMatchObject([
      { n: 1 },
    ]);
    expect(
      (await rig.ask(alice, create, { input: { ...input, title: 'other' } }))['createContext']!['userErrors'],
    ).toMatchObject([{ code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] }]);
    // Keys belong to a subject.
    expect(
      (await rig.ask(bob, create, { input: { ...input, title: 'other' } }))['createContext']!['userErrors'],
    ).toEqual([]);
    expect((await rig.ask(stranger, create, { input }))['createContext']!['userErrors']).toEqual([]);
  });

  test('one key does not serve two operations', async () => {
    const id = await contextIn('active');
    await rig.ask(alice, update, { id, patch: { title: 'keyed' }, key: 'shared-key' });
    expect(
      (await rig.ask(alice, change, { id, status: 'SUSPENDED', key: 'shared-key' }))['changeContextStatus']![
        'userErrors'
      ],
    ).toMatchObject([{ code: 'IDEMPOTENCY_MISMATCH' }]);
    expect(
      (await rig.ask(alice, update, { id, patch: { title: 'keyed' }, key: 'shared-key' }))['updateContext']!['context'],
    ).toMatchObject({ title: 'keyed', version: 2 });
  });

  test.each(['', 'k'.repeat(201), 'a\0'])('a key that is none: %j', async (key) => {
    const id = await contextIn('active');
    expect(
      (await rig.ask(alice, update, { id, patch: { title: 'x' }, key }))['updateContext']!['userErrors'],
    ).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['idempotencyKey'] }]);
  });
});

describe('creation', () => {
  test.each([
    [{ title: '' }, ['input', 'title']],
    [{ root: { domain: '', environment: 'e' } }, ['input', 'root', 'domain']],
    [{ sharedState: { goals: [{ id: 'a' }, { id: 'a' }] } }, ['input', 'sharedState']],
    [{ sharedState: { variables: { '': 1 } } }, ['input', 'sharedState']],
    [
      { sharedState: { resources: { requirements: [{ name: 'gpu', minimum: 2, maximum: 1, unit: 'card' }] } } },
      ['input', 'sharedState', 'resources', 'requirements', '0'],
    ],
    [{ ownerRole: 'ctx-1' }, ['input', 'ownerRole']],
    [{ customData: { a: '\ud800' } }, ['input', 'customData']],
  ])('%j is refused with its path', async (given, path) => {
    expect(
      (await rig.ask(alice, create, { input: { title: 't', root, ...given } }))['createContext']!['userErrors'],
    ).toMatchObject([{ code: 'VALIDATION_FAILED', path }]);
  });

  test('quotas hold under concurrency, per owner and per tenant', async () => {
    await using small = await openContextRig({ QUOTA_CONTEXTS_PER_USER: '3', QUOTA_CONTEXTS_PER_TENANT: '5' });
    const attempt = async (who: typeof alice) =>
      (await small.ask(who, create, { input: { title: 't', root } }))['createContext']!['userErrors']![0]?.['code'] ??
      'created';
    const first = await Promise.all(Array.from({ length: 10 }, () => attempt(alice)));
    expect(first.filter((code) => code === 'created')).toHaveLength(3);
    expect(first.filter((code) => code === 'QUOTA_EXCEEDED')).toHaveLength(7);
    const second = await Promise.all(Array.from({ length: 10 }, () => attempt(bob)));
    expect(second.filter((code) => code === 'created')).toHaveLength(2);
    // A closed one makes room.
    const [row] = await small.sql`SELECT id FROM context.context WHERE owner_id = 'alice' LIMIT 1`;
    await small.ask(alice, change, { id: row!['id'] as string, status: 'CLOSED' });
    expect(await attempt(alice)).toBe('created');
    expect(await attempt(alice)).toBe('QUOTA_EXCEEDED');
  });
});

describe('deletion', () => {
  const remove =
    'mutation ($id: ID!, $force: Boolean! = false, $key: String) { deleteContext(contextId: $id, force: $force, idempotencyKey: $key) { contextId deleted restorableUntil userErrors { code path } } }';
  test('hides at once, twice the same, and can be undone', async () => {
    const id = await contextIn('active');
    const first = (await rig.ask(alice, remove, { id, key: 'del' }))['deleteContext'];
    expect(first).toMatchObject({ contextId: id, deleted: true, userErrors: [] });
    expect((await rig.ask(alice, remove, { id, key: 'del' }))['deleteContext']).toEqual(first);
    expect((await rig.ask(alice, remove, { id }))['deleteContext']).toEqual(first);
    expect(
      (
        await rig.ask(
          alice,
          'query ($id: ID!) { context(contextId: $id) { id } contexts(filter: { ownerId: "alice" }, first: 100) { nodes { id } } }',
          { id },
        )
      )['context'],
    ).toBeNull();
    expect((await rig.ask(alice, update, { id, patch: { title: 'x' } }))['updateContext']!['userErrors']).toMatchObject(
      [{ code: 'NOT_FOUND' }],
    );
    const restored = await rig.ask(
      alice,
      'mutation ($id: ID!) { restoreContext(contextId: $id) { context { id status } userErrors { code } } }',
      { id },
    );
    expect(restored['restoreContext']).toEqual({ context: { id, status: 'ACTIVE' }, userErrors: [] });
  });

  test('is undone at the version it left', async () => {
    const id = await contextIn('active');
    const deleted = (
      await rig.ask(alice, 'mutation ($id: ID!) { deleteContext(contextId: $id) { version userErrors { code } } }', {
        id,
      })
    )['deleteContext'];
    const version = Number(deleted!['version']);
    const restore = async (expectedVersion: number) =>
      (
        await rig.ask(
          alice,
          'mutation ($id: ID!, $version: Int) { restoreContext(contextId: $id, expectedVersion: $version) { context { version } userErrors { code path } } }',
          { id, version: expectedVersion },
        )
      )['restoreContext'];
    const conflict = { context: null, userErrors: [{ code: 'VERSION_CONFLICT', path: ['expectedVersion'] }] };
    const told = rig.events.length;
    expect(await restore(version - 1)).toEqual(conflict);
    const [row] = await rig.sql`SELECT deleted_at IS NOT NULL AS gone, version FROM context.context WHERE id = ${id}`;
    expect(row).toEqual({ gone: true, version });
    expect(rig.events).toHaveLength(told);
    expect(await restore(version)).toEqual({ context: { version: version + 1 }, userErrors: [] });
    expect(await restore(version)).toEqual(conflict);
  });

  test('open sessions hold it up unless forced', async () => {
    const id = await contextIn('active');
    await rig.ask(
      alice,
      'mutation ($id: ID!) { createSession(input: { contextId: $id, name: "s" }) { userErrors { code } } }',
      { id },
    );
    expect((await rig.ask(alice, remove, { id }))['deleteContext']!['userErrors']).toEqual([
      { code: 'INVALID_STATE', path: ['force'] },
    ]);
    expect((await rig.ask(alice, remove, { id, force: true }))['deleteContext']).toMatchObject({ deleted: true });
  });
});

test('malformed ids are refused where they are given, with nothing stored', async () => {
  for (const id of [
    '',
    'ctx-1',
    '6F9619FF-8B86-4011-B42D-00CF4FC964FF',
    '123e4567-e89b-12d3-a456-426614174000',
    "'; DROP TABLE context.context; --",
    'a\0',
  ]) {
    expect((await rig.ask(alice, update, { id, patch: { title: 'x' } }))['updateContext']!['userErrors']).toMatchObject(
      [{ code: 'VALIDATION_FAILED', path: ['contextId'] }],
    );
    expect(
      await rig.ask(
        alice,
        'query ($id: ID!) { context(contextId: $id) { id } contextHealth(contextId: $id) { overall } }',
        { id },
      ),
    ).toEqual({ context: null, contextHealth: null });
  }
});
