import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeWorkerUtils } from 'graphile-worker';
import pino from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalBus } from '#shared/bus.ts';
import { createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { createEventTail } from '#shared/eventTail.ts';
import { collectDatabaseState } from '#shared/metrics/databaseState.ts';
import { createStandbyReader } from '#shared/metrics/standbys.ts';
import { appendChange } from '#shared/outbox.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { migrateJobs } from '../../../subgraphs/open.ts';
import { operationLines } from '../../../subgraphs/platform/monitoring/guideRules.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';

const logger = pino({ level: 'silent' });
let database: TestDatabase;
let sql: Sql;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'state-test', max: 4 });
  folder = await mkdtemp(join(tmpdir(), 'mplp-state-'));
});
afterAll(async () => {
  await sql.end({ timeout: 5 });
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

async function append(count: number): Promise<readonly EventRow[]> {
  const events = Array.from({ length: count }, (_, n) => ({
    streamId: randomUUID(),
    type: 'context.updated',
    data: { n },
    tags: [],
  }));
  return (await sql.begin((tx) =>
    appendChange(tx, 'context', [{ tenantId: 'acme', actor: 'ann', events }]),
  )) as readonly EventRow[];
}

/** Figures of a metric by the label named. */
async function figures(registry: Registry, name: string, label: string): Promise<Record<string, number>> {
  const { values } = await registry.getSingleMetric(name)!.get();
  return Object.fromEntries(
    values.map(({ labels, value }) => [String((labels as Record<string, string>)[label]), value]),
  );
}

describe('what waits in the databases', () => {
  it('events that were committed and not handed on, by number and age, until the tail brings them', async () => {
    const bus = createLocalBus(() => {});
    const tail = await createEventTail({
      bus,
      modules: ['context'],
      sqlOf: () => sql,
      logger,
      // The test sweeps.
      ...{ disconnectedPollMs: 600_000, connectedPollMs: 600_000 },
      onListenerError: () => {},
    });
    const registry = new Registry();
    const state = collectDatabaseState({
      registry,
      modules: ['context'],
      ...{ sqlOf: () => sql, consumerSqlOf: () => sql },
      tail,
    });
    const events = await append(3);
    await sql`UPDATE context.event SET created_at = created_at - interval '40 seconds' WHERE event_id = ${events[0]!.eventId}`;
    // One of them came by the bus: it does not wait.
    bus.publish(events.slice(1, 2));
    await state.look();
    expect(await figures(registry, 'mplp_outbox_waiting_events', 'module')).toEqual({ context: 2 });
    const { context: age } = await figures(registry, 'mplp_outbox_lag_seconds', 'module');
    expect(age).toBeGreaterThanOrEqual(40);
    expect(age).toBeLessThan(400);
    const waiting = async () => {
      await tail.sweep();
      await state.look();
      return figures(registry, 'mplp_outbox_waiting_events', 'module');
    };
    // A sweep leaves out what transactions of other tests on this server hold back.
    await expect.poll(waiting, { timeout: 10_000 }).toEqual({ context: 0 });
    expect(await figures(registry, 'mplp_outbox_lag_seconds', 'module')).toEqual({ context: 0 });
    await state.close();
    await tail.close();
  });

  it('events that a consumer of this process has not taken; not those of consumers that are no more', async () => {
    const bus = createLocalBus(() => {});
    await sql`INSERT INTO context.consumer_offset (consumer, position) VALUES ('long-gone', 0)`;
    let isStuck = true;
    const consumer = await createConsumer({
      ...{ name: 'slow', module: 'context', sql, bus, logger, pollMs: 600_000 },
      async handle() {
        if (isStuck) throw new Error('stuck');
      },
    });
    const registry = new Registry();
    const state = collectDatabaseState({
      registry,
      modules: ['context'],
      ...{ sqlOf: () => sql, consumerSqlOf: () => sql },
      tail: { waiting: async () => [] },
    });
    const [{ count }] = (await sql`SELECT count(*)::int AS count FROM context.event`) as unknown as [{ count: number }];
    await append(2);
    await state.look();
    expect(await figures(registry, 'mplp_consumer_waiting_events', 'consumer')).toEqual({ slow: count + 2 });
    expect((await figures(registry, 'mplp_consumer_lag_seconds', 'consumer'))['slow']).toBeGreaterThan(0);
    isStuck = false;
    await consumer.catchUp();
    await state.look();
    expect(await figures(registry, 'mplp_consumer_waiting_events', 'consumer')).toEqual({ slow: 0 });
    await consumer.close();
    await state.look();
    expect(await figures(registry, 'mplp_consumer_waiting_events', 'consumer')).toEqual({});
    await state.close();
  });

  it('dead letters and jobs that were given up; what cannot be read is not told', async () => {
    await migrateJobs(database.url);
    const registry = new Registry();
    let isGone = false;
    const going = new Proxy(sql, {
      get: (target, name) =>
        name === 'unsafe' && isGone ? () => Promise.reject(new Error('gone')) : Reflect.get(target, name),
    });
    const state = collectDatabaseState({
      registry,
      modules: ['platform'],
      ...{ sqlOf: () => going, consumerSqlOf: () => going },
      tail: { waiting: async () => [{ module: 'platform', events: 1, seconds: 2 }] },
    });
    await state.look();
    expect(await figures(registry, 'mplp_dead_letters', 'kind')).toEqual({ delivery: 0, job: 0 });
    const worker = await makeWorkerUtils({ connectionString: database.url });
    await worker.addJob('nobody', {}, { maxAttempts: 1 });
    await worker.addJob('nobody', {}, { maxAttempts: 2 });
    await worker.release();
    await sql`UPDATE graphile_worker._private_jobs SET attempts = 1`;
    const subscriptionId = randomUUID();
    for (const status of ['dead', 'dead', 'failed', 'pending'])
      await sql`INSERT INTO platform.delivery ${sql({
        tenant_id: `t${status}`,
        id: randomUUID(),
        subscription_id: subscriptionId,
        event_id: randomUUID(),
        replay_id: randomUUID(),
        partition: 0,
        ordering_key: 'k',
        event: '{}',
        status,
      } as never)}`;
    await state.look();
    expect(await figures(registry, 'mplp_dead_letters', 'kind')).toEqual({ delivery: 2, job: 1 });
    isGone = true;
    await state.look();
    expect(await figures(registry, 'mplp_dead_letters', 'kind')).toEqual({});
    expect(await figures(registry, 'mplp_outbox_lag_seconds', 'module')).toEqual({ platform: 2 });
    await state.close();
  });

  it('the age of the last base backup, by the file that its job touches; nothing before there is one', async () => {
    const registry = new Registry();
    const backupStampFile = join(folder, 'backed-up');
    const state = collectDatabaseState({
      registry,
      modules: ['platform'],
      ...{ sqlOf: () => sql, consumerSqlOf: () => sql, backupStampFile },
      tail: { waiting: async () => [] },
    });
    const told = async () =>
      (await registry.getSingleMetric('mplp_base_backup_age_seconds')!.get()).values.map(({ value }) => value);
    expect(await told()).toEqual([]);
    await writeFile(backupStampFile, '');
    const atSeconds = Date.now() / 1_000 - 30_000;
    await utimes(backupStampFile, atSeconds, atSeconds);
    const [age] = await told();
    expect(age).toBeGreaterThan(operationLines.find(({ name }) => name === 'base_backup_age')!.above);
    await state.close();
  });

  it('every line that operators hear of has a figure', async () => {
    const registry = new Registry();
    const state = collectDatabaseState({
      registry,
      modules: ['platform'],
      ...{ sqlOf: () => sql, consumerSqlOf: () => sql, backupStampFile: join(folder, 'none') },
      tail: { waiting: async () => [] },
    });
    const names = new Set(registry.getMetricsAsArray().map(({ name }) => name));
    expect(operationLines.filter(({ metric }) => !names.has(metric))).toEqual([]);
    await state.look();
    // This server archives nothing and nobody follows it.
    expect(await figures(registry, 'mplp_replication_lag_seconds', 'standby')).toEqual({});
    expect(await createStandbyReader(sql)()).toEqual([]);
    await state.close();
  });
});
