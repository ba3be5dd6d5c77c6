import { arrangeList } from './arrangement.ts';
import { type Builder, createBuilder } from './builder.ts';
import { compileInstance, type Instance } from './instance.ts';
import { levelStarts } from './levelling.ts';
import { createListMoves, type ListMoves } from './listMoves.ts';
import type { Scored } from './nondominated.ts';
import { type Target, valueTarget } from './objectives.ts';
import type { SchedulingProblem } from './problem.ts';
import type { Random } from './random.ts';
import { impossible } from './serialGeneration.ts';

/** What a schedule for several targets is made from, and what it came to. */
export interface Genome extends Scored {
  readonly list: Int32Array;
  /** Units of time saved by each crash option. */
  readonly saved: Int32Array;
  /** How much longer than its makespan levelling may make the schedule, as a share; below 0: no levelling. */
  readonly stretch: number;
  readonly starts: Int32Array;
  /** With the durations after crashing. */
  readonly instance: Instance;
}

export interface GenomeFactory {
  readonly moves: ListMoves;
  evaluations(): number;
  express(list: Int32Array, saved: Int32Array, stretch: number): Genome;
}

/** Expects an instance of a valid problem. */
export function createGenomeFactory(instance: Instance, objectives: readonly Target[], random: Random): GenomeFactory {
  const { problem } = instance;
  const normal = createBuilder(instance);
  let crashedPasses = 0;
  return {
    moves: createListMoves(instance, random),
    evaluations: () => normal.evaluations + crashedPasses,
    express(list, saved, stretch) {
      const isCrashed = saved.some((units) => units > 0);
      const builder = isCrashed ? builderOfCrashed(problem, saved) : normal;
      const own = list.slice();
      const starts = new Int32Array(instance.size);
      const expressed = (builder ?? normal).instance;
      const { durations } = expressed;
      const genes = { list: own, saved, stretch, starts, instance: expressed };
      const before = builder?.evaluations ?? 0;
      // Shorter durations can turn the direction of an arc between finishes.
      if (builder !== null && saved.length > 0) arrangeList(own, builder.instance.listPredecessors);
      let length = builder === null ? impossible : builder.generate(own, starts);
      if (builder === null || length >= impossible)
        return { ...genes, objectives: objectives.map(() => impossible), violation: impossible };
      length = builder.justify(starts);
      builder.list(starts, own);
      const makespan = lastFinish(starts, durations);
      if (stretch >= 0) levelStarts(builder, starts, Math.floor(makespan * (1 + stretch)));
      if (builder !== normal) crashedPasses += builder.evaluations - before;
      const values = objectives.map((target) => valueTarget(target, builder.instance, { starts, original: problem }));
      return { ...genes, objectives: values, violation: builder.length(starts) - lastFinish(starts, durations) };
    },
  };
}

/** Null where the shorter durations make dependencies or dates contradict one another. */
function builderOfCrashed(problem: SchedulingProblem, saved: Int32Array): Builder | null {
  const compiled = compileInstance({ ...problem, durations: crashDurations(problem, saved) });
  return 'instance' in compiled ? createBuilder(compiled.instance) : null;
}

export function crashDurations({ durations, crashOptions = [] }: SchedulingProblem, saved: Int32Array): Int32Array {
  const crashed = durations.slice();
  for (const [at, { activity }] of crashOptions.entries()) crashed[activity]! -= saved[at]!;
  return crashed;
}

function lastFinish(starts: Int32Array, durations: Int32Array): number {
  return starts.reduce((latest, start, activity) => Math.max(latest, start + durations[activity]!), 0);
}
