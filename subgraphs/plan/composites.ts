import { measureProgress } from './dispatch/index.ts';
import type { PlanStepRow, StepStatusValue } from './rows.ts';

/** Composite steps within composite steps at most. */
export const maxDepth = 10;

export const isComposite = ({ type }: Pick<PlanStepRow, 'type'>): boolean => type === 'COMPOSITE';

/** What a composite step is seen as, by what its sub-tasks are. */
export interface RolledUp {
  readonly status: StepStatusValue;
  /** 0 to 1, weighted by duration; what is skipped does not count. */
  readonly progress: number;
  /** Sum over the sub-tasks that are not skipped. */
  readonly durationMs: number;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
}

type Part = Pick<PlanStepRow, 'status' | 'progress' | 'durationMs' | 'startedAt' | 'completedAt'>;

/**
 * Failed with any part; ended with all of them, as skipped where none was done; at work while some part is, or while some
 * have ended and others have not begun; blocked where nothing but a decision goes on.
 */
export function rollUpParts(parts: readonly Part[]): RolledUp {
  const has = (...statuses: StepStatusValue[]) => parts.some(({ status }) => statuses.includes(status));
  const counted = parts.filter(({ status }) => status !== 'skipped');
  const status = ((): StepStatusValue => {
    if (parts.length === 0) return 'pending';
    if (has('failed')) return 'failed';
    if (!has('pending', 'in_progress', 'blocked')) return has('completed') ? 'completed' : 'skipped';
    if (has('in_progress')) return 'in_progress';
    if (has('blocked')) return 'blocked';
    return has('completed', 'skipped') ? 'in_progress' : 'pending';
  })();
  const starts = parts.flatMap(({ startedAt }) => startedAt ?? []).sort();
  const ends = parts.flatMap(({ completedAt }) => completedAt ?? []).sort();
  return {
    status,
    progress:
      parts.length === 0
        ? 0
        : measureProgress(counted.map(({ durationMs, progress }) => ({ duration: durationMs, progress }))),
    durationMs: counted.reduce((sum, { durationMs }) => sum + durationMs, 0),
    startedAt: starts[0] ?? null,
    completedAt: status === 'completed' || status === 'skipped' ? (ends.at(-1) ?? null) : null,
  };
}

/** The steps with every composite one rolled up, from the deepest; those that stay as they are are the same objects. */
export function rollUpSteps(steps: readonly PlanStepRow[]): readonly PlanStepRow[] {
  if (!steps.some(isComposite)) return steps;
  const children = Map.groupBy(steps, ({ parentId }) => parentId);
  const rolled = new Map<string, PlanStepRow>();
  const roll = (step: PlanStepRow): PlanStepRow => {
    if (!isComposite(step)) return step;
    const known = rolled.get(step.id);
    if (known) return known;
    const values = rollUpParts((children.get(step.id) ?? []).map(roll));
    const same = (Object.keys(values) as (keyof RolledUp)[]).every((key) => values[key] === step[key]);
    const result = same ? step : { ...step, ...values };
    rolled.set(step.id, result);
    return result;
  };
  return steps.map(roll);
}

/** The composite steps that each step lies in, the outermost first. The hierarchy must have no faults. */
export function ancestorsOf(
  steps: readonly Pick<PlanStepRow, 'id' | 'parentId'>[],
): ReadonlyMap<string, readonly string[]> {
  const parents = new Map(steps.map(({ id, parentId }) => [id, parentId]));
  const known = new Map<string, readonly string[]>();
  const find = (id: string): readonly string[] => {
    const found = known.get(id);
    if (found) return found;
    const parentId = parents.get(id) ?? null;
    const ancestors = parentId === null ? [] : [...find(parentId), parentId];
    known.set(id, ancestors);
    return ancestors;
  };
  for (const { id } of steps) find(id);
  return known;
}

/** These steps and all that lie in them. */
export function withDescendants(steps: readonly PlanStepRow[], ids: readonly string[]): ReadonlySet<string> {
  const wanted = new Set(ids);
  const ancestors = ancestorsOf(steps);
  return new Set(
    steps.flatMap(({ id }) =>
      wanted.has(id) || ancestors.get(id)!.some((ancestor) => wanted.has(ancestor)) ? [id] : [],
    ),
  );
}

export interface HierarchyFault {
  readonly kind: 'cycle' | 'invalid';
  readonly message: string;
  readonly stepIds: readonly string[];
}

/** Everything that keeps the steps from being a forest of composite steps and their sub-tasks. */
export function findHierarchyFaults(steps: readonly PlanStepRow[]): HierarchyFault[] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const faults: HierarchyFault[] = [];
  const invalid = (message: string, ...stepIds: string[]) => faults.push({ kind: 'invalid', message, stepIds });
  for (const step of steps) {
    const { demands, estimate, crash, costPerHour } = step.details;
    if (isComposite(step) && (demands?.length || estimate || crash || costPerHour !== undefined))
      invalid(`step ${step.id}: expected demands, estimates and costs of a composite step in its sub-tasks`, step.id);
    if (step.parentId === null) continue;
    const parent = byId.get(step.parentId);
    if (!parent) invalid(`step ${step.id}: expected a parent in this plan, got ${step.parentId}`, step.id);
    else if (!isComposite(parent)) invalid(`step ${step.id}: expected a composite step as parent`, step.id, parent.id);
    const chain = [step.id];
    for (let at: PlanStepRow | undefined = parent; at && chain.length <= maxDepth + 1; ) {
      if (chain.includes(at.id)) break;
      chain.push(at.id);
      at = at.parentId === null ? undefined : byId.get(at.parentId);
      if (at && chain[0] === at.id) {
        faults.push({ kind: 'cycle', message: `step ${step.id} lies in itself`, stepIds: chain });
        return faults;
      }
    }
    if (chain.length > maxDepth + 1) invalid(`step ${step.id}: expected at most ${maxDepth} levels`, step.id);
  }
  return faults;
}
