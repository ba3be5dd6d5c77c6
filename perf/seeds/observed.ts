import { observedTables } from '#shared/observedTables.ts';
import { maintainPartitions } from '#shared/partitions.ts';
import type { Sql } from '#shared/sql.ts';
import { perfTenant } from './context.ts';

export const logSources = 10;
export const errorFingerprints = 20;

const retention = { LOG_RETENTION_DAYS: 30, METRIC_RETENTION_DAYS: 2, ERROR_RETENTION_DAYS: 30 };

/** Records of the last hour, uniform over the sources, one in a hundred at ERROR, with their counts by minute. */
export async function seedLogs(sql: Sql, records: number): Promise<void> {
  await maintainPartitions(sql, observedTables(retention));
  await sql.unsafe(
    `INSERT INTO platform.log (tenant_id, id, at, level, module, operation, message, correlation_id, metadata)
     SELECT $1, gen_random_uuid(), now() - (n::float8 / $2) * interval '1 hour', CASE WHEN n % 100 = 0 THEN 50 ELSE 30 END,
       'source-' || n % ${logSources}, 'work', 'record ' || n || ' of the seed', 'c' || n / 10, jsonb_build_object('n', n)
     FROM generate_series(0, $2::int - 1) AS n`,
    [perfTenant, records],
  );
  await sql.unsafe(
    `INSERT INTO platform.log_rollup (tenant_id, minute, module, level, count)
     SELECT tenant_id, date_trunc('minute', at), module, level, count(*) FROM platform.log GROUP BY 1, 2, 3, 4`,
  );
}

/** Errors of the last hour in their groups. */
export async function seedErrors(sql: Sql, records: number): Promise<void> {
  await maintainPartitions(sql, observedTables(retention));
  await sql.unsafe(
    `INSERT INTO platform.error (tenant_id, id, at, fingerprint, code, message, severity, category, module, recoverable, status_code, details)
     SELECT $1, gen_random_uuid(), now() - (n::float8 / $2) * interval '1 hour', lpad((n % ${errorFingerprints})::text, 32, '0'), 'UNAVAILABLE',
       'seeded ' || n, 'MEDIUM', 'EXTERNAL', 'source-' || n % ${logSources}, true, 503, '{}' FROM generate_series(0, $2::int - 1) AS n`,
    [perfTenant, records],
  );
  await sql.unsafe(
    `INSERT INTO platform.error_group (tenant_id, fingerprint, code, message, severity, category, module, count, first_seen, last_seen, news)
     SELECT tenant_id, fingerprint, min(code), min(message), min(severity), min(category), min(module), count(*), min(at), max(at), gen_random_uuid()
     FROM platform.error GROUP BY 1, 2`,
  );
}
