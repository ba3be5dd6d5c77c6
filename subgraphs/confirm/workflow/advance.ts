import { EvaluationError } from '#shared/conditions/evaluationError.ts';
import type { Predicate } from '#shared/conditions/expression/compile.ts';
import type { Facts } from '#shared/conditions/facts.ts';
import type { CompiledWorkflow } from './compile.ts';

/** `blocked`: what it depends on was rejected, so that it can never be met; to the outside it is skipped. */
export type StepStatus = 'pending' | 'active' | 'approved' | 'rejected' | 'skipped' | 'blocked';

export interface StepMove {
  readonly id: string;
  readonly to: StepStatus;
  /** Why, where the workflow itself decided. */
  readonly reason: string | null;
}

export interface Advance {
  /** In the order in which they happen. */
  readonly moves: readonly StepMove[];
  readonly outcome: 'open' | 'approved' | 'rejected';
}

/**
 * Moves every pending step whose dependencies are settled: skips it by its conditions, decides it where it is automated,
 * starts it where people decide. A condition that cannot be decided skips nothing, and a check that cannot be decided
 * has failed.
 */
export function advance(workflow: CompiledWorkflow, before: ReadonlyMap<string, StepStatus>, facts: Facts): Advance {
  const statuses = new Map(before);
  const moves: StepMove[] = [];
  const move = (id: string, to: StepStatus, reason: string | null) => {
    statuses.set(id, to);
    moves.push({ id, to, reason });
  };
  for (const { definition, condition, skipCondition, check } of workflow.steps) {
    const { id } = definition;
    if (statuses.get(id) !== 'pending') continue;
    const standing = readiness(
      definition.join,
      definition.dependsOn.map((dependency) => statuses.get(dependency)!),
    );
    if (standing === 'waiting') continue;
    if (standing === 'impossible') {
      move(id, 'blocked', 'what it depends on was rejected');
      continue;
    }
    if (holds(condition, facts, true) === false) move(id, 'skipped', 'its condition does not hold');
    else if (holds(skipCondition, facts, false) === true) move(id, 'skipped', 'its skip condition holds');
    else if (definition.kind === 'human_approval') move(id, 'active', null);
    else {
      const { passed, reason } = runCheck(check, facts);
      move(id, passed ? 'approved' : 'rejected', reason);
    }
  }
  return { moves, outcome: outcomeOf(workflow, statuses) };
}

function readiness(join: 'all' | 'any', dependencies: readonly StepStatus[]): 'ready' | 'waiting' | 'impossible' {
  if (dependencies.length === 0) return 'ready';
  const isMet = (status: StepStatus) => status === 'approved' || status === 'skipped';
  const isLost = (status: StepStatus) => status === 'rejected' || status === 'blocked';
  if (join === 'all') {
    if (dependencies.every(isMet)) return 'ready';
    return dependencies.some(isLost) ? 'impossible' : 'waiting';
  }
  if (dependencies.some(isMet)) return 'ready';
  return dependencies.every(isLost) ? 'impossible' : 'waiting';
}

function outcomeOf(workflow: CompiledWorkflow, statuses: ReadonlyMap<string, StepStatus>): Advance['outcome'] {
  for (const { definition } of workflow.steps) {
    if (statuses.get(definition.id) !== 'rejected') continue;
    if (definition.onRejection !== 'continue' || workflow.sinks.has(definition.id)) return 'rejected';
  }
  const ends = [...workflow.sinks].map((id) => statuses.get(id)!);
  if (ends.some((status) => status === 'pending' || status === 'active')) return 'open';
  return ends.every((status) => status === 'blocked') ? 'rejected' : 'approved';
}

function holds(predicate: Predicate | null, facts: Facts, otherwise: boolean): boolean {
  if (predicate === null) return otherwise;
  try {
    return predicate(facts);
  } catch (error) {
    if (error instanceof EvaluationError) return otherwise;
    throw error;
  }
}

function runCheck(check: Predicate | null, facts: Facts): { passed: boolean; reason: string } {
  try {
    return check?.(facts) === true
      ? { passed: true, reason: 'the check holds' }
      : { passed: false, reason: 'the check does not hold' };
  } catch (error) {
    if (error instanceof EvaluationError)
      return { passed: false, reason: `the check could not be decided: ${error.message}` };
    throw error;
  }
}
