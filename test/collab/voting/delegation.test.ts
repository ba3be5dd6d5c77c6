import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countVoices, cycleThrough } from '../../../subgraphs/collab/voting/delegation.ts';
import { type Gate, gateOf } from '../../../subgraphs/collab/voting/gate.ts';
import { quorumOf } from '../../../subgraphs/collab/voting/quorum.ts';

const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
const electorate = ids.map((id, at) => ({ id, weight: at + 1 }));
const yes = { kind: 'choice', option: 'yes' } as const;

describe('liquid delegation', () => {
  test('voices go on to the first who voted, once each; cycles are nobody’s', () => {
    const votes = [
      { voter: 'c', vote: yes },
      { voter: 'a', vote: yes },
    ];
    const delegations = new Map([
      ['a', 'b'],
      ['b', 'c'],
      ['d', 'a'],
      ['e', 'f'],
      ['f', 'e'],
    ]);
    // a votes itself: b's voice goes to c, d's to a.
    expect(countVoices(electorate, votes, delegations)).toEqual([
      { voter: 'c', vote: yes, weight: 2 + 3, voices: 2 },
      { voter: 'a', vote: yes, weight: 1 + 4, voices: 2 },
    ]);
  });

  test('no voice is lost or doubled', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.constantFrom(...ids), { nil: null }), { minLength: 6, maxLength: 6 }),
        fc.subarray(ids),
        (targets, voters) => {
          const delegations = new Map(
            targets.flatMap((to, at) => (to === null || to === ids[at] ? [] : [[ids[at]!, to] as const])),
          );
          const counted = countVoices(
            electorate,
            voters.map((voter) => ({ voter, vote: yes })),
            delegations,
          );
          // By definition: each voter follows its own way until someone who voted.
          const follow = (id: string): string | null => {
            let at = id;
            for (let step = 0; step <= ids.length; step += 1) {
              if (voters.includes(at)) return at;
              const next = delegations.get(at);
              if (next === undefined) return null;
              at = next;
            }
            return null;
          };
          for (const { voter, voices, weight } of counted) {
            const mine = electorate.filter(({ id }) => follow(id) === voter);
            expect([voices, weight]).toEqual([mine.length, mine.reduce((sum, entry) => sum + entry.weight, 0)]);
          }
          expect(counted.reduce((sum, { voices }) => sum + voices, 0)).toBe(
            ids.filter((id) => follow(id) !== null).length,
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a delegation that closes a cycle is told with its way', () => {
    const delegations = new Map([
      ['b', 'c'],
      ['c', 'd'],
    ]);
    expect(cycleThrough(delegations, 'd', 'b')).toEqual(['d', 'b', 'c', 'd']);
    expect(cycleThrough(delegations, 'a', 'b')).toBeNull();
    expect(cycleThrough(delegations, 'a', 'a')).toEqual(['a', 'a']);
  });
});

test('quorum: the greater of number and fraction, without what rounding adds', () => {
  expect(quorumOf({ minimum: 1, fraction: 0.6 }, 5)).toBe(3);
  expect(quorumOf({ minimum: 4, fraction: 0.6 }, 5)).toBe(4);
  expect(quorumOf({ minimum: 1, fraction: 0.6 }, 7)).toBe(5);
  for (let size = 1; size <= 200; size += 1)
    expect(quorumOf({ minimum: 1, fraction: 0.6 }, size)).toBe(Math.ceil((6 * size) / 10));
});

test('the gate: sure and harmless goes by itself, unsure goes to people', () => {
  const authority = {
    approvalRequired: ['strategic'],
    escalationTriggers: ['tie'],
    decisionConfidence: 0.8,
    escalationConfidence: 0.6,
  };
  const rows: readonly (readonly [number, number, string, readonly string[], Gate])[] = [
    [0.8, 0.69, 'tactical', [], 'auto'],
    [0.9, 0.7, 'tactical', [], 'confirm'],
    [0.7, 0.1, 'tactical', [], 'confirm'],
    [0.9, 0.1, 'strategic', [], 'confirm'],
    [0.59, 0, 'tactical', [], 'human'],
    [0.95, 0, 'tactical', ['tie'], 'human'],
  ];
  for (const [confidence, impact, type, signals, expected] of rows)
    expect(gateOf({ confidence, impact, type, authority, signals })).toBe(expected);
});
