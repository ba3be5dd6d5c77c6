import { observedTables } from '#shared/observedTables.ts';
import { maintainPartitions } from '#shared/partitions.ts';
import type { Sql } from '#shared/sql.ts';
import { perfTenant } from './context.ts';
import { copyRows, withoutIndexes } from './copyRows.ts';
import { logSources } from './observed.ts';
import { seedId } from './seedId.ts';

const dayMs = 86_400_000;
const errorEvery = 100;
const retention = { LOG_RETENTION_DAYS: 30, METRIC_RETENTION_DAYS: 2, ERROR_RETENTION_DAYS: 30 };

/** Records of a day at equal gaps, number 0 the newest at `endMs`: who knows these two numbers knows every record. */
export interface LogDay {
  readonly records: number;
  readonly endMs: number;
}

export const sourceName = (source: number): string => `source-${source}`;
export const messageOf = (n: number): string => `record ${n} of the day`;
const gapMs = (records: number): number => Math.max(1, Math.floor(dayMs / records));
const isError = (n: number): boolean => Math.floor(n / logSources) % errorEvery === 0;

/** Numbers of the records within a range, the newest first; empty where the last is less than the first. */
function numbersWithin({ records, endMs }: LogDay, fromMs: number, toMs: number): { first: number; last: number } {
  const gap = gapMs(records);
  return {
    first: Math.max(0, Math.floor((endMs - toMs) / gap) + 1),
    last: Math.min(records - 1, Math.floor((endMs - fromMs) / gap)),
  };
}

export function countWithin(day: LogDay, fromMs: number, toMs: number): number {
  const { first, last } = numbersWithin(day, fromMs, toMs);
  return Math.max(0, last - first + 1);
}

/** Messages of the newest records of a source at INFO within a range. */
export function newestOf(
  day: LogDay,
  source: number,
  { fromMs, toMs, most }: { readonly fromMs: number; readonly toMs: number; readonly most: number },
): string[] {
  const { first, last } = numbersWithin(day, fromMs, toMs);
  const found: string[] = [];
  for (let n = first; n <= last && found.length < most; n += 1)
    if (n % logSources === source && !isError(n)) found.push(messageOf(n));
  return found;
}

function* logRows({ records, endMs }: LogDay) {
  const gap = gapMs(records);
  for (let n = 0; n < records; n += 1)
    yield [
      perfTenant,
      seedId('logRecord', n),
      new Date(endMs - n * gap),
      isError(n) ? 50 : 30,
      sourceName(n % logSources),
      'work',
      messageOf(n),
      `c${Math.floor(n / 10)}`,
      { n },
    ];
}

const columns = [
  'tenant_id',
  'id',
  'at',
  'level',
  'module',
  'operation',
  'message',
  'correlation_id',
  'metadata',
] as const;

/** Records of the last day, uniform over the sources, one in a hundred at ERROR, with their counts by minute. */
export async function seedLogDay(sql: Sql, records: number, log: (text: string) => void): Promise<void> {
  const endMs = Date.now();
  // Yesterday's partition: a running platform made it at the time.
  for (const day of [1, 0]) await maintainPartitions(sql, observedTables(retention), new Date(endMs - day * dayMs));
  await withoutIndexes(sql, 'platform.log', () => copyRows(sql, 'platform.log', columns, logRows({ records, endMs })));
  await sql.unsafe(
    `INSERT INTO platform.log_rollup (tenant_id, minute, module, level, count)
     SELECT tenant_id, date_trunc('minute', at), module, level, count(*) FROM platform.log WHERE tenant_id = $1 GROUP BY 1, 2, 3, 4`,
    [perfTenant],
  );
  log(`${records} records of a day`);
}

/** The day that a database was filled with; records of later are not part of it. */
export async function readLogDay(sql: Sql, records: number): Promise<LogDay> {
  const [row] = await sql<{ endMs: number }[]>`
    SELECT (extract(epoch FROM max(at)) * 1000)::float8 AS "endMs" FROM platform.log WHERE tenant_id = ${perfTenant}`;
  return { records, endMs: row!.endMs };
}
