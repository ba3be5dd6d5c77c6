import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, bob, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const participantFields =
  '{ participant { id agentId type status roles capabilities permissions displayName version leftAt lastActivityAt joinedAt maxConcurrentTasks timeoutMs } context { participantCount sessionCount } userErrors { code path } }';
const add = `mutation ($input: AddParticipantInput!) { answer: addParticipant(input: $input) ${participantFields} }`;
const patchParticipant = `mutation ($id: ID!, $participant: ID!, $patch: ContextParticipantPatch!, $version: Int, $key: String) { answer: updateParticipant(contextId: $id, participantId: $participant, patch: $patch, expectedVersion: $version, idempotencyKey: $key) ${participantFields} }`;
const remove = `mutation ($id: ID!, $participant: ID!, $key: String) { answer: removeParticipant(contextId: $id, participantId: $participant, idempotencyKey: $key) ${participantFields} }`;
const join = `mutation ($id: ID!, $capabilities: [String!]) { answer: joinContext(contextId: $id, capabilities: $capabilities) ${participantFields} }`;
const leave = `mutation ($id: ID!) { answer: leaveContext(contextId: $id) ${participantFields} }`;
const sessionFields =
  '{ session { id status participantIds activeParticipantIds endedAt version isolationLevel maxDurationMs } context { sessionCount } userErrors { code path message } }';
const createSession = `mutation ($input: CreateSessionInput!) { answer: createSession(input: $input) ${sessionFields} }`;
const changeSession = `mutation ($id: ID!, $session: ID!, $status: ContextSessionStatus!, $version: Int) { answer: changeSessionStatus(contextId: $id, sessionId: $session, status: $status, expectedVersion: $version) ${sessionFields} }`;
const endSession = `mutation ($id: ID!, $session: ID!, $failed: Boolean! = false) { answer: endSession(contextId: $id, sessionId: $session, failed: $failed) ${sessionFields} }`;

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;
const unknown = '6f9619ff-8b86-4011-b42d-00cf4fc964ff';

