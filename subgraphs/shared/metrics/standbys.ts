import type { Sql } from '../sql.ts';

export interface StandbyLag {
  readonly standby: string;
  /** Written by the primary and not replayed there. */
  readonly bytes: number;
  /** Age of the oldest of it, s; 0 of none. */
  readonly seconds: number;
}

interface StandbyRow {
  readonly standby: string;
  readonly written: number;
  readonly replayed: number;
  readonly reported: number | null;
}

const maxLooks = 5_000;

/**
 * Follows the standbys of a server by `pg_stat_replication`, which tells them to members of `pg_monitor` alone. The lag that
 * a standby reports stops where its replay does, so what the server had written at earlier looks is held against it, too.
 */
export function createStandbyReader(sql: Sql): () => Promise<readonly StandbyLag[]> {
  const looks: { readonly written: number; readonly atMs: number }[] = [];
  return async () => {
    const rows = (await sql.unsafe(
      `SELECT concat_ws(' ', nullif(application_name, ''), client_addr::text) AS standby,
         pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS written, pg_wal_lsn_diff(replay_lsn, '0/0')::float8 AS replayed,
         extract(epoch FROM replay_lag)::float8 AS reported
       FROM pg_stat_replication WHERE NOT pg_is_in_recovery() AND state IN ('streaming', 'catchup') AND replay_lsn IS NOT NULL
       ORDER BY standby`,
      [],
      { prepare: true },
    )) as unknown as StandbyRow[];
    const atMs = performance.now();
    const written = rows[0]?.written;
    if (written === undefined) {
      looks.length = 0;
      return [];
    }
    if (written > (looks.at(-1)?.written ?? -1)) looks.push({ written, atMs });
    const least = Math.min(...rows.map(({ replayed }) => replayed));
    while (looks.length > 0 && looks[0]!.written <= least) looks.shift();
    // The oldest stays: by it the lag is told.
    if (looks.length > maxLooks) looks.splice(1, 1);
    return rows.map(({ standby, replayed, reported }) => {
      const bytes = Math.max(0, written - replayed);
      const since = looks.find((look) => look.written > replayed)?.atMs ?? atMs;
      return { standby, bytes, seconds: bytes === 0 ? 0 : Math.max(reported ?? 0, (atMs - since) / 1_000) };
    });
  };
}
