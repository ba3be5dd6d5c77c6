/** CPU cores, MB of memory, MB of storage, Mbit/s of bandwidth, agents. */
export type Vector = readonly [number, number, number, number, number];

export const dimensions = ['cpuCores', 'memoryMb', 'storageMb', 'bandwidthMbps', 'agents'] as const;
export const zero: Vector = [0, 0, 0, 0, 0];
/** More than anybody asks for: a limit that is none. */
export const unlimited: Vector = [1e15, 1e15, 1e15, 1e15, 1e15];
/** Sums of fractions of cores differ in the last digits. */
const tolerance = 1e-9;

export type Amounts = Readonly<Partial<Record<(typeof dimensions)[number], number | null | undefined>>>;

export function toVector(amounts: Amounts | null | undefined, otherwise: Vector = zero): Vector {
  return dimensions.map((name, at) => amounts?.[name] ?? otherwise[at]!) as unknown as Vector;
}

export const toAmounts = (vector: Vector) =>
  Object.fromEntries(dimensions.map((name, at) => [name, vector[at]!])) as Record<(typeof dimensions)[number], number>;

export const add = (one: Vector, two: Vector): Vector => one.map((value, at) => value + two[at]!) as unknown as Vector;
export const subtract = (one: Vector, two: Vector): Vector =>
  one.map((value, at) => Math.max(0, value - two[at]!)) as unknown as Vector;
export const scale = (vector: Vector, factor: number): Vector =>
  vector.map((value) => value * factor) as unknown as Vector;
export const fits = (wanted: Vector, room: Vector): boolean =>
  wanted.every((value, at) => value <= room[at]! * (1 + tolerance) + tolerance);

/** The greatest share of any resource (Ghodsi et al., NSDI 2011); resources of which there are none do not count. */
export function dominantShare(used: Vector, total: Vector): number {
  return Math.max(0, ...used.map((value, at) => (total[at]! > 0 ? value / total[at]! : 0)));
}
