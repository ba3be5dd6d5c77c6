import type { RequestScope } from '#shared/context.ts';
import { subjectBoundTag } from '#shared/context.ts';
import type { Sql } from '#shared/sql.ts';
import { viewerOf, visibleCondition } from './access.ts';
import { planOf } from './liveState.ts';
import { readLiveRows } from './recommendations.ts';
import type { CollabRow, CollabStats, CollabStatusValue } from './rows.ts';

export interface Metric {
  readonly name: string;
  readonly value: number;
  readonly target: number | null;
  /** Null without a target. */
  readonly met: boolean | null;
}

/** Metrics of which less is better: their targets are upper bounds. */
const lessIsBetter = new Set([
  'mean_turn_ms',
  'timeout_rate',
  'lateness_hours',
  'makespan_hours',
  'open_conflicts',
  'peak_load',
  'late_task_rate',
]);

const rate = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** Figures that follow from the running counts alone. */
export function countedMetrics(stats: CollabStats): Readonly<Record<string, number>> {
  const turns = stats.turnsCompleted + stats.turnsTimedOut;
  return {
    turns_completed: stats.turnsCompleted,
    mean_turn_ms: rate(stats.turnMs, stats.turnsCompleted),
    timeout_rate: rate(stats.turnsTimedOut, turns),
    receipts_per_broadcast: rate(stats.receipts, stats.broadcastsSent),
    tasks_completed: stats.tasksCompleted,
    task_completion_rate: rate(stats.tasksCompleted, stats.tasksCreated),
    task_failure_rate: rate(stats.tasksFailed, stats.tasksCreated),
    late_task_rate: rate(stats.tasksLate, stats.tasksCompleted),
    decisions_concluded: stats.decisionsConcluded,
    adoption_rate: rate(stats.decisionsAdopted, stats.decisionsConcluded),
    open_conflicts: stats.conflictsDetected - stats.conflictsResolved,
    conflict_resolution_rate: rate(stats.conflictsResolved, stats.conflictsDetected),
    recommendation_acceptance: rate(stats.recommendationsAccepted, stats.recommendationsMade),
  };
}

export function withTargets(
  values: Readonly<Record<string, number>>,
  { performanceTargets }: Pick<CollabRow, 'performanceTargets'>,
): readonly Metric[] {
  return Object.entries(values).map(([name, value]) => {
    const target = performanceTargets[name] ?? null;
    const met = target === null ? null : lessIsBetter.has(name) ? value <= target : value >= target;
    return { name, value, target, met };
  });
}

/** Metrics of one collaboration: what was counted, and its plan as it stands. */
export async function readMetrics(sql: Sql, { principal }: RequestScope, collabId: string) {
  const rows = await readLiveRows(sql, principal.tenantId, collabId);
  const plan = planOf(rows.participants, rows.tasks, Date.now());
  const values = {
    ...countedMetrics(rows.collab.stats),
    makespan_hours: plan.makespanHours,
    lateness_hours: plan.latenessHours,
    peak_load: plan.peakLoad,
    open_tasks: plan.openTasks,
    assigned_tasks: plan.assignedTasks,
    impossible_tasks: plan.impossibleTasks,
  };
  return { collabId, metrics: [...withTargets(values, rows.collab)], at: new Date().toISOString() };
}

/** Numbers over the collaborations of a tenant, or of one context, that the caller may see. */
export async function readStatistics(sql: Sql, scope: RequestScope, contextId: string | null) {
  const viewer = viewerOf(scope.principal);
  const [row] = (await sql.unsafe(
    `SELECT count(*)::int AS total,
       coalesce(json_object_agg(status, n) FILTER (WHERE status IS NOT NULL), '{}') AS "byStatus"
     FROM (SELECT c.status, count(*)::int AS n FROM collab.collaboration c WHERE c.tenant_id = $1 AND ($2::uuid IS NULL OR c.context_id = $2::uuid)
       AND ($3::text[] IS NULL OR ${visibleCondition('c', '$3')}) GROUP BY c.status) s`,
    [scope.principal.tenantId, contextId, viewer as never],
    { prepare: true },
  )) as unknown as { byStatus: Partial<Record<CollabStatusValue, number>> }[];
  const [sums] = (await sql.unsafe(
    `SELECT coalesce(sum(c.participant_count), 0)::int AS participants,
       coalesce(sum((c.stats->>'turnsCompleted')::int), 0)::int AS "turnsCompleted",
       coalesce(sum((c.stats->>'tasksCompleted')::int), 0)::int AS "tasksCompleted",
       coalesce(sum((c.stats->>'decisionsConcluded')::int), 0)::int AS "decisionsConcluded",
       coalesce(sum((c.stats->>'conflictsDetected')::int - (c.stats->>'conflictsResolved')::int), 0)::int AS "openConflicts"
     FROM collab.collaboration c WHERE c.tenant_id = $1 AND ($2::uuid IS NULL OR c.context_id = $2::uuid)
       AND ($3::text[] IS NULL OR ${visibleCondition('c', '$3')})`,
    [scope.principal.tenantId, contextId, viewer as never],
    { prepare: true },
  )) as unknown as Record<
    'participants' | 'turnsCompleted' | 'tasksCompleted' | 'decisionsConcluded' | 'openConflicts',
    number
  >[];
  const byStatus = row!.byStatus;
  return {
    total: Object.values(byStatus).reduce((all, n) => all + n, 0),
    byStatus: Object.entries(byStatus)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([status, count]) => ({ status: status.toUpperCase() as Uppercase<CollabStatusValue>, count })),
    ...sums!,
  };
}

