import type { Instance } from './instance.ts';
import { justifyLeft, justifyRight } from './justification.ts';
import { free } from './problem.ts';
import { createProfile, type Profile } from './profile.ts';
import { generateReversible } from './reversibleGeneration.ts';
import { generatePlain, impossible } from './serialGeneration.ts';
import { createSorter, type Sorter } from './sorter.ts';

/** Scratch memory and the resource profile that schedules of one instance are built in, one after the other. */
export interface Workspace {
  readonly instance: Instance;
  readonly profile: Profile;
  readonly sorter: Sorter;
  /** Activities that are not fixed. */
  readonly movable: Uint8Array;
  readonly keys: Int32Array;
  readonly sequence: Int32Array;
  readonly backwards: Int32Array;
  /** The activity that the last list without a schedule could not place. */
  unplaced: number;
}

/** Builds and improves schedules. Lengths are makespans, plus `latenessPenalty` for each unit an activity is late. */
export interface Builder {
  readonly instance: Instance;
  readonly profile: Profile;
  /** Passes over all activities so far: what an evaluation budget counts. */
  evaluations: number;
  /** The schedule of a list; `impossible` where it has none. */
  generate(list: Int32Array, starts: Int32Array): number;
  /** Double justification of the schedule built last; never longer. */
  justify(starts: Int32Array): number;
  /** Makes the profile hold this schedule. */
  load(starts: Int32Array): void;
  /** The activities by start, as a list that generates this schedule or one that is no longer. */
  list(starts: Int32Array, into: Int32Array): void;
  length(starts: Int32Array): number;
  /** The activity that the last list without a schedule could not place. */
  unplaced(): number;
}

/** The documented weight of a soft violation. */
export const latenessPenalty = 1_000;

export function createBuilder(instance: Instance): Builder {
  const { size, durations, fixedStarts, latestStarts, order } = instance;
  const profile = createProfile(instance.capacity, durations, instance.horizon);
  const workspace: Workspace = {
    instance,
    profile,
    sorter: createSorter(size),
    movable: Uint8Array.from(fixedStarts, (start) => (start === free ? 1 : 0)),
    keys: new Int32Array(size),
    sequence: new Int32Array(size),
    backwards: order.toReversed(),
    unplaced: 0,
  };
  for (let activity = 0; activity < size; activity += 1)
    if (fixedStarts[activity] !== free) profile.take(activity, fixedStarts[activity]!);
  profile.seal();

  const length = (starts: Int32Array): number => {
    let makespan = 0;
    let late = 0;
    for (let activity = 0; activity < size; activity += 1) {
      const start = starts[activity]!;
      const end = start + durations[activity]!;
      if (end > makespan) makespan = end;
      const latest = latestStarts[activity]!;
      if (start > latest) late += start - latest;
    }
    return makespan + latenessPenalty * late;
  };
  const generate = instance.hasReversibleArcs ? generateReversible : generatePlain;
  return {
    instance,
    profile,
    evaluations: 0,
    generate(list, starts) {
      this.evaluations += 1;
      return generate(workspace, list, starts) ? length(starts) : impossible;
    },
    justify(starts) {
      this.evaluations += 2;
      justifyRight(workspace, starts);
      justifyLeft(workspace, starts);
      return length(starts);
    },
    load(starts) {
      profile.reset();
      for (let activity = 0; activity < size; activity += 1)
        if (workspace.movable[activity] === 1) profile.take(activity, starts[activity]!);
    },
    list: (starts, into) => workspace.sorter.sort(starts, order, into),
    length,
    unplaced: () => workspace.unplaced,
  };
}
