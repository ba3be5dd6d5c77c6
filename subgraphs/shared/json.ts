/** Text that may hold a number beyond a double: two hundred digits, or an exponent of three. Nearly no text does. */
const mayOverflow = /\d{200}|\d[eE]\+?\d{3}/;

/** Walks with a list of its own: what was nested thousands deep must not overflow the stack here. */
function holdsInfinity(value: unknown): boolean {
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next === 'number' && !Number.isFinite(next)) return true;
    if (typeof next === 'object' && next !== null) for (const each of Object.values(next)) open.push(each);
  }
  return false;
}

/**
 * JSON from outside. `JSON.parse` makes Infinity of a number too large for a double, which no JSON can say again.
 * @throws {SyntaxError} when it is no JSON, or has such a number
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (mayOverflow.test(text) && holdsInfinity(value)) throw new SyntaxError('a number is out of range');
  return value;
}

/** True for JSON with a number out of range, which `JSON.parse` alone would take. */
export function isOutOfRange(text: string): boolean {
  if (!mayOverflow.test(text)) return false;
  try {
    return holdsInfinity(JSON.parse(text));
  } catch {
    return false;
  }
}
