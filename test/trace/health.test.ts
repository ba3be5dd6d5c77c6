import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { type HealthFacts, judgeHealth } from '../../subgraphs/trace/health.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

const well: HealthFacts = {
  databaseMs: 3,
  followers: [{ name: 'trace.alerts of trace', behindSeconds: 0 }],
  overdue: 0,
  ended: 100,
  failed: 5,
  openAlerts: 0,
  graveAlerts: 0,
};
const follower = (behindSeconds: number | null) => ({ followers: [{ name: 'f', behindSeconds }] });

describe('health', () => {
  it.each([
    [{}, 'HEALTHY'],
    [{ databaseMs: 101 }, 'DEGRADED'],
    [{ databaseMs: 6_000 }, 'CRITICAL'],
    [follower(5), 'HEALTHY'],
    [follower(6), 'DEGRADED'],
    [follower(61), 'UNHEALTHY'],
    [follower(601), 'CRITICAL'],
    [follower(null), 'UNHEALTHY'],
    [{ overdue: 1 }, 'DEGRADED'],
    [{ failed: 6 }, 'DEGRADED'],
    [{ failed: 21 }, 'UNHEALTHY'],
    [{ failed: 51 }, 'CRITICAL'],
    [{ ended: 9, failed: 9 }, 'HEALTHY'],
    [{ openAlerts: 1 }, 'DEGRADED'],
    [{ openAlerts: 2, graveAlerts: 1 }, 'UNHEALTHY'],
    [{ overdue: 1, failed: 60 }, 'CRITICAL'],
  ] as const)('with %j is %s', (facts, level) => expect(judgeHealth({ ...well, ...facts }).overall).toBe(level));
});

describe('of a tenant', () => {
  let rig: Awaited<ReturnType<typeof openTraceRig>>;
  beforeAll(async () => {
    rig = await openTraceRig({ TRACE_HISTORY: 'off' });
  });
  afterAll(() => rig[Symbol.asyncDispose]());
  const read = async (who: ReturnType<typeof principal>): Promise<Json> => {
    const { traceHealth } = await rig.ask(
      who,
      '{ traceHealth { overall ended failed openAlerts components { name level detail } } }',
    );
    const levels = Object.fromEntries(traceHealth.components.map(({ name, level }: Json) => [name, level]));
    return { ...traceHealth, levels };
  };

  test('follows what fails, what is late and what was raised, of what may be seen', async () => {
    const [alice, bob, stranger] = [principal('alice'), principal('bob'), principal('mallory', 'two')];
    const secret = rig.openContext('one', 'alice');
    const add = async (status: string, contextId: string | null, ageHours = 0) => {
      const id = crypto.randomUUID();
      await rig.sql`INSERT INTO trace.trace (tenant_id, id, w3c_id, context_id, name, status, created_by, created_at, finished_at)
        VALUES ('one', ${id}, ${id.replaceAll('-', '')}, ${contextId}, 't', ${status}, 'alice', now() - ${ageHours} * interval '1 hour',
          ${status === 'running' ? null : new Date()})`;
      return id;
    };
    expect(await read(alice)).toMatchObject({ ended: 0, failed: 0, openAlerts: 0 });
    for (let n = 0; n < 9; n += 1) await add('completed', null);
    await add('failed', secret);
    const late = await add('running', null, 25);
    // Whoever may see the context has it looked up.
    await rig.ask(alice, 'query($id: ID!) { trace(traceId: $id) { id } }', { id: await add('failed', secret) });
    const seen = await read(alice);
    expect(seen).toMatchObject({ ended: 11, failed: 2, levels: { failures: 'DEGRADED', upkeep: 'DEGRADED' } });
    expect(await read(bob)).toMatchObject({ ended: 9, failed: 0, levels: { failures: 'HEALTHY' } });
    expect(await read(stranger)).toMatchObject({ ended: 0, levels: { upkeep: 'HEALTHY' } });
    await rig.sql`INSERT INTO trace.alert (tenant_id, id, rule_id, rule_name, trace_id, context_id, severity, metric, value, threshold, raised_at, last_seen_at)
      VALUES ('one', gen_random_uuid(), gen_random_uuid(), 'r', ${late}, ${secret}, 'HIGH', 'm', 2, 1, now(), now())`;
    expect(await read(alice)).toMatchObject({ openAlerts: 1, levels: { alerts: 'UNHEALTHY' } });
    expect(await read(bob)).toMatchObject({ openAlerts: 0, levels: { alerts: 'HEALTHY' } });
    await rig.sweep();
    expect((await read(alice)).levels.upkeep).toBe('HEALTHY');
  });

  test('tells which of its followers lag', async () => {
    const alice = principal('alice');
    expect((await read(alice)).levels['trace.alerts of trace']).toBe('HEALTHY');
    // A follower that nobody runs any more, and an event that it has not read.
    await rig.sql`INSERT INTO context.consumer_offset (consumer, position) VALUES ('trace.gone', 0)`;
    expect((await read(alice)).levels['trace.gone of context']).toBe('HEALTHY');
    await rig.sql`INSERT INTO context.event (tenant_id, stream_id, sequence, event_id, type, actor, data, tags, created_at, position)
      VALUES ('one', gen_random_uuid(), 1, gen_random_uuid(), 'context.touched', 'alice', '{}', '{}', now() - interval '2 minutes', 1)`;
    expect((await read(alice)).levels['trace.gone of context']).toBe('UNHEALTHY');
  });
});
