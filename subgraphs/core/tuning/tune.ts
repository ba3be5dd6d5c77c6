import type { StepDefinition, WorkflowDefinition } from '../workflow/definition.ts';
import { readTopology } from '../workflow/topology.ts';
import { percentile, type Recorded } from './recorded.ts';
import { type Ordering, relax } from './relax.ts';
import { blameOf, createReplay, durationsOf, handoverOf, type StepDurations } from './replay.ts';

/** What a thread of the compute pool runs: all of it can be copied. */
export interface TuneTask {
  readonly definition: WorkflowDefinition;
  readonly recorded: Recorded;
  readonly ordering: Ordering;
  /** Steps whose calls are mutations. */
  readonly changing: readonly string[];
  /** After which nothing further is tried; ms. */
  readonly timeBudgetMs: number;
}

export interface DefinitionChange {
  readonly kind: 'dependencies' | 'concurrency' | 'timeout';
  readonly stepId: string | null;
  readonly from: string;
  readonly to: string;
  /** By which the median of the executions would shrink, had it alone not been made; ms. */
  readonly gainMs: number;
  readonly reason: string;
}

export interface TunedStep {
  readonly stepId: string;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
  readonly runs: number;
  /** Time it could take longer without the whole doing so (total float), by medians; ms. */
  readonly slackMs: number;
  /** Part of the executions' time that it was the one waited for. */
  readonly blame: number;
}

export interface Tuned {
  readonly definition: WorkflowDefinition;
  readonly changes: readonly DefinitionChange[];
  readonly steps: readonly TunedStep[];
  readonly criticalPath: readonly string[];
  readonly sampled: number;
  readonly handoverMs: number;
  /** Medians, ms: as recorded, as the replay of the same definition says, and as the replay of the new one does. */
  readonly measuredMs: number;
  readonly replayedMs: number;
  readonly predictedMs: number;
  /** Whether time ended the search: of fewer slots, or of what each change gains alone. */
  readonly timeBudgetExhausted: boolean;
}

/** Runs of a step from which its time limit may be told. */
const minTimeoutRuns = 20;
/** Changes whose gain is told apart. */
const maxAttributed = 20;
const attributedSample = 50;

/** Looks for what makes the recorded executions shorter, and says by how much the replay of each would be. */
export async function tune({ definition, recorded, ordering, changing, timeBudgetMs }: TuneTask): Promise<Tuned> {
  const endsAtMs = performance.now() + timeBudgetMs;
  let timeBudgetExhausted = false;
  const isOver = () => {
    if (performance.now() < endsAtMs) return false;
    timeBudgetExhausted = true;
    return true;
  };
  const mutations = new Set(changing);
  const durations = durationsOf(definition, recorded);
  const handoverMs = handoverOf(definition, recorded);
  const medianOf = (candidate: WorkflowDefinition, runs: readonly StepDurations[] = durations) => {
    const replay = createReplay(candidate, handoverMs);
    return percentile(
      runs.map((one) => replay(one)),
      0.5,
    );
  };
  const replayedMs = medianOf(definition);
  const relaxed = relax(definition, ordering, ({ id }) => mutations.has(id));
  let best = relaxed.definition;
  const concurrency = fewestSlots(best, { medianOf: (candidate) => medianOf(candidate), isOver });
  best = { ...best, maxConcurrentSteps: concurrency };
  const predictedMs = medianOf(best);
  const steps = stepsOf(definition, recorded, durations);
  const few = durations.slice(0, attributedSample);
  const fewMs = medianOf(best, few);
  const without = (candidate: WorkflowDefinition) => Math.max(0, medianOf(candidate, few) - fewMs);
  const changes: DefinitionChange[] = relaxed.changed.map(({ stepId, from, to }, at) => ({
    ...{ kind: 'dependencies', stepId, from: from.join(' '), to: to.join(' ') },
    gainMs:
      at >= maxAttributed || isOver()
        ? 0
        : without({
            ...best,
            steps: best.steps.map((step) => (step.id === stepId ? { ...step, dependsOn: from } : step)),
          }),
    reason: `it reads nothing of ${from.filter((source) => !to.includes(source)).join(', ')}`,
  }));
  if (concurrency !== definition.maxConcurrentSteps)
    changes.push({
      ...{ kind: 'concurrency', stepId: null },
      ...{ from: String(definition.maxConcurrentSteps), to: String(concurrency) },
      gainMs: isOver() ? 0 : without({ ...best, maxConcurrentSteps: definition.maxConcurrentSteps }),
      reason: 'steps are ready and wait for others that they do not depend on',
    });
  const limits = timeoutsOf(definition, steps);
  if (limits.size > 0) {
    const timed = (step: StepDefinition) => ({ ...step, timeoutMs: limits.get(step.id) ?? step.timeoutMs });
    best = { ...best, steps: best.steps.map(timed) };
    for (const [stepId, timeoutMs] of limits) {
      const { timeoutMs: before } = definition.steps.find(({ id }) => id === stepId)!;
      const { maxMs, runs } = steps.find((step) => step.stepId === stepId)!;
      changes.push({
        ...{ kind: 'timeout', stepId, from: String(before), to: String(timeoutMs), gainMs: 0 },
        reason:
          timeoutMs < before
            ? `the longest of ${runs} runs took ${Math.round(maxMs)} ms: one that hangs is noticed sooner`
            : `one of ${runs} runs took ${Math.round(maxMs)} ms, close to the limit`,
      });
    }
  }
  return {
    ...{ definition: best, changes, steps, handoverMs, replayedMs, predictedMs, timeBudgetExhausted },
    criticalPath: criticalPathOf(definition, steps),
    sampled: recorded.durationsMs.length,
    measuredMs: percentile(recorded.durationsMs, 0.5),
  };
}

