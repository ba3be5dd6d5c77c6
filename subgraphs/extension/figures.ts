import { PlatformError } from '#shared/errors.ts';
import { isoText } from '#shared/record.ts';
import type { Sql } from '#shared/sql.ts';
import { wilsonLowerBound } from './discovery/wilson.ts';
import type { Breakers } from './execution/breakers.ts';
import type { ExtensionRow, ExtensionSandboxRow } from './rows.ts';

const maxHours = 24 * 31;
/** Shares of failed calls in the last hour that are worth a word, and that are too many. */
const [degradedAt, unhealthyAt] = [0.05, 0.25];

interface MethodFigures {
  readonly capabilityId: string;
  readonly method: string;
  readonly invocations: number;
  readonly failures: number;
  readonly crashes: number;
  readonly cacheHits: number;
  readonly totalMs: number;
  readonly maxResponseTimeMs: number;
}

async function readMethods(sql: Sql, { tenantId, id }: ExtensionRow, hours: number): Promise<readonly MethodFigures[]> {
  return (await sql.unsafe(
    `SELECT u.capability_id AS "capabilityId", u.method, sum(u.invocations)::float8 AS invocations, sum(u.failures)::float8 AS failures,
       sum(u.crashes)::float8 AS crashes, sum(u.cache_hits)::float8 AS "cacheHits", sum(u.total_ms) AS "totalMs", max(u.max_ms) AS "maxResponseTimeMs"
     FROM extension.usage u WHERE u.tenant_id = $1 AND u.extension_id = $2 AND u.hour >= date_trunc('hour', now(), 'UTC') - make_interval(hours => $3::int - 1)
     GROUP BY u.capability_id, u.method ORDER BY u.method, u.capability_id`,
    [tenantId, id, hours],
    { prepare: true },
  )) as unknown as readonly MethodFigures[];
}

/** @throws {VALIDATION_FAILED} */
export function requireHours(hours: number): void {
  if (hours < 1 || hours > maxHours)
    throw new PlatformError('VALIDATION_FAILED', `hours: expected 1 to ${maxHours}, got ${hours}`, { path: ['hours'] });
}

/** Calls of the last hours, whole hours of the clock. @throws {VALIDATION_FAILED} */
export async function readExtensionMetrics(sql: Sql, extension: ExtensionRow, hours: number) {
  requireHours(hours);
  const [methods, [clock]] = await Promise.all([
    readMethods(sql, extension, hours),
    sql.unsafe(
      `SELECT ${isoText("(date_trunc('hour', now(), 'UTC') - make_interval(hours => $1::int - 1))")} AS "from"`,
      [hours],
      { prepare: true },
    ) as unknown as Promise<{ from: string }[]>,
  ]);
  const sum = (of: (row: MethodFigures) => number) => methods.reduce((total, row) => total + of(row), 0);
  const invocations = sum((row) => row.invocations);
  const failures = sum((row) => row.failures);
  const percent = (part: number) => (invocations === 0 ? null : (100 * part) / invocations);
  return {
    extensionId: extension.id,
    from: clock!.from,
    invocations,
    failures,
    crashes: sum((row) => row.crashes),
    cacheHits: sum((row) => row.cacheHits),
    avgResponseTimeMs: invocations === 0 ? null : sum((row) => row.totalMs) / invocations,
    successRatePercent: percent(invocations - failures),
    errorRatePercent: percent(failures),
    successLowerBound: wilsonLowerBound(invocations - failures, invocations),
    methods: methods.map(({ totalMs, ...row }) => ({ ...row, avgResponseTimeMs: totalMs / row.invocations })),
  };
}

export interface UsageKey {
  readonly extensionId: string;
  readonly hours: number;
}

export interface SandboxUsage extends UsageKey {
  readonly invocations: number;
  readonly crashes: number;
  readonly cpuTimeMs: number;
  readonly memoryPeakBytes: number;
  readonly hostCalls: number;
  readonly storedBytes: number;
}

