import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDeterministicProvider } from '../../../subgraphs/dialog/analysis/index.ts';
import { dialogOf, message } from './dialogs.ts';

const provider = createDeterministicProvider();

describe('toxicity', () => {
  const toxicityOf = (text: string): number => provider.analyzeMessage(message(text)).toxicity.score;

  test('1 - product of the harmless parts, heavier where somebody is addressed', () => {
    expect(toxicityOf('You are an idiot.')).toBeCloseTo(0.6 * 1.3, 4);
    expect(toxicityOf('What an idiot.')).toBeCloseTo(0.6 * 0.7, 4);
    expect(toxicityOf('You are not an idiot.')).toBeCloseTo(0.6 * 0.3, 4);
    expect(toxicityOf('You stupid idiot.')).toBeCloseTo(1 - (1 - 0.45 * 1.3) * (1 - 0.6 * 1.3), 4);
  });

  test.each([
    'Kill the process and drop the table.',
    'The dead letter queue is full.',
    'This hash is unsalted.',
    'Your build failed again, please fix it.',
  ])('0 for %j', (text) => {
    expect(toxicityOf(text)).toBe(0);
  });

  test('code and quotes of logs do not count', () => {
    expect(toxicityOf('It printed:\n```\nyou idiot\n```')).toBe(0);
  });

  test('an operator brings the words to watch for', () => {
    const strict = createDeterministicProvider({ toxicityLexicon: new Map([['fnord', 0.9]]) });
    expect(strict.analyzeMessage(message('you fnord')).toxicity).toEqual({ score: 1, terms: ['fnord'] });
  });
});

describe('engagement', () => {
  test('two who alternate with substance are fully engaged', async () => {
    const { engagement, intervention } = await provider.summarize(
      dialogOf([
        ['ana', 'The parser reads header lines.'],
        ['bob', 'The queue holds three messages.'],
        ['ana', 'The upload takes two seconds.'],
        ['bob', 'The index needs four gigabytes.'],
      ]),
    );
    expect(engagement).toEqual({ score: 1, evenness: 1, alternation: 1, responsiveness: null, substance: 1 });
    expect(intervention).toEqual({ recommended: false, reasons: [] });
  });

  test('computed by hand for an uneven dialog', async () => {
    // ana 3, bob 1; turns: a-a, a-b, b-a = 2 of 3; one question, open; two of four with three content words.
    const { engagement } = await provider.summarize(
      dialogOf([
        ['ana', 'The parser reads header lines.'],
        ['ana', 'Which gauge?'],
        ['bob', 'The weather report arrived yesterday.'],
        ['ana', 'Hm.'],
      ]),
    );
    const evenness = -(0.75 * Math.log(0.75) + 0.25 * Math.log(0.25)) / Math.log(2);
    expect(engagement.evenness).toBeCloseTo(evenness, 4);
    expect(engagement).toMatchObject({ alternation: 0.6667, responsiveness: 0, substance: 0.5 });
    expect(engagement.score).toBeCloseTo(0.35 * evenness + (0.35 * 2) / 3 + 0.15 * 0.5, 3);
  });

  test('a monologue calls for an intervention, three messages say nothing yet', async () => {
    const line: [string, string] = ['ana', 'The parser reads header lines.'];
    expect((await provider.summarize(dialogOf([line, line, line, line]))).intervention).toEqual({
      recommended: true,
      reasons: ['LOW_ENGAGEMENT'],
    });
    expect((await provider.summarize(dialogOf([line, line, line]))).engagement.score).toBeNull();
  });

  test('silent participants lower the evenness', async () => {
    const pair = dialogOf([
      ['ana', 'One.'],
      ['bob', 'Two.'],
      ['ana', 'Three.'],
      ['bob', 'Four.'],
    ]);
    expect((await provider.summarize(pair, { participantCount: 8 })).engagement.evenness).toBeCloseTo(
      Math.log(2) / Math.log(8),
      4,
    );
  });
});

test('an insult calls for an intervention, until twenty messages later', async () => {
  const calm = Array.from({ length: 20 }, (_, index): [string, string] => [
    index % 2 === 0 ? 'bob' : 'ana',
    `The parser reads line ${index} now.`,
  ]);
  const heated = dialogOf([['ana', 'You are an idiot, shut up.'], ...calm.slice(0, 19)]);
  expect((await provider.summarize(heated)).intervention.reasons).toContain('TOXICITY');
  expect(
    (await provider.summarize(dialogOf([['ana', 'You are an idiot, shut up.'], ...calm]))).intervention.reasons,
  ).toEqual([]);
});

test('contributions count every message once and add up to 100 percent', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('ana', 'bob', 'carla', 'dan'), { minLength: 1, maxLength: 30 }),
      async (senders) => {
        const { contributions } = await provider.summarize(dialogOf(senders.map((sender) => [sender, 'Some words.'])));
        expect(contributions.reduce((sum, { percent }) => sum + percent, 0)).toBeCloseTo(100, 9);
        for (const { senderId, messageCount, wordCount } of contributions) {
          expect(messageCount).toBe(senders.filter((sender) => sender === senderId).length);
          expect(wordCount).toBe(messageCount * 2);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('sentiment turns from praise to anger', async () => {
  const { sentimentProgression } = await provider.summarize(
    dialogOf([
      ['ana', 'Great work, I love it!'],
      ['bob', 'Thanks, what a wonderful day.'],
      ['ana', 'The outage is terrible.'],
      ['bob', 'I hate this awful mess.'],
    ]),
    { maxBuckets: 2 },
  );
  expect(sentimentProgression.trend).toBe('DECLINING');
  expect(sentimentProgression.buckets).toHaveLength(2);
  expect(sentimentProgression.buckets[0]).toMatchObject({ fromSequence: 1, toSequence: 2, messageCount: 2 });
  expect(sentimentProgression.buckets[0]!.meanCompound).toBeGreaterThan(0.5);
  expect(sentimentProgression.buckets[1]!.meanCompound).toBeLessThan(-0.5);
});
