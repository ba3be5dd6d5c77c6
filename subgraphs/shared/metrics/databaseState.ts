import { statSync } from 'node:fs';
import { Gauge, type Registry } from 'prom-client';
import type { SubgraphName } from '../../names.ts';
import { runForAll } from '../cancellation.ts';
import { consumersOf } from '../consumer.ts';
import { type EventTail, maxWaiting } from '../eventTail.ts';
import type { Sql } from '../sql.ts';
import { createStandbyReader } from './standbys.ts';

export interface DatabaseStateOptions {
  readonly registry: Registry;
  readonly modules: readonly SubgraphName[];
  readonly sqlOf: (module: SubgraphName) => Sql;
  readonly consumerSqlOf: (module: SubgraphName) => Sql;
  readonly tail: Pick<EventTail, 'waiting'>;
  /** File that is touched after each base backup. @default nothing is told of them */
  readonly backupStampFile?: string | undefined;
}

export interface DatabaseState {
  /** Looks now; a scrape tells what the look before it found. */
  look(): Promise<void>;
  close(): Promise<void>;
}

/** Looks that follow each other faster are one, ms. */
const freshMs = 1_000;

/** What waits in the databases, and how far what follows them lies behind: what cannot be read is not told. */
export function collectDatabaseState(options: DatabaseStateOptions): DatabaseState {
  const { registry, modules } = options;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | null = null;
  let closed = false;
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      // Asked behind the answer: whoever scrapes does not wait for the database.
      collect: () => void ask(),
    });
  const outboxLag = gauge('mplp_outbox_lag_seconds', 'Age of the oldest event not handed on here, s', ['module']);
  const outboxWaiting = gauge('mplp_outbox_waiting_events', `Events not handed on here, ${maxWaiting} at most`, [
    'module',
  ]);
  const consumerLabels = ['module', 'consumer'] as const;
  const consumerLag = gauge('mplp_consumer_lag_seconds', 'Age of the oldest event not consumed, s', consumerLabels);
  const consumerWaiting = gauge(
    'mplp_consumer_waiting_events',
    `Events not consumed, ${maxWaiting} at most`,
    consumerLabels,
  );
  const deadLetters = gauge('mplp_dead_letters', 'Deliveries and jobs that were given up and wait for somebody', [
    'kind',
  ]);
  const standbyLabels = ['database', 'standby'] as const;
  const replicationLag = gauge(
    'mplp_replication_lag_seconds',
    'Age of the oldest not replayed there, s',
    standbyLabels,
  );
  const replicationBytes = gauge('mplp_replication_lag_bytes', 'Written and not replayed there', standbyLabels);
  const archiveAge = gauge('mplp_wal_archive_age_seconds', 'Time since WAL was archived last, s', ['database']);
  const { backupStampFile } = options;
  if (backupStampFile !== undefined)
    new Gauge({
      name: 'mplp_base_backup_age_seconds',
      help: 'Time since the last base backup ended, s',
      registers: [registry],
      collect() {
        const found = statSync(backupStampFile, { throwIfNoEntry: false });
        // `reset` would make it 0.
        if (found === undefined) this.remove();
        else this.set(Math.max(0, (Date.now() - found.mtimeMs) / 1_000));
      },
    });

  /** Tells at once what was read, in the place of what was told; nothing where it could not be read. */
  async function renew(gauges: readonly { reset(): void }[], read: () => Promise<() => void>): Promise<void> {
    const tell = await read().catch(() => () => {});
    for (const one of gauges) one.reset();
    tell();
  }

  async function readOutbox(): Promise<() => void> {
    const waiting = await options.tail.waiting();
    return () => {
      for (const { module, events, seconds } of waiting) {
        outboxLag.set({ module }, seconds);
        outboxWaiting.set({ module }, events);
      }
    };
  }

  async function readConsumers(): Promise<() => void> {
    const found: { module: SubgraphName; consumer: string; events: number; seconds: number | null }[] = [];
    const pools = new Set(modules.flatMap((module) => [options.sqlOf(module), options.consumerSqlOf(module)]));
    for (const sql of pools) {
      const byModule = Map.groupBy(consumersOf(sql), ({ module }) => module);
      for (const [module, consumers] of byModule) {
        const rows = (await sql.unsafe(
          `SELECT o.consumer, w.events, w.seconds FROM ${module}.consumer_offset o CROSS JOIN LATERAL (
             SELECT count(*)::int AS events, greatest(0, extract(epoch FROM now() - min(created_at)))::float8 AS seconds FROM (
               SELECT created_at FROM ${module}.event e WHERE e.position > o.position ORDER BY e.position LIMIT ${maxWaiting}) t) w
           WHERE o.consumer = ANY($1::text[])`,
          [consumers.map(({ name }) => name)],
          { prepare: true },
        )) as unknown as { consumer: string; events: number; seconds: number | null }[];
        found.push(...rows.map((row) => ({ module, ...row })));
      }
    }
    return () => {
      for (const { module, consumer, events, seconds } of found) {
        consumerLag.set({ module, consumer }, seconds ?? 0);
        consumerWaiting.set({ module, consumer }, events);
      }
    };
  }

  const databases = [...new Set(modules.map(options.sqlOf))];

  async function readDeadLetters(): Promise<() => void> {
    const [dead] = (await options
      .sqlOf('platform')
      .unsafe("SELECT count(*)::int AS count FROM platform.delivery WHERE status = 'dead'", [], {
        prepare: true,
      })) as unknown as { count: number }[];
    let jobs = 0;
    for (const sql of databases) {
      const [given] = (await sql.unsafe(
        'SELECT count(*)::int AS count FROM graphile_worker.jobs WHERE attempts >= max_attempts AND locked_at IS NULL',
        [],
        { prepare: true },
      )) as unknown as { count: number }[];
      jobs += given!.count;
    }
    return () => {
      deadLetters.set({ kind: 'delivery' }, dead!.count);
      deadLetters.set({ kind: 'job' }, jobs);
    };
  }

  const standbysOf = new Map(databases.map((sql) => [sql, createStandbyReader(sql)]));

  async function readCopies(): Promise<() => void> {
    const tells: (() => void)[] = [];
    for (const sql of databases) {
      const [row] = (await sql.unsafe(
        `SELECT current_database() AS database, CASE WHEN current_setting('archive_mode') <> 'off'
           THEN extract(epoch FROM now() - coalesce(last_archived_time, pg_postmaster_start_time()))::float8 END AS "archivedSeconds"
         FROM pg_stat_archiver`,
        [],
        { prepare: true },
      )) as unknown as { database: string; archivedSeconds: number | null }[];
      const standbys = await standbysOf.get(sql)!();
      tells.push(() => {
        const { database, archivedSeconds } = row!;
        if (archivedSeconds !== null) archiveAge.set({ database }, archivedSeconds);
        for (const { standby, bytes, seconds } of standbys) {
          replicationLag.set({ database, standby }, seconds);
          replicationBytes.set({ database, standby }, bytes);
        }
      });
    }
    return () => {
      for (const tell of tells) tell();
    };
  }

  async function look(): Promise<void> {
    lookedAtMs = performance.now();
    await Promise.all([
      renew([outboxLag, outboxWaiting], readOutbox),
      renew([consumerLag, consumerWaiting], readConsumers),
      renew([deadLetters], readDeadLetters),
      renew([replicationLag, replicationBytes, archiveAge], readCopies),
    ]);
  }

  function ask(): Promise<void> {
    if (closed || performance.now() - lookedAtMs < freshMs) return looking ?? Promise.resolve();
    looking ??= runForAll(look).finally(() => {
      looking = null;
    });
    return looking;
  }

  return {
    async look() {
      await looking;
      await look();
    },
    async close() {
      closed = true;
      await looking;
    },
  };
}
