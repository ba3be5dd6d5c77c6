import { createDenseProfile } from './denseProfile.ts';
import { createEventProfile } from './eventProfile.ts';
import type { PackedCapacity } from './packedCapacity.ts';

/** What is free of all resources over time. */
export interface Profile {
  /** Back to what was free when the profile was last sealed. */
  reset(): void;
  /** What is taken now stays taken after `reset`. */
  seal(): void;
  /** Earliest start from `from` on at which the activity fits; -1 if there is none within the horizon. */
  earliest(activity: number, from: number): number;
  /** Latest start from `to` downwards at which the activity fits; `atLeast` where none is later. */
  latest(activity: number, to: number, atLeast: number): number;
  take(activity: number, start: number): void;
  give(activity: number, start: number): void;
}

/** Cells up to which one cell per unit of time is used, instead of one per change. */
const maxDenseCells = 65_536;

/** @param horizon no activity ends later */
export function createProfile(capacity: PackedCapacity, durations: Int32Array, horizon: number): Profile {
  return capacity.words * horizon <= maxDenseCells
    ? createDenseProfile(capacity, durations, horizon)
    : createEventProfile(capacity, durations, horizon);
}
