import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AnalysableMessage,
  createDeterministicProvider,
  type DialogSummary,
  type MessageAnalysis,
} from '../../../subgraphs/dialog/analysis/index.ts';
import { loadDialogs, message } from './dialogs.ts';

const provider = createDeterministicProvider();
const dialogs = loadDialogs();

function expectUnit(value: number): void {
  expect(value).toBeGreaterThanOrEqual(0);
  expect(value).toBeLessThanOrEqual(1);
}

function expectSoundAnalysis(analysis: MessageAnalysis): void {
  expect(Math.abs(analysis.sentiment.compound)).toBeLessThanOrEqual(1);
  expectUnit(analysis.sentiment.confidence);
  expect(analysis.sentiment.assured).toBe(analysis.sentiment.confidence >= 0.8);
  expectUnit(analysis.toxicity.score);
  expectUnit(analysis.language.confidence);
  expect(analysis.keywords.length).toBeLessThanOrEqual(10);
  for (const kind of [analysis.actionItems, analysis.decisions, analysis.questions, analysis.dates])
    expect(kind.length).toBeLessThanOrEqual(20);
  for (const { confidence, action } of analysis.actionItems) {
    expectUnit(confidence);
    expect(action.length).toBeLessThanOrEqual(500);
  }
  for (const { confidence } of analysis.decisions) expect(confidence).toBeGreaterThanOrEqual(0.9);
}

function expectSoundSummary(summary: DialogSummary, messages: readonly AnalysableMessage[]): void {
  const textOf = new Map(messages.map(({ messageId, text }) => [messageId, text]));
  expect(summary.messageCount).toBe(messages.length);
  expect(summary.sentences.length).toBeLessThanOrEqual(5);
  expect(summary.keyTopics.length).toBeLessThanOrEqual(5);
  expect(summary.nextSteps.length).toBeLessThanOrEqual(3);
  expect(summary.text).toBe(summary.sentences.map(({ text }) => text).join('\n'));
  for (const { messageId, text } of summary.sentences) {
    expect(textOf.get(messageId)).toContain(text);
    expect(text.length).toBeLessThanOrEqual(400);
  }
  for (const { messageId, action } of summary.actionItems) expect(textOf.get(messageId)).toContain(action);
  for (const { messageId, text } of [...summary.decisions, ...summary.openQuestions, ...summary.nextSteps])
    expect(textOf.get(messageId)).toContain(text);
  for (const { score } of summary.keyTopics) expectUnit(score);
  expectUnit(summary.toxicity);
  if (summary.engagement.score !== null) expectUnit(summary.engagement.score);
  expect(summary.sentimentProgression.buckets.reduce((sum, { messageCount }) => sum + messageCount, 0)).toBe(
    messages.length,
  );
}

test('all recorded messages and dialogs', async () => {
  for (const { messages } of dialogs) {
    for (const entry of messages) expectSoundAnalysis(provider.analyzeMessage(entry));
    const summary = await provider.summarize(messages);
    expectSoundSummary(summary, messages);
    expect(summary.sentences.length).toBeGreaterThan(0);
    expect(summary.keyTopics.length).toBeGreaterThan(0);
  }
});

test('the same messages give the same result: twice, in another provider, and in any order', async () => {
  for (const { messages } of dialogs.slice(0, 8)) {
    const summary = await provider.summarize(messages);
    expect(await provider.summarize(messages)).toEqual(summary);
    expect(await createDeterministicProvider().summarize(messages.toReversed())).toEqual(summary);
    expect(messages.map((entry) => createDeterministicProvider().analyzeMessage(entry))[0]).toEqual(
      provider.analyzeMessage(messages[0]!),
    );
  }
});

describe('the bundled release review', () => {
  const review = dialogs.find(({ file }) => file === 'release-review.json')?.messages ?? [];

  test('summary', async () => {
    const summary = await provider.summarize(review);
    expect(summary.keyTopics.map(({ topic }) => topic)).toEqual(expect.arrayContaining(['old format', 'import fix']));
    expect(summary.decisions.map(({ text, madeBy }) => [madeBy, text])).toEqual([
      ['human', 'release 4.2 goes out on Thursday with the old format still supported.'],
      ['human', 'We agreed to drop the old format in release 5.'],
    ]);
    expect(summary.actionItems).toMatchObject([
      { assignedTo: 'Review_Agent', dueDate: '2025-01-08T23:59:59.999Z', status: 'OPEN' },
      { assignedTo: 'Build_Agent', dueDate: '2025-01-06T23:59:59.999Z', status: 'DONE' },
    ]);
    expect(summary.nextSteps[0]).toMatchObject({ source: 'STATED', messageId: 'm8' });
    expect(summary.openQuestions).toEqual([]);
    expect(summary.contributions[0]?.messageCount).toBe(3);
  });

  test('messages', () => {
    const analysis = provider.analyzeMessage(review[3]!);
    expect(analysis.entities).toMatchObject({ mentions: ['Build_Agent'], hashtags: ['release'] });
    expect(analysis.sentiment).toMatchObject({ label: 'POSITIVE' });
    expect(provider.analyzeMessage(review[2]!).sentiment.label).toBe('NEGATIVE');
    expect(analysis.language.code).toBe('en');
  });
});

