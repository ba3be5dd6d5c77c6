/** A set of dense ids: bit `i` is bit `i & 31` of word `i >>> 5`. Words beyond the end are zero, so sets need no common length. */
export type Bits = Uint32Array;

export const noBits: Bits = new Uint32Array(0);

export function hasBit(bits: Bits, index: number): boolean {
  const word = index >>> 5;
  return word < bits.length && ((bits[word]! >>> (index & 31)) & 1) === 1;
}

export function withBit(bits: Bits, index: number): Bits {
  if (hasBit(bits, index)) return bits;
  const next = new Uint32Array(Math.max(bits.length, (index >>> 5) + 1));
  next.set(bits);
  setBit(next, index);
  return next;
}

export function withoutBit(bits: Bits, index: number): Bits {
  if (!hasBit(bits, index)) return bits;
  const next = bits.slice();
  next[index >>> 5]! &= ~(1 << (index & 31));
  return next;
}

/** The set must be long enough. */
export function setBit(bits: Bits, index: number): void {
  bits[index >>> 5]! |= 1 << (index & 31);
}

/** Adds `source` to `target`, which must be at least as long. */
export function addBits(target: Bits, source: Bits): void {
  for (let word = 0; word < source.length; word += 1) target[word]! |= source[word]!;
}

export function equalBits(left: Bits, right: Bits): boolean {
  if (left === right) return true;
  const longer = left.length >= right.length ? left : right;
  const shorter = longer === left ? right : left;
  for (let word = 0; word < shorter.length; word += 1) if (left[word] !== right[word]) return false;
  for (let word = shorter.length; word < longer.length; word += 1) if (longer[word] !== 0) return false;
  return true;
}

export function isEmptyBits(bits: Bits): boolean {
  return bits.every((word) => word === 0);
}

export function unionBits(sets: readonly Bits[]): Bits {
  if (sets.length === 0) return noBits;
  if (sets.length === 1) return sets[0]!;
  let length = 0;
  for (const set of sets) length = Math.max(length, set.length);
  const union = new Uint32Array(length);
  for (const set of sets) addBits(union, set);
  return union;
}

/** The ids of the set, ascending. */
export function listBits(bits: Bits): number[] {
  const found: number[] = [];
  for (let word = 0; word < bits.length; word += 1) listWord(bits[word]!, word, found);
  return found;
}

/** The ids that both sets hold, ascending. */
export function listCommonBits(left: Bits, right: Bits): number[] {
  const found: number[] = [];
  const length = Math.min(left.length, right.length);
  for (let word = 0; word < length; word += 1) {
    const common = left[word]! & right[word]!;
    if (common !== 0) listWord(common, word, found);
  }
  return found;
}

function listWord(value: number, word: number, found: number[]): void {
  let rest = value;
  while (rest !== 0) {
    const lowest = rest & -rest;
    found.push((word << 5) + 31 - Math.clz32(lowest));
    rest ^= lowest;
  }
}
