import type { PackedCapacity } from './packedCapacity.ts';
import type { Profile } from './profile.ts';

/** One cell per unit of time: the fastest where durations are short. */
export function createDenseProfile(capacity: PackedCapacity, durations: Int32Array, horizon: number): Profile {
  return capacity.words === 1
    ? new SingleWordProfile(capacity, durations, horizon)
    : new DenseProfile(capacity, durations, horizon);
}

function spread({ words, times, levels }: PackedCapacity, horizon: number): Int32Array {
  const cells = new Int32Array(words * horizon);
  for (let time = 0, step = 0; time < horizon; time += 1) {
    while (step + 1 < times.length && times[step + 1]! <= time) step += 1;
    for (let word = 0; word < words; word += 1) cells[time * words + word] = levels[step * words + word]!;
  }
  return cells;
}

class SingleWordProfile implements Profile {
  readonly #durations: Int32Array;
  readonly #needs: Int32Array;
  readonly #guard: number;
  readonly #horizon: number;
  readonly #base: Int32Array;
  readonly #free: Int32Array;

  constructor(capacity: PackedCapacity, durations: Int32Array, horizon: number) {
    this.#durations = durations;
    this.#needs = capacity.needs;
    this.#guard = capacity.guards[0]!;
    this.#horizon = horizon;
    this.#base = spread(capacity, horizon);
    this.#free = this.#base.slice();
  }

  reset(): void {
    this.#free.set(this.#base);
  }

  seal(): void {
    this.#base.set(this.#free);
  }

  earliest(activity: number, from: number): number {
    const need = this.#needs[activity]!;
    if (need === 0) return from;
    const free = this.#free;
    const guard = this.#guard;
    const duration = this.#durations[activity]!;
    const last = this.#horizon - duration;
    let start = from;
    let checked = from;
    while (start <= last) {
      const end = start + duration;
      let time = end - 1;
      while (time >= checked && ((free[time]! - need) & guard) === guard) time -= 1;
      if (time < checked) return start;
      start = time + 1;
      checked = end;
    }
    return -1;
  }

  latest(activity: number, to: number, atLeast: number): number {
    const need = this.#needs[activity]!;
    if (need === 0) return to;
    const free = this.#free;
    const guard = this.#guard;
    const duration = this.#durations[activity]!;
    let start = Math.min(to, this.#horizon - duration);
    let checked = start + duration;
    while (start > atLeast) {
      let time = start;
      while (time < checked && ((free[time]! - need) & guard) === guard) time += 1;
      if (time >= checked) return start;
      checked = start;
      start = time - duration;
    }
    return atLeast;
  }

  take(activity: number, start: number): void {
    const need = this.#needs[activity]!;
    if (need === 0) return;
    const free = this.#free;
    for (let time = start, end = start + this.#durations[activity]!; time < end; time += 1) free[time]! -= need;
  }

  give(activity: number, start: number): void {
    const need = this.#needs[activity]!;
    if (need === 0) return;
    const free = this.#free;
    for (let time = start, end = start + this.#durations[activity]!; time < end; time += 1) free[time]! += need;
  }
}

class DenseProfile implements Profile {
  readonly #durations: Int32Array;
  readonly #capacity: PackedCapacity;
  readonly #horizon: number;
  readonly #base: Int32Array;
  readonly #free: Int32Array;

  constructor(capacity: PackedCapacity, durations: Int32Array, horizon: number) {
    this.#durations = durations;
    this.#capacity = capacity;
    this.#horizon = horizon;
    this.#base = spread(capacity, horizon);
    this.#free = this.#base.slice();
  }

  reset(): void {
    this.#free.set(this.#base);
  }

  seal(): void {
    this.#base.set(this.#free);
  }

  earliest(activity: number, from: number): number {
    const duration = this.#durations[activity]!;
    const last = this.#horizon - duration;
    let start = from;
    let checked = from;
    while (start <= last) {
      const end = start + duration;
      let time = end - 1;
      while (time >= checked && this.#fits(activity, time)) time -= 1;
      if (time < checked) return start;
      start = time + 1;
      checked = end;
    }
    return -1;
  }

  latest(activity: number, to: number, atLeast: number): number {
    const duration = this.#durations[activity]!;
    let start = Math.min(to, this.#horizon - duration);
    let checked = start + duration;
    while (start > atLeast) {
      let time = start;
      while (time < checked && this.#fits(activity, time)) time += 1;
      if (time >= checked) return start;
      checked = start;
      start = time - duration;
    }
    return atLeast;
  }

  take(activity: number, start: number): void {
    this.#add(activity, start, -1);
  }

  give(activity: number, start: number): void {
    this.#add(activity, start, 1);
  }

  #fits(activity: number, time: number): boolean {
    const { words, needs, guards } = this.#capacity;
    for (let word = 0; word < words; word += 1)
      if (((this.#free[time * words + word]! - needs[activity * words + word]!) & guards[word]!) !== guards[word]!)
        return false;
    return true;
  }

  #add(activity: number, start: number, sign: 1 | -1): void {
    const { words, needs } = this.#capacity;
    for (let time = start, end = start + this.#durations[activity]!; time < end; time += 1)
      for (let word = 0; word < words; word += 1)
        this.#free[time * words + word]! += sign * needs[activity * words + word]!;
  }
}
