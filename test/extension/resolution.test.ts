import fc from 'fast-check';
import semver from 'semver';
import { describe, expect, it } from 'vitest';
import { type Candidate, resolve } from '../../subgraphs/extension/manifest/resolution.ts';

const names = ['a', 'b', 'c', 'd'] as const;
const versions = ['1.0.0', '1.1.0', '2.0.0'] as const;
const ranges = ['*', '^1.0.0', '>=1.1.0', '2.x', '1.0.0'] as const;

const requirement = fc.record({
  name: fc.constantFrom(...names),
  range: fc.constantFrom(...ranges),
  optional: fc.boolean(),
});
const world = fc.record({
  root: fc.array(requirement, { maxLength: 3 }),
  candidates: fc.array(
    fc.record({
      name: fc.constantFrom(...names),
      version: fc.constantFrom(...versions),
      requires: fc.array(requirement, { maxLength: 2 }),
    }),
    { maxLength: 9 },
  ),
});

type World = typeof world extends fc.Arbitrary<infer W> ? W : never;

function build({ root, candidates }: World): { readonly root: Candidate; readonly all: readonly Candidate[] } {
  const distinct = new Map(candidates.map((one) => [`${one.name}@${one.version}`, one]));
  return {
    root: { name: 'root', extensionId: 'root', releaseId: 'root', version: '1.0.0', running: false, requires: root },
    all: [...distinct].map(([id, one]) => ({ ...one, extensionId: one.name, releaseId: id, running: false })),
  };
}

/** Whether any choice of releases meets every requirement of what is chosen. */
function isSolvable({ root, all }: ReturnType<typeof build>): boolean {
  const options = names.map((name) => [null, ...all.filter((one) => one.name === name)]);
  const holds = (chosen: readonly (Candidate | null)[]) => {
    const present = [root, ...chosen.filter((one) => one !== null)];
    return present.every(({ requires }) =>
      requires.every(({ name, range, optional }) => {
        const found = present.find((one) => one.name === name);
        return found === undefined ? optional : semver.satisfies(found.version, range);
      }),
    );
  };
  const search = (at: number, chosen: readonly (Candidate | null)[]): boolean =>
    at === options.length ? holds(chosen) : options[at]!.some((option) => search(at + 1, [...chosen, option]));
  return search(0, []);
}

describe('resolution of versions', () => {
  it('finds a choice exactly where there is one, and orders it', () => {
    fc.assert(
      fc.property(world, (given) => {
        const { root, all } = build(given);
        const result = resolve(root, (name) => all.filter((one) => one.name === name));
        if (!result.ok && result.kind === 'cycle') {
          // Each needs the next.
          for (let at = 0; at + 1 < result.names.length; at += 1)
            expect(
              [root, ...all].some(
                (one) =>
                  one.name === result.names[at] && one.requires.some(({ name }) => name === result.names[at + 1]),
              ),
            ).toBe(true);
          return;
        }
        expect(result.ok).toBe(isSolvable({ root, all }));
        if (!result.ok) return;
        const place = new Map(result.order.map(({ name }, at) => [name, at]));
        expect(result.order.at(-1)!.name).toBe('root');
        for (const { name, requires } of result.order)
          for (const one of requires) {
            const at = place.get(one.name);
            if (at === undefined) expect(one.optional).toBe(true);
            else {
              expect(semver.satisfies(result.order[at]!.version, one.range)).toBe(true);
              expect(at).toBeLessThan(place.get(name)!);
            }
          }
      }),
      { numRuns: 2_000 },
    );
  });

  it('goes back on a choice that leads nowhere', () => {
    const release = (name: string, version: string, ...requires: { name: string; range: string }[]): Candidate => ({
      name,
      version,
      extensionId: name,
      releaseId: `${name}@${version}`,
      running: false,
      requires: requires.map((one) => ({ ...one, optional: false })),
    });
    const all = [
      release('left', '2.0.0', { name: 'shared', range: '^2.0.0' }),
      release('left', '1.0.0', { name: 'shared', range: '^1.0.0' }),
      release('right', '1.0.0', { name: 'shared', range: '^1.0.0' }),
      release('shared', '2.0.0'),
      release('shared', '1.5.0'),
    ];
    const root = release('root', '1.0.0', { name: 'left', range: '*' }, { name: 'right', range: '*' });
    const result = resolve(root, (name) => all.filter((one) => one.name === name));
    expect(result.ok && result.order.map(({ releaseId }) => releaseId)).toEqual([
      'shared@1.5.0',
      'left@1.0.0',
      'right@1.0.0',
      'root@1.0.0',
    ]);
    // What runs is not changed under those who use it.
    const running = all.map((one) => (one.releaseId === 'shared@2.0.0' ? { ...one, running: true } : one));
    const stuck = resolve(root, (name) => running.filter((one) => one.name === name));
    expect(stuck).toMatchObject({ ok: false, kind: 'conflict', message: expect.stringContaining('2.0.0 runs') });
  });
});
