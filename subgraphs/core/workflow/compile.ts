import { ConditionError } from '#shared/conditions/evaluationError.ts';
import type { Predicate } from '#shared/conditions/expression/compile.ts';
import { type ErrorCode, PlatformError } from '#shared/errors.ts';
import { type Call, cleanupPlace, type StepDefinition, stepsAt, type WorkflowDefinition } from './definition.ts';
import { assumedMs, type EstimatedDefinition, estimateWorkflow, type WorkflowEstimate } from './estimate.ts';
import { isFault, type Operation, type Operations } from './operations.ts';
import {
  compileCondition,
  type Reference,
  referencesIn,
  reservedNames,
  type Scope,
  UnresolvedReference,
} from './references.ts';
import { findCycle, readTopology, type Topology } from './topology.ts';

export interface CompiledStep {
  readonly definition: StepDefinition;
  readonly operation: Operation | null;
  readonly compensation: Operation | null;
  readonly condition: Predicate<Scope> | null;
  readonly loopWhile: Predicate<Scope> | null;
}

/** One level of a definition, ready to be run: the whole, or the body of a loop. */
export interface CompiledWorkflow {
  readonly definition: WorkflowDefinition;
  readonly steps: ReadonlyMap<string, CompiledStep>;
  readonly topology: Topology;
  /** Whether the run as a whole or any step of this level does. */
  readonly holdsResources: boolean;
}

export interface WorkflowProblem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: readonly (string | number)[];
  readonly details?: Readonly<Record<string, unknown>>;
}

const nodeOf = (step: StepDefinition) => ({
  id: step.id,
  dependsOn: step.dependsOn,
  durationMs: step.kind === 'wait' ? (step.waitMs ?? 0) : step.kind === 'pass' ? 0 : assumedMs,
});

/** Everything that keeps a definition from running to its end; empty where nothing does. */
export function findProblems(
  definition: WorkflowDefinition,
  operations: Operations,
  path: readonly (string | number)[] = ['input', 'definition'],
): readonly WorkflowProblem[] {
  const problems = [
    ...levelProblems(definition.steps, operations, [...path, 'steps']),
    ...levelProblems(definition.cleanupSteps ?? [], operations, [...path, 'cleanupSteps']),
  ];
  const ids = new Set(definition.steps.map((step) => step.id));
  readAll(definition.output, [...path, 'output'], problems, (reference, at) => {
    if (reference.stepId !== null && !ids.has(reference.stepId))
      problems.push(unresolved(reference, at, 'no such step'));
  });
  return problems;
}

function levelProblems(
  steps: readonly StepDefinition[],
  operations: Operations,
  path: readonly (string | number)[],
): WorkflowProblem[] {
  const problems: WorkflowProblem[] = [];
  const ids = new Map<string, number>();
  steps.forEach(({ id, dependsOn }, at) => {
    if (ids.has(id) || reservedNames.has(id))
      problems.push({
        code: 'INVALID_WORKFLOW',
        message: ids.has(id) ? `${id} names two steps` : `${id} is a reserved name`,
        path: [...path, at, 'stepId'],
      });
    ids.set(id, at);
    if (dependsOn.includes(id))
      problems.push({
        code: 'CYCLIC_DEPENDENCY',
        message: `${id} depends on itself`,
        path: [...path, at, 'dependsOn'],
        details: { cycle: [id] },
      });
  });
  steps.forEach(({ dependsOn }, at) => {
    dependsOn.forEach((source, place) => {
      if (!ids.has(source))
        problems.push({
          code: 'UNRESOLVED_REF',
          message: `no step ${source}`,
          path: [...path, at, 'dependsOn', place],
        });
    });
  });
  if (problems.length > 0) return problems;
  const cycle = findCycle(steps);
  if (cycle) {
    const message = `the dependencies form a cycle: ${[...cycle, cycle[0]].join(' -> ')}`;
    return [{ code: 'CYCLIC_DEPENDENCY', message, path, details: { cycle } }];
  }
  const { ancestors } = readTopology(steps.map(nodeOf));
  const byId = new Map(steps.map((step) => [step.id, step]));
  steps.forEach((step, at) => {
    const here = [...path, at];
    const calls: readonly (readonly [Call | null, string])[] = [
      [step.call, 'action'],
      [step.compensation, 'compensation'],
    ];
    for (const [call, name] of calls) {
      const read = call && operations.read(call);
      if (read && isFault(read))
        problems.push({ code: read.code, message: `${step.id}: ${read.message}`, path: [...here, name] });
    }
    const check = (own: boolean) => (reference: Reference, place: readonly (string | number)[]) => {
      if (reference.root === 'self' && !own)
        problems.push(unresolved(reference, place, 'only a compensation has an answer of its own'));
      if (reference.stepId === null) return;
      const source = byId.get(reference.stepId);
      if (!source) problems.push(unresolved(reference, place, 'no such step'));
      else if (!ancestors.get(step.id)!.has(source.id))
        problems.push(unresolved(reference, place, `${step.id} does not depend on ${source.id}`));
      else if (source.call) {
        const operation = operations.read(source.call);
        if (!isFault(operation) && !operation.answers(reference.path))
          problems.push(unresolved(reference, place, `${source.call.action} is not asked for it`));
      }
    };
    readAll(step.call?.input ?? step.input, [...here, 'input'], problems, check(false));
    readAll(step.confirmId, [...here, 'confirmId'], problems, check(false));
    readAll(step.compensation?.input, [...here, 'compensation'], problems, check(true));
    for (const [text, name, inLoop] of [
      [step.condition, 'condition', false],
      [step.loopWhile, 'loopWhile', true],
    ] as const) {
      if (text === null) continue;
      try {
        compileCondition(text, (reference) => {
          if (reference.root === 'loop' && !inLoop)
            problems.push(unresolved(reference, [...here, name], 'only the condition of a loop has rounds'));
          check(false)(reference, [...here, name]);
        });
      } catch (error) {
        if (!(error instanceof ConditionError)) throw error;
        problems.push({ code: 'INVALID_WORKFLOW', message: `${step.id}: ${error.message}`, path: [...here, name] });
      }
    }
    if (step.body.length > 0) problems.push(...levelProblems(step.body, operations, [...here, 'body']));
  });
  return problems;
}