type HealthLevel = 'HEALTHY' | 'DEGRADED' | 'UNHEALTHY';

/** How the module does for the caller's tenant: its database, its followers, and what fell due and was not looked at. */
export async function readHealth(
  { sql, sqlOf }: { readonly sql: Sql; readonly sqlOf: (module: 'context' | 'role' | 'confirm') => Sql },
  scope: RequestScope,
) {
  // What holds at this moment is kept for nobody.
  scope.readTags.add(subjectBoundTag);
  const began = performance.now();
  const [own] = (await sql.unsafe(
    `SELECT count(*) FILTER (WHERE c.status = 'active')::int AS active,
       count(*) FILTER (WHERE c.status = 'active' AND c.next_deadline_at < now() - interval '2 minutes')::int AS overdue,
       count(*) FILTER (WHERE c.suspended_by = 'silence')::int AS silent
     FROM collab.collaboration c WHERE c.tenant_id = $1 AND ($2::text[] IS NULL OR ${visibleCondition('c', '$2')})`,
    [scope.principal.tenantId, viewerOf(scope.principal) as never],
    { prepare: true },
  )) as unknown as { active: number; overdue: number; silent: number }[];
  const databaseMs = performance.now() - began;
  const followers = await Promise.all(
    (['context', 'role', 'confirm'] as const).map(async (module) => {
      try {
        const [row] = (await sqlOf(module).unsafe(
          `SELECT coalesce(max(extract(epoch FROM now() - (SELECT e.created_at FROM ${module}.event e WHERE e.position > o.position ORDER BY e.position LIMIT 1))), 0)::float8 AS behind
           FROM ${module}.consumer_offset o WHERE o.consumer LIKE 'collab.%'`,
          [],
          { prepare: true },
        )) as unknown as { behind: number }[];
        return { module, behind: row?.behind ?? 0 };
      } catch {
        return { module, behind: null };
      }
    }),
  );
  const judge = (name: string, level: HealthLevel, detail: string) => ({ name, level, detail });
  const components = [
    judge(
      'database',
      databaseMs > 1_000 ? 'UNHEALTHY' : databaseMs > 100 ? 'DEGRADED' : 'HEALTHY',
      databaseMs > 100 ? `answers within ${Math.ceil(databaseMs)} ms` : 'answers within 100 ms',
    ),
    ...followers.map(({ module, behind }) =>
      behind === null
        ? judge(`events of ${module}`, 'UNHEALTHY', 'out of reach')
        : judge(
            `events of ${module}`,
            behind > 60 ? 'UNHEALTHY' : behind > 5 ? 'DEGRADED' : 'HEALTHY',
            behind > 5 ? `${Math.ceil(behind)} s behind` : 'less than 5 s behind',
          ),
    ),
    judge('timers', own!.overdue > 0 ? 'DEGRADED' : 'HEALTHY', `${own!.overdue} collaborations with something overdue`),
    judge(
      'silence',
      own!.silent > 0 ? 'DEGRADED' : 'HEALTHY',
      `${own!.silent} collaborations in which nobody takes turns`,
    ),
  ];
  const ranks: readonly HealthLevel[] = ['HEALTHY', 'DEGRADED', 'UNHEALTHY'];
  const worst = Math.max(...components.map(({ level }) => ranks.indexOf(level)));
  return { overall: ranks[worst]!, components, activeCollaborations: own!.active, checkedAt: new Date() };
}