/**
 * The smallest bound of steps at the same time that costs no more than a hundredth; never below the one there is. What time
 * leaves of the search is a greater one that costs no more either.
 */
function fewestSlots(
  definition: WorkflowDefinition,
  {
    medianOf,
    isOver,
  }: { readonly medianOf: (candidate: WorkflowDefinition) => number; readonly isOver: () => boolean },
): number {
  // Unless it was tried, nothing is known of another number.
  if (isOver()) return definition.maxConcurrentSteps;
  const { width } = readTopology(definition.steps.map(({ id, dependsOn }) => ({ id, dependsOn, durationMs: 0 })));
  const most = Math.min(100, Math.max(width, definition.maxConcurrentSteps));
  const of = (maxConcurrentSteps: number) => medianOf({ ...definition, maxConcurrentSteps });
  const wanted = of(most) * 1.01;
  if (most === definition.maxConcurrentSteps || of(definition.maxConcurrentSteps) <= wanted)
    return definition.maxConcurrentSteps;
  let [low, high] = [definition.maxConcurrentSteps, most];
  while (high - low > 1 && !isOver()) {
    const middle = Math.floor((low + high) / 2);
    if (of(middle) <= wanted) high = middle;
    else low = middle;
  }
  return high;
}

function stepsOf(
  definition: WorkflowDefinition,
  recorded: Recorded,
  durations: readonly StepDurations[],
): readonly TunedStep[] {
  const ran = new Map(recorded.steps.map((step) => [step.stepId, step]));
  const blame = new Map(blameOf(definition, recorded).map(({ stepId, share }) => [stepId, share]));
  const own = definition.steps.map(({ id }, place) => {
    const taken = durations.flatMap((one, at) => (ran.get(id)?.endedMs[at] == null ? [] : [one[place]!]));
    return {
      ...{ stepId: id, runs: taken.length, p50Ms: percentile(taken, 0.5), p95Ms: percentile(taken, 0.95) },
      maxMs: Math.max(0, ...taken),
    };
  });
  const topology = topologyOf(definition, own);
  // The earliest start by the same medians: forwards along the order.
  const startMs = new Map<string, number>();
  const medians = new Map(own.map(({ stepId, p50Ms }) => [stepId, p50Ms]));
  const sources = new Map(definition.steps.map(({ id, dependsOn }) => [id, dependsOn]));
  for (const id of topology.order)
    startMs.set(id, Math.max(0, ...sources.get(id)!.map((source) => startMs.get(source)! + medians.get(source)!)));
  return own.map((step) => ({
    ...step,
    slackMs: Math.max(0, topology.durationMs - startMs.get(step.stepId)! - topology.tailMs.get(step.stepId)!),
    blame: blame.get(step.stepId) ?? 0,
  }));
}

const topologyOf = (
  { steps }: WorkflowDefinition,
  measured: readonly { readonly stepId: string; readonly p50Ms: number }[],
) => {
  const medians = new Map(measured.map(({ stepId, p50Ms }) => [stepId, p50Ms]));
  return readTopology(steps.map(({ id, dependsOn }) => ({ id, dependsOn, durationMs: medians.get(id) ?? 0 })));
};

const criticalPathOf = (definition: WorkflowDefinition, steps: readonly TunedStep[]) =>
  topologyOf(definition, steps).criticalPath;

/** Limits of tasks: three times the longest run of enough, where that is far from the one there is, or runs come close. */
function timeoutsOf(definition: WorkflowDefinition, steps: readonly TunedStep[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { id, kind, timeoutMs } of definition.steps) {
    const { runs, maxMs } = steps.find(({ stepId }) => stepId === id)!;
    if (kind !== 'task' || runs < minTimeoutRuns) continue;
    const wanted = Math.max(1_000, Math.ceil((maxMs * 3) / 1_000) * 1_000);
    if (wanted * 2 <= timeoutMs || maxMs > timeoutMs * 0.8) found.set(id, wanted);
  }
  return found;
}
