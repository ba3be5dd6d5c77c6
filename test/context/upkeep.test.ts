import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { judgeHealth } from '../../subgraphs/context/health.ts';
import { startTimers } from '../../subgraphs/context/timers.ts';
import { alice, bob, type ContextRig, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const tenantId = 'one';
const join = (id: string) =>
  rig.ask(
    alice,
    'mutation ($id: ID!) { joinContext(contextId: $id) { participant { id } } createSession(input: { contextId: $id, name: "s", maxDurationMs: 1000 }) { session { id } } }',
    { id },
  );
const rowOf = async (id: string) => (await rig.sql`SELECT * FROM context.context WHERE id = ${id}`)[0];
const typesOf = async (id: string) =>
  (await rig.sql`SELECT type FROM context.event WHERE stream_id = ${id} ORDER BY sequence`).map(
    (row) => row['type'] as string,
  );
const expire = (id: string) =>
  rig.sql`UPDATE context.context SET expires_at = now() - interval '1 second' WHERE id = ${id}`;

test('a context ends at its time once, whoever comes first', async () => {
  const id = await rig.createContext(alice);
  const due = { tenantId, contextId: id };
  expect(await rig.service.upkeep.expire(due)).toBe(false);
  await expire(id);
  const done = await Promise.all(Array.from({ length: 5 }, () => rig.service.upkeep.expire(due)));
  expect(done.filter(Boolean)).toHaveLength(1);
  expect(await rowOf(id)).toMatchObject({ status: 'closed', close_reason: 'timeout', updated_by: 'system:context' });
  expect(await typesOf(id)).toEqual(['context.created', 'context.updated', 'context.state.changed']);
  const jobs = await rig.sql`SELECT j.key, j.run_at FROM graphile_worker.jobs j WHERE key = ${`context.cleanUp:${id}`}`;
  expect(jobs).toHaveLength(1);
  expect(await rig.service.upkeep.expire({ tenantId, contextId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' })).toBe(false);
});

test('a lock stops the clock, unlocking lets it strike', async () => {
  const id = await rig.createContext(alice, { governance: { locked: true } });
  await expire(id);
  expect(await rig.service.upkeep.findExpiring(Date.now())).toEqual([]);
  expect(await rig.service.upkeep.expire({ tenantId, contextId: id })).toBe(false);
  await rig.sql`UPDATE context.context SET governance = NULL WHERE id = ${id}`;
  expect(await rig.service.upkeep.findExpiring(Date.now())).toMatchObject([{ contextId: id }]);
  expect(await rig.service.upkeep.expire({ tenantId, contextId: id })).toBe(true);
});

test('timers close to the millisecond, two instances once', async () => {
  const ids = await Promise.all(Array.from({ length: 3 }, () => rig.createContext(alice)));
  const at = new Date(Date.now() + 400);
  await rig.sql`UPDATE context.context SET expires_at = ${at} WHERE id = ANY(${ids}::uuid[])`;
  const timers = await Promise.all([
    startTimers(rig.runtime, rig.service.upkeep),
    startTimers(rig.runtime, rig.service.upkeep),
  ]);
  await expect
    .poll(
      async () =>
        (
          await rig.sql`SELECT count(*)::int AS n FROM context.context WHERE status = 'closed' AND id = ANY(${ids}::uuid[])`
        )[0]!['n'],
      { timeout: 5_000 },
    )
    .toBe(3);
  await Promise.all(timers.map((timer) => timer.close()));
  for (const id of ids) {
    const late = ((await rowOf(id))!['closed_at'] as Date).getTime() - at.getTime();
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(250);
    expect(await typesOf(id)).toHaveLength(3);
  }
  expect(await rig.sql`SELECT count(*)::int AS n FROM graphile_worker.jobs WHERE key = 'context.sweep'`).toMatchObject([
    { n: 1 },
  ]);
});

test('after closing everyone leaves and sessions end, once', async () => {
  const id = await rig.createContext(alice);
  await join(id);
  const due = { tenantId, contextId: id };
  expect(await rig.service.upkeep.cleanUp(due)).toBe(0);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: CLOSED) { userErrors { code } } }',
    { id },
  );
  expect(await rig.service.upkeep.cleanUp(due)).toBe(2);
  expect(await rig.service.upkeep.cleanUp(due)).toBe(0);
  expect(await rowOf(id)).toMatchObject({ participant_count: 0, session_count: 0 });
  expect((await typesOf(id)).slice(-2)).toEqual(['context.session.ended', 'context.participant.left']);
  const kept = await rig.createContext(alice, { configuration: { autoCleanup: false } });
  await join(kept);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: CLOSED) { userErrors { code } } }',
    { id: kept },
  );
  expect(await rig.service.upkeep.cleanUp({ tenantId, contextId: kept })).toBe(0);
});

