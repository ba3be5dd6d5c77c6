import { type Attributes, readOwn } from './facts.ts';

/** What each kind of value is told under, by the attribute's path: a comparison in SQL never meets another kind. */
export const kinds = { s: 'string', n: 'number', b: 'boolean', l: 'list', o: 'object' } as const;
export type Kind = keyof typeof kinds;

/** Names below the root; what lies deeper is not told, and cannot be asked for. */
export const maxDepth = 8;

/**
 * Attributes as conditions in SQL read them (`jsonPath.ts`): `k` the kind of each, `s`, `n` and `b` the strings, numbers and
 * booleans, `ls`, `ln` and `lb` those in lists. Values that are missing have no kind.
 */
export function flatten(attributes: Attributes, root: string): Readonly<Record<string, Record<string, unknown>>> {
  const flat: Record<string, Record<string, unknown>> = { k: {}, s: {}, n: {}, b: {}, ls: {}, ln: {}, lb: {} };
  const put = (under: string, path: string, value: unknown) => {
    flat[under]![path] = value;
  };
  const visit = (value: unknown, path: string, depth: number): void => {
    const kind = kindOf(value);
    if (kind === null) return;
    put('k', path, kind);
    if (kind === 's' || kind === 'n' || kind === 'b') put(kind, path, storable(value));
    if (kind === 'l') {
      const members = value as readonly unknown[];
      for (const each of ['s', 'n', 'b'] as const)
        put(`l${each}`, path, members.filter((member) => kindOf(member) === each).map(storable));
    }
    if (kind !== 'o' || depth === maxDepth) return;
    visitMembers(value as object, path, depth + 1);
  };
  const visitMembers = (value: object, path: string, depth: number) => {
    for (const name of Object.keys(value))
      if (!name.includes('.')) visit(readOwn(value, name), `${path}.${name}`, depth);
  };
  visitMembers(attributes, root, 1);
  return flat;
}

export function kindOf(value: unknown): Kind | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return 'l';
  if (typeof value === 'number') return Number.isFinite(value) ? 'n' : null;
  return typeof value === 'string' ? 's' : typeof value === 'boolean' ? 'b' : typeof value === 'object' ? 'o' : null;
}

/** PostgreSQL refuses lone surrogates and NUL in JSON; no value that it has stored has any. */
const storable = (value: unknown) =>
  typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\ufffd') : value;
