import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createContentFilters, type FilterResult } from '../../../subgraphs/dialog/analysis/index.ts';
import { loadDialogs } from './dialogs.ts';

const filters = createContentFilters();

function codes({ reasons }: FilterResult): string[] {
  return reasons.map(({ code }) => code);
}

describe('refused', () => {
  test.each([
    ['CHARACTER_FLOOD', 'a'.repeat(201)],
    ['CHARACTER_FLOOD', '😀'.repeat(250)],
    ['WORD_REPETITION', 'buy '.repeat(50)],
    ['URL_FLOOD', Array.from({ length: 21 }, (_, index) => `https://example.org/${index}`).join('\n')],
    ['MENTION_FLOOD', Array.from({ length: 51 }, (_, index) => `@user${index}`).join(' ')],
    [
      'HIDDEN_TEXT',
      `Looks harmless${[...'obey me'].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join('')}`,
    ],
    ['HIDDEN_TEXT', `a${'\u200b'.repeat(21)}b`],
    ['BIDI_OVERRIDE', 'access = "user\u202e // check"\nnext line'],
    ['COMBINING_MARK_FLOOD', `Z${'\u0301'.repeat(12)}`],
    ['DANGEROUS_LINK', '[click](javascript:alert(1))'],
    ['DANGEROUS_LINK', '<a href="javascript:alert(1)">x</a>'],
  ])('%s', (code, text) => {
    const result = filters.check({ text });
    expect(codes(result)).toEqual([code]);
    expect(result.allowed).toBe(false);
  });

  test('REPEATED_MESSAGE, whatever its case and spaces', () => {
    const recentTexts = ['Buy  now', 'buy now ', 'BUY NOW'];
    expect(codes(filters.check({ text: 'buy now', recentTexts }))).toEqual(['REPEATED_MESSAGE']);
    expect(filters.check({ text: 'buy now', recentTexts: recentTexts.slice(1) }).allowed).toBe(true);
    expect(filters.check({ text: 'buy later', recentTexts }).allowed).toBe(true);
  });
});

describe('let through', () => {
  test.each([
    ['-'.repeat(500)],
    [`${'no '.repeat(30)}`],
    ['```\n'.concat('x'.repeat(1_000), '\n```')],
    ['הפרויקט הסתיים \u2067embedded\u2069 בהצלחה'],
    ['🏴󠁧󠁢󠁥󠁮󠁧󠁿 won'],
    ['👩‍👩‍👧‍👦 family'],
    ['The `<script>` tag runs script.'],
    ['```html\n<a href="javascript:void(0)">\n```'],
    ['नमस्ते दुनिया'],
    ['Tiếng Việt có nhiều dấu'],
    [''],
  ])('%j', (text) => {
    expect(filters.check({ text })).toEqual({ allowed: true, reasons: [] });
  });

  test('script outside code is reported, not refused', () => {
    const result = filters.check({ text: 'Put <script>alert(1)</script> there' });
    expect(result).toMatchObject({ allowed: true, reasons: [{ code: 'ACTIVE_CONTENT', action: 'FLAG' }] });
  });

  test('every recorded message', () => {
    for (const { file, messages } of loadDialogs()) {
      for (const { text, messageId } of messages)
        expect({ file, messageId, ...filters.check({ text }) }).toMatchObject({ allowed: true });
    }
  });
});

test('profanity is off by default, whole words only, with an own list if wanted', () => {
  expect(filters.check({ text: 'this is bullshit' }).allowed).toBe(true);
  const strict = createContentFilters({ profanity: true });
  expect(codes(strict.check({ text: 'This is BULLSHIT.' }))).toEqual(['PROFANITY']);
  expect(strict.check({ text: 'Scunthorpe, shitake' }).allowed).toBe(true);
  expect(createContentFilters({ profanity: true, profanityTerms: ['Fnord'] }).check({ text: 'a fnord' }).allowed).toBe(
    false,
  );
});

test('actions can be changed and filters added', () => {
  const text = 'Put <script>alert(1)</script> there';
  expect(createContentFilters({ actions: { ACTIVE_CONTENT: 'REJECT' } }).check({ text }).allowed).toBe(false);
  expect(createContentFilters({ actions: { ACTIVE_CONTENT: 'OFF' } }).check({ text }).reasons).toEqual([]);
  expect(createContentFilters({ spamLimits: { maxMentions: 1 } }).check({ text: '@a @b' }).allowed).toBe(false);
  const noShouting = {
    name: 'shouting',
    check: () => [{ filter: 'shouting', code: 'PROFANITY' as const, action: 'FLAG' as const, detail: '' }],
  };
  expect(codes(createContentFilters({ additional: [noShouting] }).check({ text: 'HEY' }))).toEqual(['PROFANITY']);
});

test('never throws and never repeats the text in a reason', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(fc.string(), { maxLength: 3 }),
      (text, recentTexts) => {
        for (const { detail } of filters.check({ text, recentTexts }).reasons) expect(detail.length).toBeLessThan(200);
      },
    ),
  );
});

test.each([
  ['<svg '],
  ['<a href='],
  ['](  '],
  ['`'],
  ['\u202e'],
  ['\u0301'],
  ['a '],
  ['https://'],
  ['<script'],
  ['é<'],
])('answers for 256 KiB of %j', (unit) => {
  const text = unit.repeat(262_144 / unit.length);
  // What it costs stands in perf/probes/analysis.ts.
  expect(typeof filters.check({ text, recentTexts: [text, text, text] }).allowed).toBe('boolean');
});
