import type { EventRow } from '#shared/events.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { PlanRow } from './rows.ts';

export const templateTypes = ['workflow.template.created', 'workflow.template.updated'] as const;

/** What a workflow template says about the approval of plans. */
interface ToldTemplate {
  readonly id?: unknown;
  readonly active?: unknown;
  readonly triggers?: Readonly<Record<string, unknown>>;
}

/** Which plans need an approval whatever their authors say: those that a workflow template is bound to. */
export function createApprovalRules({ sql, graph }: Pick<ModuleRuntime, 'sql' | 'graph'>) {
  const replica = createReplica({
    ...{ sql, graph, module: 'plan', type: 'WorkflowTemplate' },
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });
  return {
    /** Takes over what the confirm module tells of its templates. */
    heard: (event: EventRow) => replica.apply(sql, replicaChanges([event], readTemplate)),
  };
}

export type ApprovalRules = ReturnType<typeof createApprovalRules>;

const ruleText = `
SELECT r.id FROM plan.replica r
WHERE r.tenant_id = $1 AND r.type = 'WorkflowTemplate' AND r.status = 'active' AND r.detail->'confirmationTypes' ? 'plan_approval'
  AND (r.detail->'contextIds' IS NULL OR r.detail->'contextIds' ? $2)
  AND ((r.detail->>'minimumAmount') IS NULL OR $3::float8 >= (r.detail->>'minimumAmount')::float8)
  AND ((r.detail->>'maximumAmount') IS NULL OR $3::float8 <= (r.detail->>'maximumAmount')::float8)
  AND (r.detail->'departments' IS NULL OR r.detail->'departments' ? $4)
ORDER BY r.id LIMIT 1`;

/**
 * The template that is bound to the approval of such plans, by what they cost and the department of who moves them; null
 * without one. One that names no kind of approval says how, not whether.
 */
export async function findApprovalRule(
  tx: Sql | SqlTransaction,
  { tenantId, contextId, summary }: Pick<PlanRow, 'tenantId' | 'contextId' | 'summary'>,
  department: unknown,
): Promise<string | null> {
  const rows = (await tx.unsafe(
    ruleText,
    [tenantId, contextId, summary.cost, typeof department === 'string' ? department : null],
    { prepare: true },
  )) as unknown as { id: string }[];
  return rows[0]?.id ?? null;
}

function readTemplate({ type, data }: EventRow): ReplicaEntry | null {
  if (!templateTypes.some((known) => known === type)) return null;
  const { id, active, triggers = {} } = (data['template'] ?? {}) as ToldTemplate;
  return typeof id === 'string' ? { id, status: active === true ? 'active' : 'inactive', detail: triggers } : null;
}
