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

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;
const unknown = '6f9619ff-8b86-4011-b42d-00cf4fc964ff';

describe('participants', () => {
  test('join, change, leave, and may come back', async () => {
    const id = await rig.createContext(alice, {
      accessControl: {
        permissions: [{ principal: 'writer', principalType: 'ROLE', resource: 'plan', actions: ['WRITE', 'READ'] }],
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
      if (joinPolicy === 'INVITATION_ONLY')
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
      [{ agentId: 'a', displayName: '\ud800' }, 'displayName'],
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

describe('the ways by which a participant wants to be told', () => {
  const fields = 'participant { id notifications { email push inApp } } userErrors { code path }';
  const addIt = `mutation ($input: AddParticipantInput!) { answer: addParticipant(input: $input) { ${fields} } }`;
  const changeIt = `mutation ($id: ID!, $participant: ID!, $patch: ContextParticipantPatch!) { answer: updateParticipant(contextId: $id, participantId: $participant, patch: $patch) { ${fields} } }`;

  test('are all on until one is turned off', async () => {
    const id = await rig.createContext(alice);
    const added = await ask(alice, addIt, { input: { contextId: id, agentId: 'a', notifications: { push: false } } });
    expect(added['participant']).toMatchObject({ notifications: { email: true, push: false, inApp: true } });
    const change = async (notifications: object | null) =>
      (await ask(alice, changeIt, { id, participant: added['participant']!['id'], patch: { notifications } }))[
        'participant'
      ]!['notifications'];
    expect(await change({ email: false, push: null })).toEqual({ email: false, push: false, inApp: true });
    expect(await change(null)).toEqual({ email: true, push: true, inApp: true });
    await rig.sql`UPDATE context.participant SET notifications = '{"email": "no", "push": false, "sms": true}' WHERE context_id = ${id}`;
    const found = await rig.ask(
      alice,
      'query ($id: ID!) { context(contextId: $id) { participants { nodes { notifications { email push inApp } } } } }',
      { id },
    );
    expect(found['context']!['participants']!['nodes']![0]).toEqual({
      notifications: { email: true, push: false, inApp: true },
    });
  });
});
