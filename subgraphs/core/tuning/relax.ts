import type { StepDefinition, WorkflowDefinition } from '../workflow/definition.ts';
import { compileCondition, referencesIn } from '../workflow/references.ts';
import { readTopology } from '../workflow/topology.ts';

/** What orders two steps of which the later reads nothing of the earlier one. */
export type Ordering = 'effects' | 'data';

export interface Relaxed {
  readonly definition: WorkflowDefinition;
  /** Steps that wait for less than before. */
  readonly changed: readonly {
    readonly stepId: string;
    readonly from: readonly string[];
    readonly to: readonly string[];
  }[];
}

/** Steps whose outputs a step reads, wherever it does. */
function readsOf(step: StepDefinition): ReadonlySet<string> {
  const found = new Set<string>();
  const note = ({ stepId }: { readonly stepId: string | null }) => {
    if (stepId !== null) found.add(stepId);
  };
  for (const template of [step.call?.input, step.input, step.confirmId, step.compensation?.input])
    referencesIn(template).forEach(note);
  for (const text of [step.condition, step.loopWhile]) if (text !== null) compileCondition(text, note);
  return found;
}

/**
 * Drops dependencies that nothing needs. By effects a step still waits for what changes something, or where it changes
 * something itself: only reads overtake reads. By data it waits for what it reads alone. Either way approvals, signals,
 * timers, sub-workflows, loops, conditions, joins of another kind, and steps that cannot be undone stay where they are.
 * @param changesSomething whether the call of a step is a mutation
 */
export function relax(
  definition: WorkflowDefinition,
  ordering: Ordering,
  changesSomething: (step: StepDefinition) => boolean,
): Relaxed {
  const byId = new Map(definition.steps.map((step) => [step.id, step]));
  const { order, successors } = readTopology(
    definition.steps.map(({ id, dependsOn }) => ({ id, dependsOn, durationMs: 0 })),
  );
  // Without an output of its own a workflow answers what its last steps do: there must be a way to go on saying it.
  const last = order.filter((id) => successors.get(id)!.length === 0);
  const mayBeSkipped = definition.steps.some(
    ({ condition, join, onFailure }) => condition !== null || join !== 'all' || onFailure === 'continue',
  );
  if (definition.output === null && (mayBeSkipped || definition.errorStrategy === 'continue'))
    return { definition, changed: [] };
  const isFree = ({ kind, condition, join, irreversible, onFailure }: StepDefinition) =>
    (kind === 'task' || kind === 'pass') &&
    condition === null &&
    join === 'all' &&
    onFailure === 'fail' &&
    !irreversible;
  const hasNoEffect = (step: StepDefinition) => step.kind === 'pass' || !changesSomething(step);
  const after = new Map<string, readonly string[]>();
  const ancestors = new Map<string, ReadonlySet<string>>();
  for (const id of order) {
    const step = byId.get(id)!;
    const reads = readsOf(step);
    const needs = (source: StepDefinition): boolean =>
      reads.has(source.id) ||
      !isFree(step) ||
      !isFree(source) ||
      (ordering === 'effects' && !(hasNoEffect(step) && hasNoEffect(source)));
    const kept = new Set<string>();
    const seen = new Set<string>();
    // What stood before a dependency that is dropped still stands before the step.
    const open = [...step.dependsOn];
    for (let at = 0; at < open.length; at += 1) {
      const source = open[at]!;
      if (seen.has(source)) continue;
      seen.add(source);
      if (needs(byId.get(source)!)) kept.add(source);
      else open.push(...byId.get(source)!.dependsOn);
    }
    const dropped = step.dependsOn.filter((source) => !kept.has(source));
    // Others stand before it already.
    const implied = (source: string) =>
      [...kept].some((other) => other !== source && ancestors.get(other)!.has(source));
    const list =
      dropped.length === 0
        ? step.dependsOn
        : [...kept].filter((source) => step.dependsOn.includes(source) || !implied(source));
    after.set(id, list);
    ancestors.set(id, new Set([...list, ...list.flatMap((source) => [...ancestors.get(source)!])]));
  }
  const steps = definition.steps.map((step) => ({ ...step, dependsOn: after.get(step.id)! }));
  const changed = steps.flatMap(({ id, dependsOn }, at) => {
    const from = definition.steps[at]!.dependsOn;
    return from.every((source) => dependsOn.includes(source)) ? [] : [{ stepId: id, from, to: dependsOn }];
  });
  if (changed.length === 0) return { definition, changed };
  const output = definition.output ?? Object.fromEntries(last.map((id) => [id, `\${${id}.output}`]));
  return { definition: { ...definition, steps, output }, changed };
}