describe('who still asks to join', () => {
  const act = (who: typeof alice, mutation: string, id: string) =>
    rig.ask(who, `mutation ($id: ID!) { answer: ${mutation} }`, { id });
  async function withRequests(): Promise<string> {
    const id = await rig.createContext(alice, { accessControl: { joinPolicy: 'APPROVAL' } });
    await act(alice, 'joinContext(contextId: $id) { userErrors { code } }', id);
    for (const who of [bob, principal('carol')])
      await act(who, 'joinContext(contextId: $id) { userErrors { code } }', id);
    expect(await rowOf(id)).toMatchObject({ participant_count: 1 });
    return id;
  }
  const told = async (id: string) =>
    await rig.sql`SELECT type, data->'participant'->>'agentId' AS agent, data->'participant'->>'status' AS status, data->>'reason' AS reason
      FROM context.event WHERE stream_id = ${id} AND type IN ('context.participant.left', 'context.participant.refused') ORDER BY sequence`;
  const ended = (reason: string) => [
    { type: 'context.participant.left', agent: 'alice', status: 'LEFT', reason },
    { type: 'context.participant.refused', agent: 'bob', status: 'LEFT', reason },
    { type: 'context.participant.refused', agent: 'carol', status: 'LEFT', reason },
  ];

  test('is refused when the context is cleaned up, and was never counted', async () => {
    const id = await withRequests();
    await act(alice, 'changeContextStatus(contextId: $id, status: CLOSED) { userErrors { code } }', id);
    expect(await rig.service.upkeep.cleanUp({ tenantId, contextId: id })).toBe(3);
    expect(await rowOf(id)).toMatchObject({ participant_count: 0, session_count: 0 });
    expect(await told(id)).toEqual(ended('closed'));
    expect(
      await rig.ask(
        alice,
        'query ($id: ID!) { context(contextId: $id) { participantCount waiting: participants(status: [JOINING]) { totalCount } } }',
        { id },
      ),
    ).toEqual({ context: { participantCount: 0, waiting: { totalCount: 0 } } });
  });

  test('is refused when the context is deleted; brought back it has nobody, and takes them anew', async () => {
    const id = await withRequests();
    await act(alice, 'deleteContext(contextId: $id) { userErrors { code } }', id);
    expect(await rig.service.upkeep.cascadeDelete({ tenantId, contextId: id })).toBe(3);
    expect(await told(id)).toEqual(ended('deleted'));
    const restored = await act(
      alice,
      'restoreContext(contextId: $id) { context { participantCount } userErrors { code } }',
      id,
    );
    expect(restored['answer']).toEqual({ context: { participantCount: 0 }, userErrors: [] });
    const joined = await act(
      bob,
      'joinContext(contextId: $id) { participant { status } context { participantCount } }',
      id,
    );
    expect(joined['answer']).toEqual({ participant: { status: 'JOINING' }, context: { participantCount: 0 } });
    await act(alice, 'joinContext(contextId: $id) { userErrors { code } }', id);
    expect(await rowOf(id)).toMatchObject({ participant_count: 1 });
  });

  test('no count falls below none, and the migration takes counts anew that had', async () => {
    const id = await withRequests();
    const other = await withRequests();
    await expect(
      rig.sql`UPDATE context.context SET participant_count = -1 WHERE id = ${id}`.execute(),
    ).rejects.toMatchObject({ code: '23514', constraint_name: 'context_participant_count_check' });
    await rig.sql`ALTER TABLE context.context DROP CONSTRAINT context_participant_count_check`;
    await rig.sql`UPDATE context.context SET participant_count = -2 WHERE id = ${id}`;
    const migration = await readFile(
      new URL('../../prisma/migrations/20261129160000_context_participant_count/migration.sql', import.meta.url),
      'utf8',
    );
    for (let time = 0; time < 2; time++) {
      await rig.sql.unsafe(migration).simple();
      expect([await rowOf(id), await rowOf(other)]).toMatchObject([{ participant_count: 1 }, { participant_count: 1 }]);
    }
    await expect(
      rig.sql`UPDATE context.context SET participant_count = -1 WHERE id = ${id}`.execute(),
    ).rejects.toMatchObject({ code: '23514' });
  });
});