describe('participants', () => {
  test('join, change, leave, and may come back', async () => {
    const id = await rig.createContext(alice, {
      accessControl: {
        permissions: [{ principal: 'writer', principalType: 'role', resource: 'plan', actions: ['write', 'read'] }],
      },
    });
    const added = await ask(alice, add, {
      input: { contextId: id, agentId: 'agent', roles: ['writer'], capabilities: ['code'], idempotencyKey: 'add' },
    });
    expect(added).toMatchObject({
      participant: {
        agentId: 'agent',
        type: 'AGENT',
        status: 'ACTIVE',
        permissions: ['plan:read', 'plan:write'],
        maxConcurrentTasks: 5,
        timeoutMs: 300_000,
      },
      context: { participantCount: 1 },
      userErrors: [],
    });
    expect(
      await ask(alice, add, {
        input: { contextId: id, agentId: 'agent', roles: ['writer'], capabilities: ['code'], idempotencyKey: 'add' },
      }),
    ).toEqual(added);
    expect(
      (await ask(alice, add, { input: { contextId: id, agentId: 'other', idempotencyKey: 'add' } }))['userErrors'],
    ).toMatchObject([{ code: 'IDEMPOTENCY_MISMATCH' }]);
    expect((await ask(alice, add, { input: { contextId: id, agentId: 'agent' } }))['userErrors']).toEqual([
      { code: 'PARTICIPANT_ALREADY_EXISTS', path: ['agentId'] },
    ]);
    const participant = added['participant']!['id'];
    const changed = await ask(alice, patchParticipant, {
      id,
      participant,
      patch: { displayName: 'A', status: 'INACTIVE', roles: [] },
      version: 1,
    });
    expect(changed['participant']).toMatchObject({
      displayName: 'A',
      status: 'INACTIVE',
      roles: [],
      permissions: [],
      version: 2,
      lastActivityAt: added['participant']!['lastActivityAt'],
    });
    expect((await ask(alice, patchParticipant, { id, participant, patch: {}, version: 1 }))['userErrors']).toEqual([
      { code: 'VERSION_CONFLICT', path: ['expectedVersion'] },
    ]);
    expect(
      (await ask(alice, patchParticipant, { id, participant, patch: { status: 'JOINING' } }))['userErrors'],
    ).toEqual([{ code: 'INVALID_STATE_TRANSITION', path: ['patch', 'status'] }]);
    const gone = await ask(alice, remove, { id, participant, key: 'remove' });
    expect(gone).toMatchObject({ participant: { status: 'LEFT' }, context: { participantCount: 0 } });
    expect(await ask(alice, remove, { id, participant, key: 'remove' })).toEqual(gone);
    expect((await ask(alice, remove, { id, participant }))['participant']).toEqual(gone['participant']);
    expect(
      (await ask(alice, patchParticipant, { id, participant, patch: { displayName: 'x' } }))['userErrors'],
    ).toMatchObject([{ code: 'INVALID_STATE' }]);
    expect((await ask(alice, add, { input: { contextId: id, agentId: 'agent' } }))['participant']!['id']).not.toBe(
      participant,
    );
    expect((await ask(alice, remove, { id, participant: unknown }))['userErrors']).toEqual([
      { code: 'PARTICIPANT_NOT_FOUND', path: ['participantId'] },
    ]);
    expect((await ask(bob, leave, { id }))['userErrors']).toMatchObject([{ code: 'PARTICIPANT_NOT_FOUND' }]);
  });

  test('status walks its machine: all 25 steps', async () => {
    const statuses = ['JOINING', 'ACTIVE', 'INACTIVE', 'LEAVING', 'LEFT'];
    const allowed = new Set([
      'JOINING>ACTIVE',
      'JOINING>LEAVING',
      'JOINING>LEFT',
      'ACTIVE>INACTIVE',
      'ACTIVE>LEAVING',
      'ACTIVE>LEFT',
      'INACTIVE>ACTIVE',
      'INACTIVE>LEAVING',
      'INACTIVE>LEFT',
      'LEAVING>LEFT',
    ]);
    const id = await rig.createContext(alice, { configuration: { maxParticipants: 100 } });
    for (const from of statuses) {
      for (const to of statuses) {
        const added = await ask(alice, add, { input: { contextId: id, agentId: `${from}-${to}` } });
        const participant = added['participant']!['id'];
        await rig.sql`UPDATE context.participant SET status = ${from} WHERE id = ${String(participant)}`;
        const { participant: after, userErrors } = await ask(alice, patchParticipant, {
          id,
          participant,
          patch: { status: to },
        });
        const expected = allowed.has(`${from}>${to}`) || (from === to && from !== 'LEFT');
        expect([from, to, after?.['status'] ?? null]).toEqual([from, to, expected ? to : null]);
        if (!expected)
          expect(userErrors![0]!['code']).toBe(
            from === 'LEFT' && to === 'LEFT' ? 'INVALID_STATE' : 'INVALID_STATE_TRANSITION',
          );
      }
    }
  });

  test('requirements, policies and closed contexts hold newcomers off', async () => {
    const strict = await rig.createContext(alice, {
      accessControl: { requiredCapabilities: ['code'], requiredRoles: ['dev'] },
    });
    expect(
      (await ask(alice, add, { input: { contextId: strict, agentId: 'a', roles: ['dev'] } }))['userErrors'],
    ).toEqual([{ code: 'VALIDATION_FAILED', path: ['capabilities'] }]);
    expect(
      (await ask(alice, add, { input: { contextId: strict, agentId: 'a', capabilities: ['code'] } }))['userErrors'],
    ).toEqual([{ code: 'VALIDATION_FAILED', path: ['roles'] }]);
    expect(
      (await ask(principal('dev', { roles: ['dev'] }), join, { id: strict, capabilities: ['code'] }))['participant'],
    ).toMatchObject({ agentId: 'dev', roles: ['dev'] });
    for (const joinPolicy of ['INVITATION_ONLY', 'APPROVAL']) {
      const closed = await rig.createContext(alice, { accessControl: { joinPolicy } });
      expect((await rig.run(bob, join, { id: closed })).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
      expect((await rig.run(bob, add, { input: { contextId: closed, agentId: 'bob' } })).errors).toMatchObject([
        { code: 'PERMISSION_DENIED' },
      ]);
      expect((await ask(alice, add, { input: { contextId: closed, agentId: 'bob' } }))['participant']).toMatchObject({
        agentId: 'bob',
      });
    }
    const over = await rig.createContext(alice);
    await rig.ask(
      alice,
      'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: CLOSED) { userErrors { code } } }',
      { id: over },
    );
    expect((await ask(alice, add, { input: { contextId: over, agentId: 'a' } }))['userErrors']).toMatchObject([
      { code: 'INVALID_STATE' },
    ]);
    for (const [input, path] of [
      [{ agentId: '' }, 'agentId'],
      [{ agentId: 'a', roles: Array(11).fill('r') }, 'roles'],
      [{ agentId: 'a', timeoutMs: 1 }, 'timeoutMs'],
      [{ agentId: 'a\0' }, 'agentId'],
      [{ agentId: 'a', notifications: { a: '\ud800' } }, 'notifications'],
    ] as const) {
      expect((await ask(alice, add, { input: { contextId: over, ...input } }))['userErrors']).toMatchObject([
        { code: 'VALIDATION_FAILED', path: ['input', path] },
      ]);
    }
  });

  test('who writes is active, who is written about is not', async () => {
    const id = await rig.createContext(alice);
    const { participant } = await ask(bob, join, { id });
    await rig.sql`UPDATE context.participant SET status = 'INACTIVE', last_activity_at = now() - interval '2 hours' WHERE id = ${String(participant!['id'])}`;
    const standing = async () =>
      (
        await rig.sql`SELECT status, last_activity_at > now() - interval '1 minute' AS recent FROM context.participant WHERE id = ${String(participant!['id'])}`
      )[0];
    await ask(alice, patchParticipant, { id, participant: participant!['id'], patch: { displayName: 'B' } });
    expect(await standing()).toMatchObject({ status: 'INACTIVE', recent: false });
    await rig.ask(
      bob,
      'mutation ($id: ID!) { setMetadata(contextId: $id, entries: [{ key: "a", value: 1 }]) { userErrors { code } } }',
      { id },
    );
    expect(await standing()).toMatchObject({ status: 'ACTIVE', recent: true });
  });

  test('counters are exact whatever happens at once, and no context is overfilled', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ agent: fc.integer({ min: 0, max: 5 }), leaves: fc.boolean() }), {
          minLength: 4,
          maxLength: 24,
        }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, maxParticipants) => {
          const id = await rig.createContext(alice, { configuration: { maxParticipants } });
          const answers = await Promise.all(
            steps.map(({ agent, leaves }) => ask(principal(`agent-${agent}`), leaves ? leave : join, { id })),
          );
          for (const { userErrors } of answers as unknown as { userErrors: { code: string }[] }[])
            for (const { code } of userErrors)
              expect(['CONTEXT_FULL', 'PARTICIPANT_ALREADY_EXISTS', 'PARTICIPANT_NOT_FOUND']).toContain(code);
          const [row] =
            await rig.sql`SELECT participant_count AS counted, (SELECT count(*)::int FROM context.participant p WHERE p.context_id = c.id AND p.status <> 'LEFT') AS present,
          (SELECT count(*)::int FROM context.event e WHERE e.stream_id = c.id AND type = 'context.participant.joined') - (SELECT count(*)::int FROM context.event e WHERE e.stream_id = c.id AND type = 'context.participant.left') AS told FROM context.context c WHERE id = ${id}`;
          expect(row!['counted']).toBe(row!['present']);
          expect(row!['told']).toBe(row!['present']);
          expect(row!['present']).toBeLessThanOrEqual(maxParticipants);
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('sessions', () => {
  test('walk their machine: all 25 steps', async () => {
    const statuses = ['INITIALIZING', 'ACTIVE', 'PAUSED', 'COMPLETED', 'FAILED'];
    const allowed = new Set([
      'INITIALIZING>ACTIVE',
      'INITIALIZING>FAILED',
      'ACTIVE>PAUSED',
      'ACTIVE>COMPLETED',
      'ACTIVE>FAILED',
      'PAUSED>ACTIVE',
      'PAUSED>COMPLETED',
      'PAUSED>FAILED',
      'COMPLETED>COMPLETED',
      'FAILED>FAILED',
    ]);
    const id = await rig.createContext(alice, { configuration: { maxSessions: 100 } });
    for (const from of statuses) {
      for (const to of statuses) {
        const created = await ask(alice, createSession, {
          input: { contextId: id, name: `${from}-${to}`, activate: from !== 'INITIALIZING' },
        });
        const session = created['session']!['id'];
        if (from !== 'INITIALIZING' && from !== 'ACTIVE')
          await ask(alice, changeSession, { id, session, status: from });
        const { session: after, userErrors } = await ask(alice, changeSession, { id, session, status: to });
        expect([from, to, after?.['status'] ?? null]).toEqual([from, to, allowed.has(`${from}>${to}`) ? to : null]);
        if (after === null) expect(userErrors).toMatchObject([{ code: 'INVALID_STATE_TRANSITION', path: ['status'] }]);
      }
    }
    const [row] =
      await rig.sql`SELECT session_count AS counted, (SELECT count(*)::int FROM context.session s WHERE s.context_id = c.id AND ended_at IS NULL) AS open FROM context.context c WHERE id = ${id}`;
    expect(row!['counted']).toBe(row!['open']);
  });

  test('hold their limit, their participants and their context', async () => {
    const id = await rig.createContext(alice, { configuration: { maxSessions: 2 } });
    const { participant } = await ask(alice, join, { id });
    const codes = await Promise.all(
      Array.from(
        { length: 6 },
        async (_, index) =>
          (
            await ask(alice, createSession, {
              input: { contextId: id, name: `s${index}`, participantIds: [participant!['id']] },
            })
          )['userErrors']![0]?.['code'] ?? 'created',
      ),
    );
    expect(codes.sort()).toEqual([
      'SESSION_LIMIT_REACHED',
      'SESSION_LIMIT_REACHED',
      'SESSION_LIMIT_REACHED',
      'SESSION_LIMIT_REACHED',
      'created',
      'created',
    ]);
    await ask(alice, leave, { id });
    const sessions = (
      await rig.ask(
        alice,
        'query ($id: ID!) { context(contextId: $id) { sessions { nodes { id participantIds activeParticipantIds version } } } }',
        { id },
      )
    )['context']!['sessions']!['nodes']!;
    expect(sessions[0]).toMatchObject({ participantIds: [participant!['id']], activeParticipantIds: [], version: 2 });
    const session = sessions[0]!['id'];
    expect(await ask(alice, endSession, { id, session, failed: true })).toMatchObject({
      session: { status: 'FAILED' },
      context: { sessionCount: 1 },
    });
    expect((await ask(alice, endSession, { id, session, failed: true }))['userErrors']).toEqual([]);
    expect((await ask(alice, endSession, { id, session }))['userErrors']).toMatchObject([
      { code: 'INVALID_STATE_TRANSITION' },
    ]);
    expect((await ask(alice, endSession, { id, session: unknown }))['userErrors']).toMatchObject([
      { code: 'NOT_FOUND', path: ['sessionId'] },
    ]);
    expect((await ask(alice, endSession, { id, session: 'x' }))['userErrors']).toMatchObject([
      { code: 'VALIDATION_FAILED', path: ['sessionId'] },
    ]);
    expect(
      (await ask(alice, createSession, { input: { contextId: id, name: 's', participantIds: [participant!['id']] } }))[
        'userErrors'
      ],
    ).toMatchObject([{ code: 'PARTICIPANT_NOT_FOUND', path: ['input', 'participantIds', '0'] }]);
    expect(
      (await ask(alice, createSession, { input: { contextId: id, name: '', maxDurationMs: 5 } }))['userErrors'],
    ).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['input', 'name'] }]);
    const other = sessions[1]!['id'];
    expect(
      (await ask(alice, changeSession, { id, session: other, status: 'PAUSED', version: 7 }))['userErrors'],
    ).toMatchObject([{ code: 'VERSION_CONFLICT', path: ['expectedVersion'] }]);
    await ask(alice, changeSession, { id, session: other, status: 'PAUSED' });
    await rig.ask(
      alice,
      'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: SUSPENDED) { userErrors { code } } }',
      { id },
    );
    expect((await ask(alice, changeSession, { id, session: other, status: 'ACTIVE' }))['userErrors']).toMatchObject([
      { code: 'CONTEXT_NOT_ACTIVE' },
    ]);
    expect((await ask(alice, createSession, { input: { contextId: id, name: 's' } }))['userErrors']).toMatchObject([
      { code: 'CONTEXT_NOT_ACTIVE' },
    ]);
    expect((await ask(alice, endSession, { id, session: other }))['session']).toMatchObject({ status: 'COMPLETED' });
  });
});

