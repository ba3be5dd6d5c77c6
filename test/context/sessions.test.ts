import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, type ContextRig, type Json, openContextRig } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const participantFields =
  '{ participant { id agentId type status roles capabilities permissions displayName version leftAt lastActivityAt joinedAt maxConcurrentTasks timeoutMs } context { participantCount sessionCount } userErrors { code path } }';
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
