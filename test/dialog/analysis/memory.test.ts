import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  evictExpired,
  evictToCapacity,
  type MemoryEntry,
  scoreBm25,
  scoreMemory,
} from '../../../subgraphs/dialog/analysis/index.ts';

const now = Date.UTC(2025, 0, 6, 12);

function entry(key: string, text: string, overrides: Partial<MemoryEntry> = {}): MemoryEntry {
  return { key, text, kind: 'LONG_TERM', lastAccessedAt: new Date(now).toISOString(), importance: 1, ...overrides };
}

describe('BM25', () => {
  test('computed by hand for three documents', () => {
    const documents = [['cat', 'dog', 'cat'], ['dog', 'bird'], ['fish']];
    const idf = (df: number): number => Math.log(1 + (3 - df + 0.5) / (df + 0.5));
    const average = 2;
    const part = (tf: number, length: number): number => (tf * 2.2) / (tf + 1.2 * (0.25 + (0.75 * length) / average));
    const [first, second, third] = scoreBm25(documents, ['cat', 'dog']);
    expect(first).toBeCloseTo(idf(1) * part(2, 3) + idf(2) * part(1, 3), 12);
    expect(second).toBeCloseTo(idf(2) * part(1, 2), 12);
    expect(third).toBe(0);
  });

  test('never negative, zero exactly where no word of the query occurs, more occurrences never score less', () => {
    const word = fc.constantFrom('a', 'b', 'c', 'd');
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { maxLength: 6 }), { minLength: 1, maxLength: 6 }),
        fc.array(word, { maxLength: 3 }),
        (documents, query) => {
          for (const [index, score] of scoreBm25(documents, query).entries()) {
            expect(score > 0).toBe(documents[index]!.some((term) => query.includes(term)));
          }
          const [one, two] = scoreBm25([['a', 'x', 'x'], ['a', 'a', 'x'], ...documents], ['a']);
          expect(two!).toBeGreaterThan(one!);
        },
      ),
    );
  });
});

describe('scoreMemory', () => {
  test('is the product of recency, importance and relevance', () => {
    const weekOld = entry('deploy.rule', 'deploy on Thursday', {
      lastAccessedAt: new Date(now - 604_800_000).toISOString(),
      importance: 0.8,
    });
    const [best] = scoreMemory([weekOld, entry('lunch', 'soup at noon')], 'when do we deploy?', now);
    expect(best?.entry.key).toBe('deploy.rule');
    expect(best?.recency).toBeCloseTo(0.5, 12);
    expect(best?.relevance).toBe(1);
    expect(best?.score).toBeCloseTo(0.5 * 0.8 * 1, 12);
  });

  test('what was used lately and matters more wins; ties go by key', () => {
    const entries = [
      entry('b', 'budget of the release'),
      entry('a', 'budget of the release'),
      entry('old', 'budget of the release', { lastAccessedAt: new Date(now - 86_400_000).toISOString() }),
      entry('minor', 'budget of the release', { importance: 0.1 }),
    ];
    expect(scoreMemory(entries, 'budget', now).map((scored) => scored.entry.key)).toEqual(['a', 'b', 'old', 'minor']);
  });

  test('every factor stays between 0 and 1, expired entries are left out, and the order given does not matter', () => {
    const arbitrary = fc.record({
      key: fc.string({ maxLength: 4 }),
      text: fc.lorem({ maxCount: 5 }),
      kind: fc.constantFrom('SHORT_TERM' as const, 'LONG_TERM' as const),
      lastAccessedAt: fc.oneof(
        fc
          .date({ min: new Date(now - 1e9), max: new Date(now + 1e9), noInvalidDate: true })
          .map((date) => date.toISOString()),
        fc.constant('no date'),
      ),
      importance: fc.oneof(fc.double(), fc.constant(null)),
      ttlSeconds: fc.oneof(fc.integer({ min: 0, max: 1_000_000 }), fc.constant(null)),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(arbitrary, { selector: ({ key }) => key, maxLength: 8 }),
        fc.lorem({ maxCount: 2 }),
        (entries, query) => {
          const scored = scoreMemory(entries, query, now);
          for (const { score, recency, importance, relevance } of scored) {
            for (const value of [score, recency, importance, relevance]) {
              expect(value).toBeGreaterThanOrEqual(0);
              expect(value).toBeLessThanOrEqual(1);
            }
          }
          expect(scored).toHaveLength(evictExpired(entries, now).kept.length);
          expect(scoreMemory(entries.toReversed(), query, now).map(({ entry: { key } }) => key)).toEqual(
            scored.map(({ entry: { key } }) => key),
          );
        },
      ),
    );
  });
});

test('an entry is gone exactly at the end of its time to live', () => {
  const short = entry('k', 'v', { ttlSeconds: 60 });
  expect(evictExpired([short], now + 59_999).kept).toEqual([short]);
  expect(evictExpired([short], now + 60_000).evicted).toEqual([short]);
  expect(evictExpired([entry('k', 'v', { ttlSeconds: null })], now * 2).evicted).toEqual([]);
});

test('capacity drops what is least recent and least important, and keeps the order of the rest', () => {
  const entries = [
    entry('low', 'x', { importance: 0.1 }),
    entry('high', 'x'),
    entry('old', 'x', { lastAccessedAt: new Date(now - 1_209_600_000).toISOString() }),
  ];
  const { kept, evicted } = evictToCapacity(entries, 2, now);
  expect(kept.map(({ key }) => key)).toEqual(['high', 'old']);
  expect(evicted.map(({ key }) => key)).toEqual(['low']);
});