/** What the calls of extensions took in the last hours, whole hours of the clock, in the order of the keys. */
export async function readSandboxUsage(
  sql: Sql,
  tenantId: string,
  keys: readonly UsageKey[],
): Promise<readonly SandboxUsage[]> {
  return (await sql.unsafe(
    `SELECT k.extension_id AS "extensionId", k.hours, coalesce(u.invocations, 0) AS invocations, coalesce(u.crashes, 0) AS crashes,
       coalesce(u.cpu, 0) AS "cpuTimeMs", coalesce(u.memory, 0) AS "memoryPeakBytes", coalesce(u.host_calls, 0) AS "hostCalls",
       coalesce(s.size, 0) AS "storedBytes"
     FROM unnest($2::uuid[], $3::int[]) WITH ORDINALITY AS k(extension_id, hours, place)
     CROSS JOIN LATERAL (
       SELECT sum(u.invocations)::float8 AS invocations, sum(u.crashes)::float8 AS crashes, sum(u.cpu_ms)::float8 AS cpu,
         max(u.memory_peak)::float8 AS memory, sum(u.host_calls)::float8 AS host_calls
       FROM extension.usage u WHERE u.tenant_id = $1 AND u.extension_id = k.extension_id
         AND u.hour >= date_trunc('hour', now(), 'UTC') - make_interval(hours => k.hours - 1)
     ) u
     CROSS JOIN LATERAL (
       SELECT sum(s.size_bytes)::float8 AS size FROM extension.state s WHERE s.tenant_id = $1 AND s.extension_id = k.extension_id
     ) s
     ORDER BY k.place`,
    [tenantId, keys.map(({ extensionId }) => extensionId), keys.map(({ hours }) => hours)],
    { prepare: true },
  )) as unknown as readonly SandboxUsage[];
}

export interface CapabilityFigures {
  readonly avgResponseTimeMs: number | null;
  readonly successRatePercent: number | null;
  readonly errorRatePercent: number | null;
  readonly totalInvocations: number;
  readonly last24h: number;
}

/** What calls of capabilities came to, in the order of the ids. */
export async function readCapabilityFigures(
  sql: Sql,
  tenantId: string,
  ids: readonly string[],
): Promise<CapabilityFigures[]> {
  const rows = (await sql.unsafe(
    `SELECT u.capability_id AS id, sum(u.invocations)::float8 AS invocations, sum(u.failures)::float8 AS failures, sum(u.total_ms) AS "totalMs",
       coalesce(sum(u.invocations) FILTER (WHERE u.hour >= date_trunc('hour', now(), 'UTC') - interval '23 hours'), 0)::float8 AS last24h
     FROM extension.usage u JOIN extension.capability c ON c.tenant_id = u.tenant_id AND c.extension_id = u.extension_id AND c.id = u.capability_id
     WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) GROUP BY u.capability_id`,
    [tenantId, ids as string[]],
    { prepare: true },
  )) as unknown as { id: string; invocations: number; failures: number; totalMs: number; last24h: number }[];
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => {
    const { invocations = 0, failures = 0, totalMs = 0, last24h = 0 } = found.get(id) ?? {};
    const of = (value: number) => (invocations === 0 ? null : value / invocations);
    return {
      avgResponseTimeMs: of(totalMs),
      successRatePercent: of(100 * (invocations - failures)),
      errorRatePercent: of(100 * failures),
      totalInvocations: invocations,
      last24h,
    };
  });
}

/** How an extension does: its state, what its calls came to in the last hour, and what is refused. */
export async function readExtensionHealth(
  sql: Sql,
  extension: ExtensionRow,
  { sandbox, breakers }: { readonly sandbox: ExtensionSandboxRow | null; readonly breakers: Breakers },
) {
  const [row] = (await sql.unsafe(
    `SELECT count(*)::int AS calls, (count(*) FILTER (WHERE status = 'failed'))::int AS failures
     FROM extension.execution WHERE tenant_id = $1 AND extension_id = $2 AND created_at > now() - interval '1 hour'`,
    [extension.tenantId, extension.id],
    { prepare: true },
  )) as unknown as { calls: number; failures: number }[];
  const { calls, failures } = row!;
  const errorRate = calls === 0 ? null : failures / calls;
  const openCircuits = breakers.openOf(`${extension.tenantId}/${extension.id}`);
  const runs = extension.runtimeState === 'active' || extension.runtimeState === 'reloading';
  const broken = extension.runtimeState === 'error' || extension.runtimeState === 'quarantined';
  const healthFailures = sandbox?.healthFailures ?? 0;
  const reasons = [
    ...(broken ? [`it is ${extension.runtimeState}`] : []),
    ...(openCircuits.length > 0 ? [`calls of ${openCircuits.join(', ')} are refused`] : []),
    ...(errorRate !== null && errorRate >= degradedAt ? [`${Math.round(errorRate * 100)} % of its calls failed`] : []),
    ...(healthFailures > 0 ? [`its health check failed ${healthFailures} times`] : []),
  ];
  const level =
    broken || (errorRate ?? 0) >= unhealthyAt || healthFailures >= 3
      ? ('UNHEALTHY' as const)
      : !runs
        ? ('STOPPED' as const)
        : reasons.length > 0
          ? ('DEGRADED' as const)
          : ('HEALTHY' as const);
  return {
    extensionId: extension.id,
    level,
    runtimeState: extension.runtimeState,
    errorRate,
    openCircuits,
    healthFailures,
    healthCheckedAt: sandbox?.healthCheckedAt ?? null,
    reasons,
  };
}
