import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLru } from '#shared/lru.ts';

it('keeps what was used last, and as much as it may', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
  const step = fc.record({
    kind: fc.constantFrom('set', 'get', 'delete'),
    key,
    value: fc.integer({ min: 0, max: 99 }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (maxEntries, steps) => {
      const cache = createLru<number>(maxEntries);
      // Insertion order of a map is the order of use, where each use inserts anew.
      const model = new Map<string, number>();
      const use = (name: string, value: number): void => {
        model.delete(name);
        model.set(name, value);
        if (model.size > maxEntries) model.delete(model.keys().next().value!);
      };
      for (const { kind, key: name, value } of steps) {
        if (kind === 'set') {
          cache.set(name, value);
          use(name, value);
        } else if (kind === 'delete') {
          expect(cache.delete(name)).toBe(model.delete(name));
        } else {
          const known = model.get(name);
          expect(cache.get(name)).toBe(known);
          if (known !== undefined) use(name, known);
        }
      }
      expect([...cache.entries()]).toEqual([...model].toReversed());
    }),
  );
});
