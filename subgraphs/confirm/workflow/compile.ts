import { ConditionError } from '#shared/conditions/evaluationError.ts';
import { compileExpression, type Predicate } from '#shared/conditions/expression/compile.ts';
import type { StepDefinition, WorkflowDefinition } from './definition.ts';

export interface CompiledStep {
  readonly definition: StepDefinition;
  readonly condition: Predicate | null;
  readonly skipCondition: Predicate | null;
  readonly check: Predicate | null;
}

/** A workflow as a directed acyclic graph. */
export interface CompiledWorkflow {
  readonly definition: WorkflowDefinition;
  /** In topological order: what a step depends on stands before it. */
  readonly steps: readonly CompiledStep[];
  readonly byId: ReadonlyMap<string, CompiledStep>;
  /** Steps on which none depends: their outcomes are the outcome of the whole. */
  readonly sinks: ReadonlySet<string>;
}

export type WorkflowFault = 'criteria' | 'empty' | 'duplicate' | 'unknown_dependency' | 'cycle' | 'condition';

/** A workflow that could never run to its end, found when it is compiled. */
export class WorkflowError extends Error {
  readonly fault: WorkflowFault;
  /** The steps at fault. */
  readonly steps: readonly string[];

  constructor(fault: WorkflowFault, message: string, steps: readonly string[] = []) {
    super(message);
    this.name = 'WorkflowError';
    this.fault = fault;
    this.steps = steps;
  }
}

/**
 * Orders the steps (Kahn, 1962) and compiles their conditions, once.
 * @throws {WorkflowError} naming the steps that stand in a cycle, behind one, twice, or on nothing.
 */
export function compileWorkflow(definition: WorkflowDefinition): CompiledWorkflow {
  const { steps } = definition;
  if (steps.length === 0) throw new WorkflowError('empty', 'expected at least one step, got none');
  const byId = new Map<string, CompiledStep>();
  for (const step of steps) {
    if (byId.has(step.id)) throw new WorkflowError('duplicate', `two steps have the id ${step.id}`, [step.id]);
    byId.set(step.id, compileStep(step));
  }
  const dependents = new Map<string, string[]>(steps.map(({ id }) => [id, []]));
  for (const { id, dependsOn } of steps) {
    for (const dependency of new Set(dependsOn)) {
      const list = dependents.get(dependency);
      if (!list)
        throw new WorkflowError('unknown_dependency', `step ${id} depends on ${dependency}, which is no step`, [id]);
      list.push(id);
    }
  }
  const waitingFor = new Map(steps.map(({ id, dependsOn }) => [id, new Set(dependsOn).size]));
  const ready = steps.filter(({ id }) => waitingFor.get(id) === 0).map(({ id }) => id);
  const order: string[] = [];
  for (let at = 0; at < ready.length; at += 1) {
    const id = ready[at]!;
    order.push(id);
    for (const dependent of dependents.get(id)!) {
      const left = waitingFor.get(dependent)! - 1;
      waitingFor.set(dependent, left);
      if (left === 0) ready.push(dependent);
    }
  }
  if (order.length < steps.length) throw unordered(steps, new Set(order));
  return {
    definition,
    steps: order.map((id) => byId.get(id)!),
    byId,
    sinks: new Set(steps.filter(({ id }) => dependents.get(id)!.length === 0).map(({ id }) => id)),
  };
}

/** What Kahn's order leaves: steps in cycles, and those that only stand behind one. */
function unordered(steps: readonly StepDefinition[], ordered: ReadonlySet<string>): WorkflowError {
  const left = new Map(steps.filter(({ id }) => !ordered.has(id)).map((step) => [step.id, step.dependsOn]));
  const reachesItself = (start: string): boolean => {
    const seen = new Set<string>();
    const open = [...left.get(start)!];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (id === start) return true;
      if (seen.has(id) || !left.has(id)) continue;
      seen.add(id);
      open.push(...left.get(id)!);
    }
    return false;
  };
  const inCycle = [...left.keys()].filter(reachesItself);
  const behind = [...left.keys()].filter((id) => !inCycle.includes(id));
  const note = behind.length === 0 ? '' : `; unreachable behind it: ${behind.join(', ')}`;
  return new WorkflowError('cycle', `the steps ${inCycle.join(', ')} depend on each other${note}`, [
    ...inCycle,
    ...behind,
  ]);
}

function compileStep(step: StepDefinition): CompiledStep {
  const compile = (name: string, text: string | undefined): Predicate | null => {
    if (text === undefined) return null;
    try {
      return compileExpression(text);
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      throw new WorkflowError('condition', `${name} of step ${step.id}: ${error.message}`, [step.id]);
    }
  };
  requireCriteria(step);
  if (step.kind !== 'human_approval' && step.check === undefined)
    throw new WorkflowError('condition', `the automated step ${step.id} needs a check`, [step.id]);
  return {
    definition: step,
    condition: compile('condition', step.condition),
    skipCondition: compile('skipCondition', step.skipCondition),
    check: compile('check', step.check),
  };
}

/** Criteria stand where they are scored, and nowhere else. */
function requireCriteria({ id, quorum: { kind, criteria = [] } }: StepDefinition): void {
  const fail = (message: string) => new WorkflowError('criteria', `step ${id}: ${message}`, [id]);
  if (kind !== 'criteria') {
    if (criteria.length > 0) throw fail(`a quorum of the kind ${kind} takes no criteria`);
    return;
  }
  if (criteria.length === 0) throw fail('expected at least one criterion, got none');
  if (new Set(criteria.map((criterion) => criterion.id)).size < criteria.length)
    throw fail('two criteria have the same id');
}
