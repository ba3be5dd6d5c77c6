import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import type { ResolvedLevel } from './deadlines.ts';
import type { ApproverDirectory } from './directory.ts';
import type { StepState } from './rows.ts';
import type { ApproverSpec, StepDefinition, WorkflowDefinition } from './workflow/index.ts';

/** Holders of a role that are asked at once at most: those with the least to decide. */
const maxParallel = 10;

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

/** Finds the people behind roles. Each role is asked for once per use. */
export function createRouting(sql: Sql, directory: ApproverDirectory) {
  async function findLoads(tenantId: string, subjects: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = (await sql.unsafe(
      `SELECT a.subject, count(*)::int AS n FROM confirm.approver a WHERE a.tenant_id = $1 AND a.subject = ANY($2::text[]) AND a.state = 'waiting' GROUP BY a.subject`,
      [tenantId, subjects as string[]],
      { prepare: true },
    )) as unknown as { subject: string; n: number }[];
    return new Map(rows.map(({ subject, n }) => [subject, n]));
  }

  async function leastLoaded(scope: RoutingScope, subjects: readonly string[]): Promise<readonly string[]> {
    if (subjects.length <= maxParallel) return subjects;
    const loads = await findLoads(scope.tenantId, subjects);
    return [...subjects]
      .sort((a, b) => (loads.get(a) ?? 0) - (loads.get(b) ?? 0) || (a < b ? -1 : 1))
      .slice(0, maxParallel);
  }

  /** Holders of a role, the requester excluded; null where nobody keeps roles. */
  async function holders(scope: RoutingScope, role: string): Promise<readonly string[] | null> {
    const found = await directory.holders(scope.tenantId, role, scope.contextId);
    if (found === null) return null;
    return leastLoaded(scope, [...new Set(found)].filter((subject) => subject !== scope.requestedBy).sort());
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
      const ask = (role: string) => {
        const known = asked.get(role) ?? holders(scope, role);
        asked.set(role, known);
        return known;
      };
      const routes = new Map<string, readonly Eligible[]>();
      for (const { id, approvers } of definition.steps) routes.set(id, await eligible(scope, approvers, ask));
      return routes;
    },

    /** The levels above a step's present one, with their people. */
    async levels(scope: RoutingScope, definition: StepDefinition, step: StepState): Promise<readonly ResolvedLevel[]> {
      const found: ResolvedLevel[] = [];
      for (const [index, { role, subject, timeoutMs }] of definition.escalation.entries()) {
        if (index + 1 <= step.level) continue;
        const subjects = subject !== undefined ? [subject] : ((await holders(scope, role!)) ?? []);
        found.push({ level: index + 1, role: role ?? null, subjects, timeoutMs });
      }
      return found;
    },
  };
}

export type Routing = ReturnType<typeof createRouting>;

export function noEligibleApprover(stepId: string): PlatformError {
  return new PlatformError('NO_ELIGIBLE_APPROVER', `nobody may decide the step ${stepId}; who asks cannot`, {
    path: ['input'],
    details: { stepId },
  });
}