test('deletion ends what belongs to it, and after the undo time removes all of it', async () => {
  const id = await rig.createContext(alice, { sharedState: { variables: { a: 1 } } });
  await join(id);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { setMetadata(contextId: $id, entries: [{ key: "a", value: 1 }]) { userErrors { code } } deleteContext(contextId: $id, force: true) { deleted } }',
    { id },
  );
  const due = { tenantId, contextId: id };
  expect(await rig.service.upkeep.cascadeDelete(due)).toBe(2);
  expect(await rig.service.upkeep.cascadeDelete(due)).toBe(0);
  await rig.service.upkeep.purge(due);
  expect(await rowOf(id)).toMatchObject({ participant_count: 0, session_count: 0 });
  await rig.sql`UPDATE context.context SET deleted_at = now() - interval '8 days' WHERE id = ${id}`;
  await rig.service.upkeep.purge(due);
  const left =
    await rig.sql`SELECT (SELECT count(*)::int FROM context.context WHERE id = ${id}) + (SELECT count(*)::int FROM context.participant WHERE context_id = ${id}) + (SELECT count(*)::int FROM context.session WHERE context_id = ${id})
    + (SELECT count(*)::int FROM context.metadata WHERE context_id = ${id}) + (SELECT count(*)::int FROM context.shared_key WHERE context_id = ${id}) + (SELECT count(*)::int FROM context.context_version WHERE context_id = ${id}) AS n`;
  expect(left[0]).toMatchObject({ n: 0 });
});

test('a session ends after its longest time, not before', async () => {
  const id = await rig.createContext(alice);
  const { createSession } = await join(id);
  const due = { tenantId, contextId: id, sessionId: String(createSession!['session']!['id']) };
  expect(await rig.service.upkeep.endSession(due)).toBe(0);
  await rig.sql`UPDATE context.session SET started_at = now() - interval '2 seconds' WHERE id = ${due.sessionId}`;
  expect(await rig.service.upkeep.endSession(due)).toBe(1);
  expect(await rig.service.upkeep.endSession(due)).toBe(0);
  expect(await rowOf(id)).toMatchObject({ session_count: 0 });
  expect(rig.events.at(-1)).toMatchObject({
    type: 'context.session.ended',
    data: { reason: 'timeout', session: { status: 'COMPLETED' } },
  });
});

