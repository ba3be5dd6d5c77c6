import type { SchedulingProblem } from './problem.ts';

/**
 * Capacities and demands of all resources packed into 32-bit words, a guard bit above each field: demand fits into the
 * free units of a moment where the difference of the words keeps all guards (SIMD within a register, Lamport 1975).
 */
export interface PackedCapacity {
  readonly words: number;
  readonly guards: Int32Array;
  /** `needs[activity * words + word]` */
  readonly needs: Int32Array;
  /** From `times[step]` on, `levels[step * words + word]` is free, guards set. */
  readonly times: Int32Array;
  readonly levels: Int32Array;
}

interface Field {
  readonly resource: number;
  readonly word: number;
  readonly shift: number;
  readonly most: number;
}

/** Leaves out resources that can never run short: their demands together stay within the capacity. */
export function packCapacity(problem: SchedulingProblem): PackedCapacity {
  const { fields, guards } = layOut(problem);
  const words = guards.length;
  const size = problem.durations.length;
  const needs = new Int32Array(size * words);
  for (let activity = 0; activity < size; activity += 1)
    for (const { resource, word, shift } of fields)
      if (problem.durations[activity]! > 0)
        needs[activity * words + word]! |= problem.demands[activity * problem.resources.length + resource]! << shift;
  const steps = new Set([0]);
  for (const { resource } of fields)
    for (const step of problem.resources[resource]!.calendar ?? []) steps.add(step.time);
  const times = Int32Array.from(steps).sort();
  const levels = new Int32Array(times.length * words);
  times.forEach((time, step) => {
    for (const { resource, word, shift, most } of fields)
      levels[step * words + word]! |= Math.min(capacityAt(problem, resource, time), most) << shift;
    for (let word = 0; word < words; word += 1) levels[step * words + word]! |= guards[word]!;
  });
  return { words, guards, needs, times, levels };
}

export function capacityAt(problem: SchedulingProblem, resource: number, time: number): number {
  const { capacity, calendar } = problem.resources[resource]!;
  let current = capacity;
  for (const step of calendar ?? []) {
    if (step.time > time) break;
    current = step.capacity;
  }
  return current;
}

function layOut(problem: SchedulingProblem): { fields: Field[]; guards: Int32Array } {
  const fields: Field[] = [];
  const guards: number[] = [];
  let used = 32;
  problem.resources.forEach(({ capacity, calendar = [] }, resource) => {
    let total = 0;
    for (let activity = 0; activity < problem.durations.length; activity += 1)
      if (problem.durations[activity]! > 0) total += problem.demands[activity * problem.resources.length + resource]!;
    const least = calendar.reduce((lowest, step) => Math.min(lowest, step.capacity), capacity);
    if (total <= least) return;
    const most = Math.min(
      total,
      calendar.reduce((highest, step) => Math.max(highest, step.capacity), capacity),
    );
    const bits = 32 - Math.clz32(most);
    if (used + bits + 1 > 32) {
      guards.push(0);
      used = 0;
    }
    const word = guards.length - 1;
    fields.push({ resource, word, shift: used, most });
    guards[word]! |= 1 << (used + bits);
    used += bits + 1;
  });
  return { fields, guards: Int32Array.from(guards) };
}
