import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { readClock } from './clock.ts';
import { barredOf, neededToDecide } from './deciders.ts';
import type { ApproverDirectory, Holder, NeededPermission } from './directory.ts';
import type { ResolvedLevel } from './levels.ts';
import type { ConfirmLimits } from './limits.ts';
import type { ConfirmRow, StepState } from './rows.ts';
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
  readonly planId: string | null;
  /** Who asked or wrote what is to be approved, and decides nothing. */
  readonly barred: readonly string[];
  /** What those asked need; null where anybody may be asked. */
  readonly needed: NeededPermission | null;
}

export function routingScopeOf(
  confirm: Pick<
    ConfirmRow,
    'tenantId' | 'contextId' | 'planId' | 'requestedBy' | 'requester' | 'targetType' | 'targetId' | 'confirmationType'
  >,
): RoutingScope {
  const { tenantId, contextId, planId } = confirm;
  return { tenantId, contextId, planId, barred: barredOf(confirm), needed: neededToDecide(confirm) };
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

  /** Those who have what is needed, by what roles say; everybody where nothing is needed or nobody keeps roles. */
  async function keepPermitted(
    { tenantId, needed }: RoutingScope,
    subjects: readonly string[],
  ): Promise<ReadonlySet<string>> {
    if (needed === null || subjects.length === 0) return new Set(subjects);
    const standings = await directory.standings(tenantId, needed, subjects);
    return new Set(subjects.filter((subject) => standings === null || standings.get(subject) === 'granted'));
  }

  async function findBehind(scope: RoutingScope, { role, permission }: Source): Promise<readonly Holder[] | null> {
    const { tenantId, contextId, planId, needed } = scope;
    if (permission === undefined) return directory.holders(tenantId, role!, contextId);
    return directory.permitted(
      tenantId,
      permission === needed?.permission ? needed : { permission, contextId, planId },
    );
  }

  /**
   * Holders of a role or a permission who may decide, those first that suit best; null where nobody keeps roles.
   */
  async function holders(scope: RoutingScope, source: Source, wanted: Wanted): Promise<readonly string[] | null> {
    const { needs } = wanted;
    const found = await findBehind(scope, source);
    if (found === null) return null;
    const distinct = [...new Map(found.map((holder) => [holder.id, holder])).values()];
    const may =
      source.permission !== undefined && source.permission === scope.needed?.permission
        ? null
        : await keepPermitted(
            scope,
            distinct.map(({ id }) => id),
          );
    const others = select(
      distinct.filter(({ id }) => !scope.barred.includes(id) && may?.has(id) !== false),
      wanted,
    );
    if (others.length <= 1) return others.map(({ id }) => id);
    const [loads, nowMs] = await Promise.all([
      findLoads(
        scope.tenantId,
        others.map(({ id }) => id),
      ),
      readClock(sql),
    ]);
    return others
      .map((holder) => ({
        id: holder.id,
        score: suitability(holder, { needs, load: loads.get(holder.id) ?? 0, nowMs }),
      }))
      .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1))
      .slice(0, maxParallel)
      .map(({ id }) => id);
  }

  /**
   * @throws {NO_ELIGIBLE_APPROVER} where something is needed to decide and one who is named has not got it, or whoever is
   * required may not: the step would be decided by others than it says.
   */
  async function eligible(
    scope: RoutingScope,
    { stepId, specs }: { readonly stepId: string; readonly specs: readonly ApproverSpec[] },
    ask: (source: Source) => Promise<readonly string[] | null>,
  ): Promise<readonly Eligible[]> {
    const found = new Map<string, Eligible>();
    const put = (subject: string, { role, weight, required }: ApproverSpec): boolean => {
      if (scope.barred.includes(subject)) return false;
      if (!found.has(subject)) found.set(subject, { subject, role: role ?? null, weight, required });
      return true;
    };
    const named = specs.flatMap(({ subject }) => subject ?? []);
    const may = await keepPermitted(scope, named);
    const without = named.filter((subject) => !scope.barred.includes(subject) && !may.has(subject));
    if (without.length > 0) throw withoutPermission(stepId, scope.needed!.permission, without);
    for (const spec of specs) {
      if (spec.subject === undefined || put(spec.subject, spec)) continue;
      if (spec.required && scope.needed !== null) throw noEligibleApprover(stepId);
    }
    for (const spec of specs) {
      const { subject, role, permission } = spec;
      if (subject !== undefined || (role === undefined && permission === undefined)) continue;
      // Where nobody keeps roles, only those stand for a role who were named with it.
      const behind = (await ask(permission === undefined ? { role: role! } : { permission })) ?? [];
      if (behind.length === 0 && spec.required && scope.needed !== null) throw noEligibleApprover(stepId);
      for (const holder of behind) put(holder, spec);
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
      const askFor = (source: Source, wanted: Wanted) => {
        const key = JSON.stringify([source, wanted]);
        const known = asked.get(key) ?? holders(scope, source, wanted);
        asked.set(key, known);
        return known;
      };
      const routes = new Map<string, readonly Eligible[]>();
      for (const step of definition.steps) {
        const { id, approvers, fallbackApprovers } = step;
        const wanted = wantedOf(step);
        const ask = (source: Source) => askFor(source, wanted);
        const named = await eligible(scope, { stepId: id, specs: approvers }, ask);
        const isEnough = fallbackApprovers === undefined || named.length >= leastApprovers(step);
        const all = [...approvers, ...(fallbackApprovers ?? [])];
        routes.set(id, isEnough ? named : await eligible(scope, { stepId: id, specs: all }, ask));
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
            ? [...(await keepPermitted(scope, [subject]))]
            : ((await holders(scope, { role: role! }, { ...wantedOf(definition), least: 1 })) ?? []);
        found.push({ level: index + 1, role: role ?? null, subjects, timeoutMs, notificationDelayMs });
      }
      return found;
    },
  };
}

/** What people stand behind. */
type Source =
  | { readonly role: string; readonly permission?: undefined }
  | { readonly permission: string; readonly role?: undefined };

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

function withoutPermission(stepId: string, permission: string, subjects: readonly string[]): PlatformError {
  const names = subjects.slice(0, 5).join(', ');
  return new PlatformError(
    'NO_ELIGIBLE_APPROVER',
    `no role grants ${permission} here to ${names}: who is named has to be able to decide`,
    { path: ['input', 'approvers'], details: { stepId, permission, subjects } },
  );
}