test('the sweep archives, marks who is idle, prunes, and finds what was missed', async () => {
  const old = await rig.createContext(alice);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: CLOSED) { userErrors { code } } }',
    { id: old },
  );
  await rig.sql`UPDATE context.context SET closed_at = now() - interval '31 days' WHERE id = ${old}`;
  const missed = await rig.createContext(alice);
  await expire(missed);
  const idle = await rig.createContext(alice);
  await join(idle);
  await rig.sql`UPDATE context.participant SET last_activity_at = now() - interval '31 minutes' WHERE context_id = ${idle}`;
  const set =
    'mutation ($id: ID!, $value: JSON!) { setMetadata(contextId: $id, entries: [{ key: "a", value: $value }]) { userErrors { code } } }';
  const versioned = await rig.createContext(alice);
  for (const value of [1, 2, 3]) await rig.ask(alice, set, { id: versioned, value });
  await rig.sql`UPDATE context.metadata_version SET replaced_at = now() - interval '31 days' WHERE context_id = ${versioned} AND version = 1`;
  await rig.service.upkeep.sweep();
  await rig.service.upkeep.sweep();
  expect(await rowOf(old)).toMatchObject({ status: 'archived' });
  expect(await rowOf(missed)).toMatchObject({ status: 'closed', close_reason: 'timeout' });
  expect((await typesOf(idle)).at(-1)).toBe('context.participant.updated');
  expect((await typesOf(idle)).filter((type) => type === 'context.participant.updated')).toHaveLength(1);
  expect(await rig.sql`SELECT status FROM context.participant WHERE context_id = ${idle}`).toMatchObject([
    { status: 'INACTIVE' },
  ]);
  expect(await rig.sql`SELECT version FROM context.metadata_version WHERE context_id = ${versioned}`).toMatchObject([
    { version: 2 },
  ]);
});

describe('health', () => {
  const query =
    'query ($id: ID!) { contextHealth(contextId: $id) { overall components { name level } participantUtilisation sessionUtilisation lifetimeUtilisation eventsLastHour issues recommendations } }';
  test('is read from what is there', async () => {
    const id = await rig.createContext(alice, { configuration: { maxParticipants: 1, maxSessions: 2 } });
    expect((await rig.ask(alice, query, { id }))['contextHealth']).toMatchObject({
      overall: 'HEALTHY',
      participantUtilisation: 0,
      eventsLastHour: 1,
      issues: [],
      recommendations: [],
    });
    await join(id);
    const full = (await rig.ask(alice, query, { id }))['contextHealth']!;
    expect(full).toMatchObject({
      overall: 'UNHEALTHY',
      participantUtilisation: 1,
      sessionUtilisation: 0.5,
      eventsLastHour: 3,
    });
    expect(full['issues']).toHaveLength(1);
    await rig.sql`UPDATE context.session SET started_at = now() - interval '1 hour' WHERE context_id = ${id}`;
    await rig.sql`UPDATE context.participant SET status = 'INACTIVE' WHERE context_id = ${id}`;
    const components = (await rig.ask(alice, query, { id }))['contextHealth']!['components'] as unknown as {
      name: string;
      level: string;
    }[];
    expect(Object.fromEntries(components.map(({ name, level }) => [name, level]))).toMatchObject({
      sessions: 'UNHEALTHY',
      participants: 'UNHEALTHY',
      capacity: 'UNHEALTHY',
      status: 'HEALTHY',
    });
  });

  test('an overdue context is critical', async () => {
    const id = await rig.createContext(alice);
    const { loadersFor } = rig;
    const scope = (await rig.run(alice, '{ __typename }')).scope;
    const row = (await loadersFor(scope).context.load(id))!;
    const facts = {
      active: 1,
      idle: 0,
      other: 0,
      openSessions: 0,
      failedSessions: 0,
      endedSessions: 0,
      stuckSessions: 0,
      eventsLastHour: 1,
      plans: null,
    };
    const plans = {
      runningTasks: 1,
      blockedTasks: 0,
      completedLastHour: 19,
      failedLastHour: 1,
      averageTaskMs: 1,
      p95TaskMs: 1,
    };
    const performance = (more: object) => {
      const { components } = judgeHealth(row, { ...facts, plans: { ...plans, ...more } }, new Date());
      return components.find(({ name }) => name === 'performance')?.level;
    };
    expect([{}, { blockedTasks: 1 }, { failedLastHour: 3 }, { failedLastHour: 19 }].map(performance)).toEqual([
      'HEALTHY',
      'DEGRADED',
      'DEGRADED',
      'UNHEALTHY',
    ]);
    expect(judgeHealth(row, facts, new Date(Date.parse(row.expiresAt!) + 1)).overall).toBe('CRITICAL');
    expect(judgeHealth(row, { ...facts, failedSessions: 1, endedSessions: 4 }, new Date()).overall).toBe('DEGRADED');
  });
});
