import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput } from '#shared/validation.ts';

const maxRangeMs = 7 * 86_400_000;

/** What became of the deliveries that were made within a time, and what waits now. */
export async function findEventMetrics(
  sql: Sql,
  scope: RequestScope,
  { subscriptionId, from, to }: { subscriptionId: string | null; from: Date; to: Date },
) {
  if (subscriptionId !== null) parseInput(id, subscriptionId, ['subscriptionId']);
  if (!(from < to) || to.getTime() - from.getTime() > maxRangeMs)
    throw new PlatformError('VALIDATION_FAILED', 'expected from before to, seven days at most', { path: ['to'] });
  const [row] = await sql<
    Record<
      'deliveries' | 'acknowledged' | 'failed' | 'dead' | 'waiting' | 'retried' | 'timeouts' | 'published',
      number
    >[] &
      { average: number | null; p95: number | null; p99: number | null }[]
  >`
    SELECT count(*) AS deliveries, count(*) FILTER (WHERE status = 'acknowledged') AS acknowledged,
      count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'dead') AS dead,
      count(*) FILTER (WHERE status IN ('pending', 'sent')) AS waiting, count(*) FILTER (WHERE attempt > 1) AS retried,
      count(*) FILTER (WHERE fault IN ('timeout', 'expired')) AS timeouts,
      (SELECT count(*) FROM platform.event e
       WHERE e.tenant_id = ${scope.principal.tenantId} AND e.created_at >= ${from.toISOString()} AND e.created_at < ${to.toISOString()}
         AND e.data ? 'payload' AND e.type !~ '^(delivery|file|config|event)[.]') AS published,
      avg(ms)::float8 AS average, percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99
    FROM (
      SELECT status, attempt, fault, CASE WHEN status = 'acknowledged' THEN extract(epoch FROM ended_at - created_at)::float8 * 1000 END AS ms
      FROM platform.delivery
      WHERE tenant_id = ${scope.principal.tenantId} AND (${subscriptionId}::uuid IS NULL OR subscription_id = ${subscriptionId})
        AND created_at >= ${from.toISOString()} AND created_at < ${to.toISOString()}
    ) AS d`;
  const { deliveries, acknowledged, failed, dead, waiting, retried, timeouts, published, average, p95, p99 } = row!;
  const ended = acknowledged + failed + dead;
  return {
    published,
    deliveries,
    acknowledged,
    failed,
    deadLetters: dead,
    waiting,
    retried,
    timeouts,
    errorRate: ended === 0 ? 0 : (failed + dead) / ended,
    timeoutRate: deliveries === 0 ? 0 : timeouts / deliveries,
    deadLetterRate: ended === 0 ? 0 : dead / ended,
    averageMs: average,
    p95Ms: p95,
    p99Ms: p99,
  };
}
