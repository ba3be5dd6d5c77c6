import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import type { ApproverDirectory, Holder } from './directory.ts';
import type { ResolvedLevel } from './levels.ts';
import type { ConfirmLimits } from './limits.ts';
import type { StepState } from './rows.ts';
import { suitability } from './suitability.ts';
import type { ApproverSelection, ApproverSpec, StepDefinition, WorkflowDefinition } from './workflow/index.ts';

export interface Eligible {
  readonly subject: string;
  readonly role: string | null;
  readonly weight: number;
  readonly required: boolean;
}

export interface RoutingScope {
  readonly tenantId: string;
  readonly contextId: string | null;
  /** Who asked, and decides nothing. */
  readonly requestedBy: string | null;
}

/** Finds the people behind roles: of many holders those that suit best. Each role is asked for once per use. */
export function createRouting(
  sql: Sql,
  directory: ApproverDirectory,
  { maxParallel }: Pick<ConfirmLimits, 'maxParallel'>,
) {
  async function findLoads(tenantId: string, subjects: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = (await sql.unsafe(
      `SELECT a.subject, count(*)::int AS n FROM confirm.approver a WHERE a.tenant_id = $1 AND a.subject = ANY($2::text[]) AND a.state = 'waiting' GROUP BY a.subject`,
      [tenantId, subjects as string[]],
      { prepare: true },
    )) as unknown as { subject: string; n: number }[];
    return new Map(rows.map(({ subject, n }) => [subject, n]));
  }

  /** Holders of a role, the requester excluded, those first that suit best; null where nobody keeps roles. */
  async function holders(scope: RoutingScope, role: string, wanted: Wanted): Promise<readonly string[] | null> {
    const { needs } = wanted;
    const found = await directory.holders(scope.tenantId, role, scope.contextId);
    if (found === null) return null;
    const others = select(
      [...new Map(found.map((holder) => [holder.id, holder])).values()].filter(({ id }) => id !== scope.requestedBy),
      wanted,
    );
    if (others.length <= 1) return others.map(({ id }) => id);
    const loads = await findLoads(
      scope.tenantId,
      others.map(({ id }) => id),
    );
    const nowMs = Date.now();
    return others
      .map((holder) => ({
        id: holder.id,
        score: suitability(holder, { needs, load: loads.get(holder.id) ?? 0, nowMs }),
      }))
      .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1))
      .slice(0, maxParallel)
      .map(({ id }) => id);
  }

  async function eligible(
    scope: RoutingScope,
    specs: readonly ApproverSpec[],
    ask: (role: string) => Promise<readonly string[] | null>,
  ): Promise<readonly Eligible[]> {
    const found = new Map<string, Eligible>();
    const put = (subject: string, { role, weight, required }: ApproverSpec) => {
      if (subject !== scope.requestedBy && !found.has(subject))
        found.set(subject, { subject, role: role ?? null, weight, required });
    };
    for (const spec of specs) if (spec.subject !== undefined) put(spec.subject, spec);
    for (const spec of specs) {
      if (spec.subject !== undefined || spec.role === undefined) continue;
      // Where nobody keeps roles, only those stand for a role who were named with it.
      for (const subject of (await ask(spec.role)) ?? []) put(subject, spec);
    }
    return [...found.values()];
  }

  return {
    /** Who may decide each step of a workflow, in the order named. */
    async route(
      scope: RoutingScope,
      definition: WorkflowDefinition,
    ): Promise<ReadonlyMap<string, readonly Eligible[]>> {
      const asked = new Map<string, Promise<readonly string[] | null>>();
      const askFor = (role: string, wanted: Wanted) => {
        const key = JSON.stringify([role, wanted]);
        const known = asked.get(key) ?? holders(scope, role, wanted);
        asked.set(key, known);
        return known;
      };
      const routes = new Map<string, readonly Eligible[]>();
      for (const step of definition.steps) {
        const { id, approvers, fallbackApprovers } = step;
        const wanted = wantedOf(step);
        const ask = (role: string) => askFor(role, wanted);
        const named = await eligible(scope, approvers, ask);
        const isEnough = fallbackApprovers === undefined || named.length >= leastApprovers(step);
        routes.set(id, isEnough ? named : await eligible(scope, [...approvers, ...fallbackApprovers], ask));
      }
      return routes;
    },

    /** The levels above a step's present one, with their people. */
    async levels(scope: RoutingScope, definition: StepDefinition, step: StepState): Promise<readonly ResolvedLevel[]> {
      const found: ResolvedLevel[] = [];
      for (const [index, { role, subject, timeoutMs, notificationDelayMs = 0 }] of definition.escalation.entries()) {
        if (index + 1 <= step.level) continue;
        const subjects =
          subject !== undefined
            ? [subject]
            : ((await holders(scope, role!, { ...wantedOf(definition), least: 1 })) ?? []);
        found.push({ level: index + 1, role: role ?? null, subjects, timeoutMs, notificationDelayMs });
      }
      return found;
    },
  };
}

/** What the people behind a role are to be. */
interface Wanted {
  readonly needs: readonly string[];
  readonly selection: ApproverSelection;
  /** Without so many the step could not be decided. */
  readonly least: number;
}

const wantedOf = (step: StepDefinition): Wanted => ({
  ...{ needs: step.capabilities ?? [], selection: step.selection ?? 'role_based' },
  least: leastApprovers(step),
});

/** Of the holders of a role those that a step asks for. */
function select(holders: readonly Holder[], { needs, selection, least }: Wanted): readonly Holder[] {
  if (selection === 'role_based') return holders;
  if (selection === 'capability_based')
    return holders.filter(({ capabilities = [] }) =>
      needs.every((need) => capabilities.some(({ name }) => name === need)),
    );
  const distances = holders.map(({ distance = 0 }) => distance).sort((a, b) => a - b);
  const farthest = distances[Math.min(least, distances.length) - 1] ?? 0;
  return holders.filter(({ distance = 0 }) => distance <= farthest);
}

/** Approvers without whom a step could not be decided. */
export function leastApprovers({ quorum }: StepDefinition): number {
  return quorum.kind === 'at_least' ? (quorum.required ?? 1) : 1;
}

export type Routing = ReturnType<typeof createRouting>;

export function noEligibleApprover(stepId: string): PlatformError {
  return new PlatformError('NO_ELIGIBLE_APPROVER', `nobody may decide the step ${stepId}; who asks cannot`, {
    path: ['input'],
    details: { stepId },
  });
}
