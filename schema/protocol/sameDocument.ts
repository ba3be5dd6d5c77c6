/** Whether two JSON documents say the same: key order is free, list order is not, 0 and -0 are one number. */
export function sameDocument(a: unknown, b: unknown): boolean {
  // A stack of pairs, not recursion: the depth of a document is its sender's choice.
  const left: unknown[] = [a];
  const right: unknown[] = [b];
  while (left.length > 0) {
    const x = left.pop();
    const y = right.pop();
    if (x === y) continue;
    if (typeof x !== 'object' || typeof y !== 'object' || x === null || y === null) return false;
    if (Array.isArray(x) || Array.isArray(y)) {
      if (!Array.isArray(x) || !Array.isArray(y) || x.length !== y.length) return false;
      for (let i = 0; i < x.length; i += 1) {
        left.push(x[i]);
        right.push(y[i]);
      }
      continue;
    }
    const entries = Object.entries(x);
    if (entries.length !== Object.keys(y).length) return false;
    for (const [key, value] of entries) {
      if (!Object.hasOwn(y, key)) return false;
      left.push(value);
      right.push(Object.getOwnPropertyDescriptor(y, key)?.value);
    }
  }
  return true;
}
