import { add, scale, toVector, type Vector, zero } from '../allocation/vector.ts';
import type { Timing } from '../metrics/timing.ts';
import { createReplay } from '../tuning/replay.ts';
import type { StepDefinition, WorkflowDefinition } from './definition.ts';
import { readTopology } from './topology.ts';

/** Time that a step is taken to need where nothing was measured, ms. */
export const assumedMs = 100;

/** measured: what the same took before; given: what the definition says; assumed: neither. */
export type Basis = 'measured' | 'given' | 'assumed';

export interface StepEstimate extends Timing {
  readonly stepId: string;
  readonly basis: Basis;
}

export interface WorkflowEstimate {
  readonly durationMs: number;
  readonly lowMs: number;
  readonly highMs: number;
  /** Of the least certain step on the critical path, 0 to 1. */
  readonly confidence: number;
  /** Of the step on the critical path of which the fewest were measured; 0 where one was not. */
  readonly samples: number;
  /** Calls of modules, if each task is carried out once. */
  readonly calls: number;
  /** Most that is held at the same time, of each resource. */
  readonly peak: Vector;
  /** What is held, times the seconds for which it is. */
  readonly resourceSeconds: Vector;
  readonly steps: readonly StepEstimate[];
}

/** A definition as what its steps did is found by. */
export interface EstimatedDefinition {
  readonly definition: Pick<WorkflowDefinition, 'steps' | 'maxConcurrentSteps'>;
  /** Null of one that is not stored. */
  readonly workflowId: string | null;
  readonly timings: ReadonlyMap<string, Timing | null>;
}

/** What executions of a workflow took as a whole. */
export const workflowKey = (workflowId: string): string => `workflow:${workflowId}`;

/**
 * Under which a tenant finds what a step took before: tasks by what they call, whichever workflow does.
 * @param place the workflow and the loops it lies in; null of one that is not stored
 */
export function timingKey(
  { id, kind, call, signal, workflowId }: StepDefinition,
  place: { readonly workflowId: string; readonly body: readonly string[] } | null,
): string | null {
  switch (kind) {
    case 'task':
      return call && `${call.module}.${call.action}`;
    case 'signal':
      return `signal:${signal}`;
    case 'approval':
      return 'approval';
    case 'workflow':
      return workflowKey(workflowId!);
    case 'loop':
      return place && `loop:${place.workflowId}/${[...place.body, id].join('.')}`;
    case 'pass':
    case 'wait':
      return null;
    default:
      return kind satisfies never;
  }
}

/** Everything that the estimate of a definition looks up. */
export function timingKeysOf(steps: readonly StepDefinition[], workflowId: string | null): readonly string[] {
  const visit = (level: readonly StepDefinition[], body: readonly string[]): string[] =>
    level.flatMap((step) =>
      [
        timingKey(step, workflowId === null ? null : { workflowId, body }) ?? [],
        ...visit(step.body, [...body, step.id]),
      ].flat(),
    );
  return [...new Set(visit(steps, []))];
}

const exactly = (ms: number): Timing => ({ samples: 0, medianMs: ms, lowMs: ms, highMs: ms, confidence: 1 });
const assumed = (ms: number): Timing => ({ ...exactly(ms), confidence: 0 });

function estimateSteps(
  { definition, workflowId, timings }: EstimatedDefinition,
  body: readonly string[],
): readonly StepEstimate[] {
  return definition.steps.map((step): StepEstimate => {
    const { id: stepId, kind } = step;
    if (kind === 'pass' || kind === 'wait') return { stepId, basis: 'given', ...exactly(step.waitMs ?? 0) };
    const key = timingKey(step, workflowId === null ? null : { workflowId, body });
    const timing = key === null ? null : timings.get(key);
    if (timing) return { stepId, basis: 'measured', ...timing };
    if (kind !== 'loop') return { stepId, basis: 'assumed', ...assumed(assumedMs) };
    // How often it goes round nobody knows: once.
    const round = { ...definition, steps: step.body };
    const { durationMs } = estimateWorkflow({ definition: round, workflowId, timings }, [...body, stepId]);
    return { stepId, basis: 'assumed', ...assumed(durationMs) };
  });
}

export interface Estimated extends WorkflowEstimate {
  readonly criticalPath: readonly string[];
}

/** How long a definition takes, by what the same took before: its steps in the order in which workers take them. */
export function estimateWorkflow(given: EstimatedDefinition, body: readonly string[] = []): Estimated {
  const { definition } = given;
  const steps = estimateSteps(given, body);
  const replay = createReplay(definition, 0);
  const lasts = (of: (step: StepEstimate) => number) => replay(Float64Array.from(steps, of));
  const { criticalPath } = readTopology(
    definition.steps.map(({ id, dependsOn }, at) => ({ id, dependsOn, durationMs: steps[at]!.medianMs })),
  );
  const decisive = steps.filter(({ stepId, basis }) => basis !== 'given' && criticalPath.includes(stepId));
  const ends = new Float64Array(steps.length);
  const durationMs = replay(
    Float64Array.from(steps, ({ medianMs }) => medianMs),
    ends,
  );
  return {
    durationMs: Math.round(durationMs),
    // Of list schedules with a bound a shorter step may make the whole longer (Graham 1969).
    lowMs: Math.round(
      Math.min(
        durationMs,
        lasts(({ lowMs }) => lowMs),
      ),
    ),
    highMs: Math.round(
      Math.max(
        durationMs,
        lasts(({ highMs }) => highMs),
      ),
    ),
    confidence: Math.min(1, ...decisive.map(({ confidence }) => confidence)),
    samples: decisive.length === 0 ? 0 : Math.min(...decisive.map(({ samples }) => samples)),
    calls: countCalls(definition.steps),
    ...heldBy(definition.steps, steps, ends),
    steps,
    criticalPath,
  };
}

const countCalls = (steps: readonly StepDefinition[]): number =>
  steps.reduce((sum, { kind, body }) => sum + (kind === 'task' ? 1 : countCalls(body)), 0);

/** What steps hold while they run, by when the replay has them run; what bodies of loops hold is theirs. */
function heldBy(definitions: readonly StepDefinition[], steps: readonly StepEstimate[], ends: Float64Array) {
  const held = definitions.flatMap(({ resources }, at) => {
    if (resources == null) return [];
    const { medianMs } = steps[at]!;
    // Sums of fractions differ in the last digits: what begins as another ends is not beside it.
    const from = ends[at]! - medianMs + 0.001;
    return [{ wanted: toVector(resources.requirements), from, to: ends[at]!, medianMs }];
  });
  const most = (one: Vector, two: Vector) => one.map((value, at) => Math.max(value, two[at]!)) as unknown as Vector;
  const peak = held.reduce(
    (highest, { from }) =>
      most(
        highest,
        held.reduce((sum, one) => (one.from <= from && from < one.to ? add(sum, one.wanted) : sum), zero),
      ),
    zero,
  );
  const resourceSeconds = held.reduce((sum, { wanted, medianMs }) => add(sum, scale(wanted, medianMs / 1_000)), zero);
  return { peak, resourceSeconds };
}
