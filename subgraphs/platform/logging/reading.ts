import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { type LogLevel, levelName, logLevels } from '#shared/logs/record.ts';
import { isoText } from '#shared/record.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { logFilter } from './inputs.ts';

const list = 'logs';
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const maxIntervals = 1_500;
const intervalMs = { MINUTE: 60_000, HOUR: hourMs, DAY: dayMs } as const;

export interface LogRow {
  readonly id: string;
  readonly timestamp: string;
  readonly ordinal: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly module: string;
  readonly operation: string | null;
  readonly correlationId: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly userId: string | null;
  readonly metadata: unknown;
  readonly stack: string | null;
}

const columns = `id, ${isoText('at')} AS "timestamp", ordinal, level, message, module, operation, correlation_id AS "correlationId",
  trace_id AS "traceId", span_id AS "spanId", user_id AS "userId", metadata, stack`;

const withName = (row: Omit<LogRow, 'level'> & { level: number }): LogRow => ({ ...row, level: levelName(row.level) });

/** Each condition that is asked for and no other: a plan that is made once must know which index it can go by. */
function conditionsOf(tenantId: string, given: unknown, sinceMs: number) {
  const filter = parseInput(logFilter, given ?? {}, ['filter']);
  const parameters: unknown[] = [tenantId, (filter.from ?? new Date(Date.now() - sinceMs)).toISOString()];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const conditions = ['tenant_id = $1', 'at >= $2::text::timestamptz'];
  if (filter.to) conditions.push(`at < ${bind(filter.to.toISOString())}::text::timestamptz`);
  if (filter.levels) conditions.push(`level = ANY(${bind(filter.levels.map((name) => logLevels[name]))}::smallint[])`);
  // A constant, so that the index over what is severe can be used.
  if (filter.minLevel) conditions.push(`level >= ${logLevels[filter.minLevel]}`);
  if (filter.modules?.length === 1) conditions.push(`module = ${bind(filter.modules[0])}`);
  else if (filter.modules) conditions.push(`module = ANY(${bind(filter.modules)}::text[])`);
  for (const [column, value] of [
    ['operation', filter.operation],
    ['correlation_id', filter.correlationId],
    ['trace_id', filter.traceId],
    ['user_id', filter.userId],
  ] as const)
    if (value != null) conditions.push(`${column} = ${bind(value)}`);
  if (filter.text != null) conditions.push(`message ILIKE ${bind(`%${filter.text.replace(/[\\%_]/g, '\\$&')}%`)}`);
  return { filter, parameters, conditions, bind };
}

/** Records and their counts as they are read. */
export function createLogReading(sql: Sql) {
  return {
    async logs({ principal }: RequestScope, given: unknown, input: PageInput) {
      const page = readPage(list, 2, input);
      const { parameters, conditions, bind } = conditionsOf(principal.tenantId, given, dayMs);
      if (page.from)
        conditions.push(`(at, ordinal) < (${bind(page.from[0])}::text::timestamptz, ${bind(page.from[1])}::bigint)`);
      const rows = (await sql.unsafe(
        `SELECT ${columns} FROM platform.log WHERE ${conditions.join(' AND ')} ORDER BY at DESC, ordinal DESC LIMIT ${bind(page.limit + 1)}`,
        parameters as string[],
        { prepare: true },
      )) as unknown as (LogRow & { level: never })[];
      return createConnection(list, page, rows.map(withName), (row) => [row.timestamp, row.ordinal]);
    },

    async log({ principal }: RequestScope, logId: string): Promise<LogRow | null> {
      if (!isId(logId)) return null;
      const [row] = (await sql.unsafe(
        `SELECT ${columns} FROM platform.log WHERE tenant_id = $1 AND id = $2`,
        [principal.tenantId, logId],
        { prepare: true },
      )) as unknown as (LogRow & { level: never })[];
      return row ? withName(row) : null;
    },

    /** @throws {VALIDATION_FAILED} where the range holds more than 1,500 intervals. */
    async aggregate(
      { principal }: RequestScope,
      given: unknown,
      groupBy: readonly ('LEVEL' | 'MODULE')[],
      interval: keyof typeof intervalMs,
    ) {
      const { filter, parameters, conditions } = conditionsOf(principal.tenantId, given, hourMs);
      const widthMs = intervalMs[interval];
      const from = filter.from ?? new Date(Date.now() - hourMs);
      const to = filter.to ?? new Date();
      const intervals = (to.getTime() - from.getTime()) / widthMs;
      if (intervals > maxIntervals || intervals < 0)
        throw new PlatformError(
          'VALIDATION_FAILED',
          `filter: expected a range of at most ${maxIntervals} intervals, got ${Math.ceil(intervals)}`,
          { path: ['filter', 'from'] },
        );
      const groups = [
        ...(groupBy.includes('LEVEL') ? ['level'] : []),
        ...(groupBy.includes('MODULE') ? ['module'] : []),
      ];
      const named = groups.map((group) => `, ${group}`).join('');
      // Counts are by whole minutes: the first one counts in full.
      parameters[1] = new Date(Math.floor(from.getTime() / 60_000) * 60_000).toISOString();
      const rows = (await sql.unsafe(
        `SELECT ${isoText('binned')} AS start${named}, count, errors FROM (
           SELECT date_bin('${widthMs} ms'::interval, minute, 'epoch'::timestamptz) AS binned${named}, sum(count)::int AS count,
             coalesce(sum(count) FILTER (WHERE level >= ${logLevels.ERROR}), 0)::int AS errors
           FROM platform.log_rollup WHERE ${conditions.join(' AND ').replaceAll(/\bat\b/g, 'minute')} GROUP BY 1${named}
         ) counted ORDER BY binned${named}`,
        parameters as string[],
        { prepare: true },
      )) as unknown as { start: string; level?: number; module?: string; count: number; errors: number }[];
      return {
        interval,
        from,
        to,
        total: rows.reduce((sum, { count }) => sum + count, 0),
        buckets: rows.map(({ start, level, module, count, errors }) => ({
          start,
          level: level === undefined ? null : levelName(level),
          module: module ?? null,
          count,
          perSecond: count / (widthMs / 1_000),
          errorShare: errors / count,
        })),
      };
    },
  };
}