describe('metadata', () => {
  const set =
    'mutation ($id: ID!, $entries: [ContextMetadataInput!]!, $key: String) { answer: setMetadata(contextId: $id, entries: $entries, idempotencyKey: $key) { entries { key value type version accessLevel description versions { version value } } context { id } userErrors { code path } } }';
  const del =
    'mutation ($id: ID!, $keys: [String!]!) { answer: deleteMetadata(contextId: $id, keys: $keys) { deletedKeys userErrors { code path } } }';

  test('keeps ten earlier versions, found by search while public', async () => {
    const id = await rig.createContext(alice);
    for (let version = 1; version <= 13; version += 1)
      await ask(alice, set, { id, entries: [{ key: 'note', value: `text${version} zanzibar` }] });
    const again = await ask(alice, set, {
      id,
      entries: [{ key: 'note', value: { odd: true }, description: 'why' }],
      key: 'once',
    });
    expect(again['entries']).toMatchObject([
      { key: 'note', value: { odd: true }, type: 'object', version: 14, accessLevel: 'PUBLIC', description: 'why' },
    ]);
    expect(
      (again['entries']![0]!['versions'] as unknown as { version: number }[]).map(({ version }) => version),
    ).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
    expect(
      await ask(alice, set, { id, entries: [{ key: 'note', value: { odd: true }, description: 'why' }], key: 'once' }),
    ).toEqual(again);
    const found = async (query: string) =>
      (await rig.ask(alice, 'query ($query: String) { searchContexts(query: $query) { totalCount } }', { query }))[
        'searchContexts'
      ]!['totalCount'];
    expect([await found('zanzibar'), await found('odd')]).toEqual([0, 1]);
    await ask(alice, set, { id, entries: [{ key: 'note', value: 'madagascar', accessLevel: 'OWNER' }] });
    expect(await found('madagascar')).toBe(0);
    await ask(alice, set, { id, entries: [{ key: 'note', value: 'madagascar', accessLevel: 'PUBLIC' }] });
    expect(await found('madagascar')).toBe(1);
    // A later update of the context keeps the words.
    await rig.ask(
      alice,
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { summary: "new" }) { userErrors { code } } }',
      { id },
    );
    expect(await found('madagascar')).toBe(1);
    expect(await ask(alice, del, { id, keys: ['note', 'none'] })).toEqual({ deletedKeys: ['note'], userErrors: [] });
    expect(await found('madagascar')).toBe(0);
    expect(await ask(alice, del, { id, keys: ['note'] })).toEqual({ deletedKeys: [], userErrors: [] });
  });

  test('holds its bounds', async () => {
    const id = await rig.createContext(alice);
    const many = (count: number, prefix: string) =>
      Array.from({ length: count }, (_, index) => ({ key: `${prefix}${index}`, value: index }));
    expect((await ask(alice, set, { id, entries: many(1_000, 'k') }))['userErrors']).toEqual([]);
    expect((await ask(alice, set, { id, entries: many(1, 'x') }))['userErrors']).toEqual([
      { code: 'QUOTA_EXCEEDED', path: ['entries'] },
    ]);
    expect((await ask(alice, set, { id, entries: many(500, 'k') }))['userErrors']).toEqual([]);
    for (const [entry, path] of [
      [{ key: '', value: 1 }, ['entries', '0', 'key']],
      [{ key: 'k'.repeat(256), value: 1 }, ['entries', '0', 'key']],
      [{ key: 'a\0', value: 1 }, ['entries', '0', 'key']],
      [{ key: 'k1', value: 'x'.repeat(1_048_577) }, ['entries', '0', 'value']],
      [{ key: 'k1', value: { a: ['\udfff'] } }, ['entries', '0', 'value']],
    ] as const) {
      expect((await ask(alice, set, { id, entries: [entry] }))['userErrors']).toEqual([
        { code: 'VALIDATION_FAILED', path },
      ]);
    }
    expect((await ask(alice, set, { id, entries: [] }))['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
  });
});