function readAll(
  template: unknown,
  path: readonly (string | number)[],
  problems: WorkflowProblem[],
  check: (reference: Reference, path: readonly (string | number)[]) => void,
): void {
  try {
    for (const reference of referencesIn(template)) check(reference, path);
  } catch (error) {
    if (!(error instanceof UnresolvedReference)) throw error;
    problems.push({ code: 'UNRESOLVED_REF', message: error.message, path });
  }
}

function unresolved(reference: Reference, path: readonly (string | number)[], why: string): WorkflowProblem {
  return { code: 'UNRESOLVED_REF', message: `\${${reference.text}}: ${why}`, path };
}

/** @throws {CYCLIC_DEPENDENCY} {UNRESOLVED_REF} {UNKNOWN_OPERATION} {INVALID_WORKFLOW} {VALIDATION_FAILED} the first problem */
export function requireRunnable(definition: WorkflowDefinition, operations: Operations): void {
  const problems = findProblems(definition, operations);
  const [first] = problems;
  if (!first) return;
  throw new PlatformError(first.code, first.message, {
    path: first.path,
    details: { ...first.details, problems: problems.slice(0, 20).map(({ code, message }) => ({ code, message })) },
  });
}

/** What holds for a part that is run by itself. What cleans up goes as far as it can, and leaves nothing to be undone. */
function partOf(definition: WorkflowDefinition, body: readonly string[]): WorkflowDefinition {
  return {
    ...definition,
    ...{ output: null, inputSchema: null, outputSchema: null, minSuccessRate: null, cleanupSteps: [] },
    // Held by the run that they are a part of.
    resources: null,
    ...(body[0] === cleanupPlace ? { errorStrategy: 'continue', rollback: 'none' } : {}),
  };
}

/** A stored definition, whose problems were looked for before it was stored. */
export function compileWorkflow(
  definition: WorkflowDefinition,
  body: readonly string[],
  operations: Operations,
): CompiledWorkflow {
  const steps = stepsAt(definition, body);
  const read = (call: Call | null) => {
    const operation = call && operations.read(call);
    // An operation that the graph no longer has fails its step when it is to run.
    return operation && !isFault(operation) ? operation : null;
  };
  return {
    definition: body.length === 0 ? definition : partOf(definition, body),
    steps: new Map(
      steps.map((step) => [
        step.id,
        {
          definition: step,
          operation: read(step.call),
          compensation: read(step.compensation),
          condition: step.condition === null ? null : compileCondition(step.condition),
          loopWhile: step.loopWhile === null ? null : compileCondition(step.loopWhile),
        },
      ]),
    ),
    topology: readTopology(steps.map(nodeOf)),
    holdsResources:
      steps.some(({ resources }) => resources != null) || (body.length === 0 && definition.resources != null),
  };
}

export interface WorkflowPlan {
  readonly totalSteps: number;
  readonly parallelSteps: number;
  readonly levels: number;
  readonly criticalPath: readonly string[];
  /** That of the estimate. */
  readonly estimatedDurationMs: number;
  /** Not there in versions of before. */
  readonly estimate?: WorkflowEstimate;
}

/** A definition's plan, by what the same steps took before. */
export function planOf(given: EstimatedDefinition): Required<WorkflowPlan> {
  const { steps } = given.definition;
  const { width, levels } = readTopology(steps.map(nodeOf));
  const { criticalPath, ...estimate } = estimateWorkflow(given);
  return {
    ...{ totalSteps: steps.length, parallelSteps: width, levels, criticalPath },
    ...{ estimatedDurationMs: estimate.durationMs, estimate },
  };
}
