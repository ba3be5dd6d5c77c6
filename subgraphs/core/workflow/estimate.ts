import { add, dimensions, scale, toVector, type Vector, zero } from '../allocation/vector.ts';
import type { Timing } from '../metrics/timing.ts';
import { createReplay } from '../tuning/replay.ts';
import type { StepDefinition, StepResources, WorkflowDefinition } from './definition.ts';
import { readTopology } from './topology.ts';

/** Time that a step is taken to need where nothing was measured, ms. */
export const assumedMs = 100;

/** measured: what the same took before; given: what the definition says; assumed: neither. */
export type Basis = 'measured' | 'given' | 'assumed';

export interface StepEstimate extends Timing {
  readonly stepId: string;
  readonly basis: Basis;
  /** Median of what holders said they used at most, of what nobody said anything of what is asked for; null of what holds nothing. */
  readonly used: Vector | null;
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
  /** The same of what is really used, as far as holders said so. */
  readonly usedPeak: Vector;
  readonly usedSeconds: Vector;
  readonly steps: readonly StepEstimate[];
}

/** A definition as what its steps did is found by. */
export interface EstimatedDefinition {
  readonly definition: Pick<WorkflowDefinition, 'steps' | 'maxConcurrentSteps' | 'resources'>;
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

/** Amounts are recorded in thousandths: what is recorded counts from one. */
export const usageScale = 1_000;

/** Under which a tenant finds what of each resource was used by what has this key. */
export const usageKeys = (key: string): readonly string[] => dimensions.map((name) => `used.${name}:${key}`);

/** Everything that the estimate of a definition looks up. */
export function timingKeysOf(
  { steps, resources }: Pick<WorkflowDefinition, 'steps' | 'resources'>,
  workflowId: string | null,
): readonly string[] {
  const visit = (level: readonly StepDefinition[], body: readonly string[]): string[] =>
    level.flatMap((step) => {
      const key = timingKey(step, workflowId === null ? null : { workflowId, body });
      const own = key === null ? [] : [key, ...(step.resources == null ? [] : usageKeys(key))];
      return [...own, ...visit(step.body, [...body, step.id])];
    });
  const run = resources == null || workflowId === null ? [] : usageKeys(workflowKey(workflowId));
  return [...new Set([...visit(steps, []), ...run])];
}

/** What of what is asked for is used, by the median of what was said of the same. */
function usedOf(
  resources: StepResources | null | undefined,
  key: string | null,
  timings: EstimatedDefinition['timings'],
): Vector | null {
  if (resources == null) return null;
  const asked = toVector(resources.requirements);
  if (key === null) return asked;
  return usageKeys(key).map((one, at) => {
    const measured = timings.get(one);
    // Below a thousandth counts as nothing.
    return measured ? (measured.medianMs <= 1 ? 0 : measured.medianMs / usageScale) : asked[at]!;
  }) as unknown as Vector;
}

const exactly = (ms: number): Timing => ({ samples: 0, medianMs: ms, lowMs: ms, highMs: ms, confidence: 1 });
const assumed = (ms: number): Timing => ({ ...exactly(ms), confidence: 0 });

function estimateSteps(
  { definition, workflowId, timings }: EstimatedDefinition,
  body: readonly string[],
): readonly StepEstimate[] {
  return definition.steps.map((step): StepEstimate => {
    const { id: stepId, kind } = step;
    const key = timingKey(step, workflowId === null ? null : { workflowId, body });
    const own = { stepId, used: usedOf(step.resources, key, timings) };
    if (kind === 'pass' || kind === 'wait') return { ...own, basis: 'given', ...exactly(step.waitMs ?? 0) };
    const timing = key === null ? null : timings.get(key);
    if (timing) return { ...own, basis: 'measured', ...timing };
    if (kind !== 'loop') return { ...own, basis: 'assumed', ...assumed(assumedMs) };
    // How often it goes round nobody knows: once.
    const round = { ...definition, steps: step.body };
    const { durationMs } = estimateWorkflow({ definition: round, workflowId, timings }, [...body, stepId]);
    return { ...own, basis: 'assumed', ...assumed(durationMs) };
  });
}

export interface Estimated extends WorkflowEstimate {
  readonly criticalPath: readonly string[];
}

/** How long a definition takes, by what the same took before: its steps in the order in which workers take them. */
export function estimateWorkflow(given: EstimatedDefinition, body: readonly string[] = []): Estimated {
  const { definition, workflowId, timings } = given;
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
    ...heldBy(
      definition,
      { steps, ends, durationMs },
      {
        ofStep: ({ resources }) => (resources == null ? null : toVector(resources.requirements)),
        run: definition.resources == null ? null : toVector(definition.resources.requirements),
      },
    ),
    ...renamed(
      heldBy(
        definition,
        { steps, ends, durationMs },
        {
          ofStep: (_step, at) => steps[at]!.used,
          run: usedOf(definition.resources, workflowId === null ? null : workflowKey(workflowId), timings),
        },
      ),
    ),
    steps,
    criticalPath,
  };
}

const countCalls = (steps: readonly StepDefinition[]): number =>
  steps.reduce((sum, { kind, body }) => sum + (kind === 'task' ? 1 : countCalls(body)), 0);

const renamed = ({ peak, resourceSeconds }: Pick<WorkflowEstimate, 'peak' | 'resourceSeconds'>) => ({
  usedPeak: peak,
  usedSeconds: resourceSeconds,
});

interface Replayed {
  readonly steps: readonly StepEstimate[];
  readonly ends: Float64Array;
  readonly durationMs: number;
}

interface Amounts {
  readonly ofStep: (step: StepDefinition, at: number) => Vector | null;
  readonly run: Vector | null;
}

/**
 * What steps hold while they run, by when the replay has them run, and the run as a whole, which may give it back while it waits; what
 * bodies of loops hold is theirs.
 */
function heldBy(
  { steps: definitions }: Pick<WorkflowDefinition, 'steps'>,
  { steps, ends, durationMs }: Replayed,
  { ofStep, run }: Amounts,
) {
  const held = definitions.flatMap((definition, at) => {
    const wanted = ofStep(definition, at);
    if (wanted === null) return [];
    const { medianMs } = steps[at]!;
    // Sums of fractions differ in the last digits: what begins as another ends is not beside it.
    const from = ends[at]! - medianMs + 0.001;
    return [{ wanted, from, to: ends[at]!, medianMs }];
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
  if (run === null) return { peak, resourceSeconds };
  return { peak: add(peak, run), resourceSeconds: add(resourceSeconds, scale(run, durationMs / 1_000)) };
}