test('sentiment of a language that the lexicon does not know is never assured', () => {
  const german = provider.analyzeMessage(
    message(
      'Das ist die beste Lösung, die wir haben, und ich bin sehr froh, dass es sie gibt, auch wenn sie nicht leicht zu bauen ist.',
    ),
  );
  expect(german.language.code).toBe('de');
  expect(german.sentiment).toMatchObject({ confidence: 0, assured: false });
});

test('nothing and almost nothing', async () => {
  expect(await provider.summarize([])).toMatchObject({
    messageCount: 0,
    firstSequence: null,
    text: '',
    sentences: [],
    keyTopics: [],
    contributions: [],
  });
  expect((await provider.summarize([message('ok')])).text).toBe('ok');
  expect((await provider.summarize([message('```\ncode();\n```')])).text).toBe('');
  expect(
    (await provider.summarize([message('The system started the nightly job.', { senderType: 'SYSTEM' })])).text,
  ).toBe('');
});

test('limits asked for are kept, absurd ones are bounded', async () => {
  const { messages } = dialogs.at(-1)!;
  const small = await provider.summarize(messages, {
    maxSentences: 2,
    maxTopics: 1,
    maxActionItems: 0,
    maxNextSteps: 1,
    maxBuckets: 3,
  });
  expect(small.sentences.length).toBeLessThanOrEqual(2);
  expect(small.keyTopics).toHaveLength(1);
  expect(small.actionItems).toEqual([]);
  expect(small.sentimentProgression.buckets.length).toBeLessThanOrEqual(3);
  const large = await provider.summarize(messages, { maxSentences: 1e9, maxTopics: Number.NaN, maxActionItems: -5 });
  expect(large.sentences.length).toBeLessThanOrEqual(100);
  expect(large.keyTopics.length).toBeLessThanOrEqual(5);
  expect(large.actionItems).toEqual([]);
});

test('an aborted signal ends the work with its reason', async () => {
  const { messages } = dialogs[0]!;
  const reason = new Error('too late');
  expect(() => provider.analyzeMessage(messages[0]!, { signal: AbortSignal.abort(reason) })).toThrow(reason);
  await expect(provider.summarize(messages, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const many = Array.from({ length: 3_000 }, (_, index) =>
    message('The parser reads the header of the file and then it stops. '.repeat(8), {
      messageId: `m${index}`,
      sequence: index,
    }),
  );
  const running = provider.summarize(many, { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 15);
  await expect(running).rejects.toBe(reason);
});

test('any text: no throw, bounded, verbatim', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'I will ',
      '@bob ',
      'by Friday',
      '. ',
      '? ',
      '\n',
      '- [ ] ',
      '```',
      'Decision: ',
      'We agreed to ',
      '\u0000',
      '\ud800',
      '漢字。',
      'https://a.b/?c ',
      '<b>',
      '| ',
      'Next, we go on with it all. ',
      'done ',
      'you idiot ',
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.lorem({ maxCount: 8 }),
  );
  const arbitrary = fc.array(
    fc.record({
      pieces: fc.array(piece, { maxLength: 12 }),
      senderId: fc.constantFrom('ana', 'bob', '__proto__', ''),
      type: fc.constantFrom('TEXT', 'DECISION', 'ACTION_ITEM'),
      sentAt: fc.constantFrom('2025-01-06T09:00:00Z', 'never'),
    }),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(arbitrary, async (entries) => {
      const messages = entries.map(({ pieces, senderId, type, sentAt }, index) =>
        message(pieces.join(''), { messageId: `m${index}`, sequence: index, senderId, type, sentAt }),
      );
      for (const entry of messages) expectSoundAnalysis(provider.analyzeMessage(entry));
      expectSoundSummary(await provider.summarize(messages), messages);
    }),
    { numRuns: 150 },
  );
});
