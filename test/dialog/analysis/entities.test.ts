import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { extractEntities, extractHashtags, extractMentions } from '../../../subgraphs/dialog/analysis/index.ts';

describe('mentions', () => {
  test.each([
    ['@ana hello @bob.smith, and (@carla-3)!', ['ana', 'bob.smith', 'carla-3']],
    ['mail ana@example.org or x@y', []],
    ['@ana @ana @Ana', ['ana', 'Ana']],
    ['@', []],
    ['@@ana', []],
    ['@Zoë, @王', ['Zoë', '王']],
    ['use `@property` and ```\n@decorator\n``` but @real', ['real']],
    ['end @ana.', ['ana']],
    ['@7b0d5a3e-2f5c-4a7b-9a4e-0f6f2d1c9b8a', ['7b0d5a3e-2f5c-4a7b-9a4e-0f6f2d1c9b8a']],
    ['https://example.org/@ana', []],
    ['scope package/@x', []],
    [`@${'a'.repeat(70)}`, ['a'.repeat(64)]],
  ])('%j', (text, names) => {
    expect(extractMentions(text)).toEqual(names);
  });
});

describe('hashtags', () => {
  test.each([
    ['#Release and #release (#p99) #1 #', ['release', 'p99']],
    ['# Heading', []],
    ['https://example.org/#part', []],
    ['issue#4 C#', []],
    ['#straße #日本', ['straße', '日本']],
    ['`#define` #ok', ['ok']],
  ])('%j', (text, tags) => {
    expect(extractHashtags(text)).toEqual(tags);
  });
});

test('every name and tag stands in the text behind its mark, once, and at most a hundred are read', () => {
  const piece = fc.oneof(
    fc.constantFrom('@', '#', '`', '```', '.', '-', ' ', '\n', 'ana', '@bob ', '#tag ', '😀', '\ud800'),
    fc.string({ unit: 'grapheme', maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const text = pieces.join('');
      const mentions = extractMentions(text);
      for (const name of mentions) {
        expect(text).toContain(`@${name}`);
        expect(name).toMatch(/^[^\s@#]{1,64}$/u);
        expect(name).not.toMatch(/[.-]$/);
      }
      const hashtags = extractHashtags(text);
      for (const tag of hashtags) expect(text.toLowerCase()).toContain(`#${tag}`);
      expect(new Set(mentions).size).toBe(mentions.length);
      expect(new Set(hashtags).size).toBe(hashtags.length);
    }),
    { numRuns: 500 },
  );
  const crowd = Array.from({ length: 300 }, (_, index) => `@user${index}`).join(' ');
  expect(extractMentions(crowd)).toHaveLength(100);
});

test('the other entities', () => {
  const text =
    'See (https://example.org/a_(b)), https://example.org/x. Mail Ana.B@Example.org: 1,250 of 3.5 % or -7, 12%, v2, 1.2.3, room5.';
  expect(extractEntities(text, text)).toMatchObject({
    urls: ['https://example.org/a_(b)', 'https://example.org/x'],
    emails: ['ana.b@example.org'],
    numbers: [
      { text: '1,250', value: 1250 },
      { text: '3.5', value: 3.5 },
      { text: '-7', value: -7 },
      { text: '12%', value: 12 },
    ],
  });
});

test.each([
  ['@'],
  ['@a'],
  ['`'],
  ['`\n'],
  ['```'],
  ['a@'],
  ['#'],
  [' #a'],
  ['@a.'],
  ['\ud83d\ude00'],
  ['@-'],
  ['#-'],
  ['a.'],
  ['1,'],
  ['http://'],
  ['('],
  ['%@'],
])('answers for 256 KiB of %j', (unit) => {
  const text = unit.repeat(262_144 / unit.length);
  // What it costs stands in perf/probes/analysis.ts.
  expect(Object.values(extractEntities(text, text)).every(Array.isArray)).toBe(true);
});
