import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { extractDates, findDueDate } from '../../../subgraphs/dialog/analysis/rules/dates.ts';

/** A Wednesday. */
const sentAt = '2025-01-29T23:30:00.000Z';

describe('relative to Wednesday, 29 January 2025, 23:30 UTC', () => {
  test.each([
    ['today', '2025-01-29'],
    ['tonight', '2025-01-29'],
    ['tomorrow', '2025-01-30'],
    ['the day after tomorrow', '2025-01-31'],
    ['yesterday', '2025-01-28'],
    ['by EOD', '2025-01-29'],
    ['by the end of the week', '2025-01-31'],
    ['end of month', '2025-01-31'],
    ['in 3 days', '2025-02-01'],
    ['within two weeks', '2025-02-12'],
    ['in a month', '2025-02-28'],
    ['5 days ago', '2025-01-24'],
    ['by Friday', '2025-01-31'],
    ['on Wednesday', '2025-02-05'],
    ['this Wednesday', '2025-01-29'],
    ['next Friday', '2025-02-07'],
    ['next Monday', '2025-02-03'],
    ['last Wednesday', '2025-01-22'],
    ['last Tuesday', '2025-01-28'],
    ['next week', '2025-02-07'],
    ['next month', '2025-02-28'],
    ['on 5 May', '2025-05-05'],
    ['on January 2nd', '2025-01-02'],
    ['on December 24', '2025-12-24'],
    ['by March 3rd, 2026', '2026-03-03'],
    ['on the 4th of July 2024', '2024-07-04'],
    ['due 2025-02-14', '2025-02-14'],
    ['on 24/12/2025', '2025-12-24'],
    ['on 12/24/2025', '2025-12-24'],
  ])('%s', (text, day) => {
    const [date, ...others] = extractDates(`Please send it ${text}.`, sentAt);
    expect(others).toEqual([]);
    expect(date).toMatchObject({ at: `${day}T00:00:00.000Z`, precision: 'DAY' });
  });

  test('hours and minutes are exact', () => {
    expect(extractDates('back in 45 minutes', sentAt)[0]).toMatchObject({
      at: '2025-01-30T00:15:00.000Z',
      precision: 'MINUTE',
    });
    expect(extractDates('at 2025-02-01T10:30:00+02:00', sentAt)[0]?.at).toBe('2025-02-01T08:30:00.000Z');
  });
});

test.each([
  '2025-02-30',
  '31/02/2025',
  'version 1.2.3',
  'issue 12345',
  'you may 5',
  'room 2025',
  'the sun sat on the wed',
])('%s is no date', (text) => {
  expect(extractDates(text, sentAt)).toEqual([]);
});

test('day and month that could be exchanged are doubtful and set no due date', () => {
  const dates = extractDates('by 03/04/2025', sentAt);
  expect(dates[0]?.confidence).toBeLessThan(0.5);
  expect(findDueDate(dates, sentAt)).toBeNull();
});

test('a due date is the first that is not past, to the end of its day', () => {
  expect(findDueDate(extractDates('found on 2025-01-02, fix by tomorrow', sentAt), sentAt)).toBe(
    '2025-01-30T23:59:59.999Z',
  );
  expect(findDueDate(extractDates('since yesterday', sentAt), sentAt)).toBeNull();
});

test('without a date of sending only absolute dates are found', () => {
  expect(extractDates('tomorrow or 2025-02-14', 'no date').map(({ at }) => at)).toEqual(['2025-02-14T00:00:00.000Z']);
});

test('never throws, gives valid dates, at most twenty', () => {
  const piece = fc.constantFrom(
    'in ',
    '3 ',
    'days ',
    'May ',
    '31 ',
    '2024 ',
    '2024-13-45',
    ' next ',
    'friday ',
    '31/12/9999',
    'a month ago',
    'Feb 30 ',
    '2024-02-29T25:61Z ',
    'within an hour ',
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }),
      fc.constantFrom(sentAt, '2024-02-29T00:00:00Z', 'nonsense', '+275760-09-13T00:00:00.000Z'),
      (pieces, anchor) => {
        const dates = extractDates(pieces.join(''), anchor);
        expect(dates.length).toBeLessThanOrEqual(20);
        for (const { at } of dates) expect(Number.isNaN(Date.parse(at))).toBe(false);
      },
    ),
  );
});
