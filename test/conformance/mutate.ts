import fc from 'fast-check';

/** One random change: where (an index into all places), what is done there, with which value or key. */
export interface Change {
  place: number;
  kind: 'remove' | 'add' | 'replace' | 'repeat';
  key: string;
  value: unknown;
}

const keys = ['x_unknown', 'toString', 'constructor', '__proto__', 'a/b', 'a~b', '', 'context_id', 'events', 'data'];

const values: readonly unknown[] = [
  null,
  true,
  7,
  -1,
  1.5,
  1e308,
  '',
  ' ',
  'text',
  'NOT_A_VALUE',
  'active',
  'draft',
  'not-a-datetime',
  '2026-02-30T00:00:00Z',
  '2026-03-14 09:26:00z',
  '2026-03-14T09:26:60Z',
  '2026-03-14T09:26:00',
  '0A7F3C52-91D4-4E0B-8C6A-000000000001',
  '123e4567-e89b-12d3-a456-426614174000',
  '0a7f3c52-91d4-4e0b-8c6a-000000000999',
  'urn:uuid:0a7f3c52-91d4-4e0b-8c6a-000000000999',
  'plan_created',
  'plan.created',
  '1.0',
  '1.0.0',
  '1.0.0-rc.1+b',
  [],
  {},
  ['same', 'same'],
  ['security', 'security'],
  [null, {}, 'x'],
  { a: { b: [1] } },
  [[[[]]]],
];

export const changes: fc.Arbitrary<Change[]> = fc.array(
  fc.record({
    place: fc.nat(),
    kind: fc.constantFrom('remove', 'add', 'replace', 'repeat'),
    key: fc.constantFrom(...keys),
    value: fc.constantFrom(...values),
  }),
  { minLength: 1, maxLength: 3 },
);

interface Place {
  parent: object;
  key: string;
}

function placesOf(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value).flatMap((key) => {
    const child: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
    return [{ parent: value, key }, ...placesOf(child)];
  });
}

function set(target: object, key: string, value: unknown): void {
  // defineProperty, so that `__proto__` becomes a key of its own as JSON.parse makes it.
  Object.defineProperty(target, key, {
    value: structuredClone(value),
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

/** A changed copy; changes that do not fit their place leave it as it is. */
export function changed(original: unknown, list: readonly Change[]): unknown {
  const root = { root: structuredClone(original) };
  for (const { place, kind, key, value } of list) {
    const places = placesOf(root);
    const found = places[place % places.length];
    if (!found) continue;
    const { parent } = found;
    const current: unknown = Object.getOwnPropertyDescriptor(parent, found.key)?.value;
    if (kind === 'replace') set(parent, found.key, value);
    else if (kind === 'remove' && parent !== root) {
      if (Array.isArray(parent)) parent.splice(Number(found.key), 1);
      else Reflect.deleteProperty(parent, found.key);
    } else if (kind === 'add' && typeof current === 'object' && current !== null && !Array.isArray(current)) {
      set(current, key, value);
    } else if (kind === 'repeat' && Array.isArray(parent)) parent.push(structuredClone(current));
  }
  return root.root;
}
