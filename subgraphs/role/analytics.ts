import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { listHolders } from './decision/index.ts';
import { compareText } from './hierarchy/order.ts';
import type { RoleReplicas } from './replicas.ts';

const dayMs = 86_400_000;
const maxListed = 10;
const maxUnused = 50;

/** Counts over a period, at most a year. @throws {VALIDATION_FAILED} */
export async function readAnalytics(
  { sql, replicas }: { readonly sql: Sql; readonly replicas: RoleReplicas },
  tenantId: string,
  period: { readonly from?: Date | null | undefined; readonly to?: Date | null | undefined },
) {
  const to = period.to ?? new Date();
  const from = period.from ?? new Date(to.getTime() - 30 * dayMs);
  if (from >= to || to.getTime() - from.getTime() > 366 * dayMs)
    throw new PlatformError('VALIDATION_FAILED', 'expected from before to, and at most a year', { path: ['from'] });
  const span = [tenantId, from.toISOString(), to.toISOString()];
  const run = async <Row>(text: string, values: readonly string[]) =>
    (await sql.unsafe(text, values as string[], { prepare: true })) as unknown as Row[];
  type Counted = { name: string; count: number };
  const [roles, assignments, ended, decided, reasons] = await Promise.all([
    run<Counted>(
      'SELECT upper(status) AS name, count(*) AS count FROM role.role WHERE tenant_id = $1 AND deleted_at IS NULL GROUP BY status ORDER BY status',
      [tenantId],
    ),
    run<Counted>(
      'SELECT upper(status) AS name, count(*) AS count FROM role.assignment WHERE tenant_id = $1 GROUP BY status ORDER BY status',
      [tenantId],
    ),
    run<{ assigned: number; ended: number }>(
      `SELECT count(*) FILTER (WHERE created_at >= $2::timestamptz AND created_at < $3::timestamptz) AS assigned,
              count(*) FILTER (WHERE status IN ('revoked', 'expired') AND updated_at >= $2::timestamptz AND updated_at < $3::timestamptz) AS ended
       FROM role.assignment WHERE tenant_id = $1`,
      span,
    ),
    run<{ decisions: number; denied: number; p95: number | null }>(
      `SELECT count(*) AS decisions, count(*) FILTER (WHERE decision = 'DENY') AS denied,
              percentile_cont(0.95) WITHIN GROUP (ORDER BY evaluation_us) AS p95
       FROM role.decision WHERE tenant_id = $1 AND created_at >= $2::timestamptz AND created_at < $3::timestamptz`,
      span,
    ),
    run<Counted>(
      `SELECT reason AS name, count(*) AS count FROM role.decision
       WHERE tenant_id = $1 AND created_at >= $2::timestamptz AND created_at < $3::timestamptz AND decision = 'DENY'
       GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 20`,
      span,
    ),
  ]);
  const { snapshot } = await replicas.load(tenantId);
  const counted = snapshot.roles.flatMap((compiled) => {
    if (compiled === undefined) return [];
    const { roleId, status } = compiled.role;
    return [{ roleId, status, holders: listHolders(snapshot, roleId).direct.length }];
  });
  const isInherited = (roleId: string) =>
    snapshot.graph.nodes[snapshot.graph.indexes.get(roleId)!]!.children.length > 0;
  const { decisions, denied, p95 } = decided[0]!;
  return {
    from,
    to,
    roles,
    assignments,
    ...ended[0]!,
    decisions,
    denied,
    denialRate: decisions === 0 ? 0 : denied / decisions,
    evaluationP95Us: p95 ?? 0,
    denialsByReason: reasons,
    mostHeld: counted
      .filter(({ holders }) => holders > 0)
      .sort((one, two) => two.holders - one.holders || compareText(one.roleId, two.roleId))
      .slice(0, maxListed),
    unusedIds: counted
      .filter(({ roleId, status, holders }) => status === 'active' && holders === 0 && !isInherited(roleId))
      .map(({ roleId }) => roleId)
      .sort(compareText)
      .slice(0, maxUnused),
  };
}
