import type { PackedCapacity } from './packedCapacity.ts';
import type { Profile } from './profile.ts';

/** One entry per change of what is free: independent of how long activities take. */
export function createEventProfile(capacity: PackedCapacity, durations: Int32Array, horizon: number): Profile {
  return new EventProfile(capacity, durations, horizon);
}

class EventProfile implements Profile {
  readonly #capacity: PackedCapacity;
  readonly #durations: Int32Array;
  readonly #horizon: number;
  #sealedTimes: Int32Array;
  #sealedFree: Int32Array;
  #count: number;
  #times: Int32Array;
  #free: Int32Array;

  constructor(capacity: PackedCapacity, durations: Int32Array, horizon: number) {
    this.#capacity = capacity;
    this.#durations = durations;
    this.#horizon = horizon;
    this.#sealedTimes = capacity.times;
    this.#sealedFree = capacity.levels;
    this.#count = capacity.times.length;
    this.#times = new Int32Array(2 * this.#count + 64);
    this.#free = new Int32Array(this.#times.length * capacity.words);
    this.reset();
  }

  reset(): void {
    this.#count = this.#sealedTimes.length;
    this.#times.set(this.#sealedTimes);
    this.#free.set(this.#sealedFree);
  }

  seal(): void {
    this.#sealedTimes = this.#times.slice(0, this.#count);
    this.#sealedFree = this.#free.slice(0, this.#count * this.#capacity.words);
  }

  earliest(activity: number, from: number): number {
    const duration = this.#durations[activity]!;
    if (duration === 0) return from;
    let start = from;
    for (let at = this.#find(from); at < this.#count; at += 1) {
      const end = at + 1 < this.#count ? this.#times[at + 1]! : this.#horizon;
      if (!this.#fits(activity, at)) start = end;
      else if (end - start >= duration) return start;
    }
    return -1;
  }

  latest(activity: number, to: number, atLeast: number): number {
    const duration = this.#durations[activity]!;
    if (duration === 0) return to;
    let end = Math.min(to + duration, this.#horizon);
    for (let at = this.#find(end - 1); at >= 0 && end - duration > atLeast; at -= 1) {
      if (!this.#fits(activity, at)) end = this.#times[at]!;
      else if (end - this.#times[at]! >= duration) return end - duration;
    }
    return atLeast;
  }

  take(activity: number, start: number): void {
    this.#add(activity, start, -1);
  }

  give(activity: number, start: number): void {
    this.#add(activity, start, 1);
  }

  /** The entry in force at `time`. */
  #find(time: number): number {
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#times[middle]! <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #fits(activity: number, at: number): boolean {
    const { words, needs, guards } = this.#capacity;
    for (let word = 0; word < words; word += 1)
      if (((this.#free[at * words + word]! - needs[activity * words + word]!) & guards[word]!) !== guards[word]!)
        return false;
    return true;
  }

  #add(activity: number, start: number, sign: 1 | -1): void {
    const { words, needs } = this.#capacity;
    const duration = this.#durations[activity]!;
    let needed = 0;
    for (let word = 0; word < words; word += 1) needed |= needs[activity * words + word]!;
    if (duration === 0 || needed === 0) return;
    const first = this.#split(start);
    const past = this.#split(start + duration);
    for (let at = first; at < past; at += 1)
      for (let word = 0; word < words; word += 1)
        this.#free[at * words + word]! += sign * needs[activity * words + word]!;
    this.#merge(past);
    this.#merge(first);
  }

  /** The entry that begins at `time`, made where there is none. */
  #split(time: number): number {
    const at = this.#find(time);
    if (this.#times[at] === time) return at;
    if (this.#count === this.#times.length) this.#grow();
    const { words } = this.#capacity;
    this.#times.copyWithin(at + 2, at + 1, this.#count);
    this.#free.copyWithin((at + 1) * words, at * words, this.#count * words);
    this.#times[at + 1] = time;
    this.#count += 1;
    return at + 1;
  }

  /** Removes the entry where it says the same as the one before. */
  #merge(at: number): void {
    if (at === 0) return;
    const { words } = this.#capacity;
    for (let word = 0; word < words; word += 1)
      if (this.#free[at * words + word] !== this.#free[(at - 1) * words + word]) return;
    this.#times.copyWithin(at, at + 1, this.#count);
    this.#free.copyWithin(at * words, (at + 1) * words, this.#count * words);
    this.#count -= 1;
  }

  #grow(): void {
    const times = new Int32Array(2 * this.#times.length);
    const free = new Int32Array(2 * this.#free.length);
    times.set(this.#times);
    free.set(this.#free);
    this.#times = times;
    this.#free = free;
  }
}
