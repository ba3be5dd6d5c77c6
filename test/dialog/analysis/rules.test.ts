import { describe, expect, test } from 'vitest';
import { type AnalysableMessage, createDeterministicProvider } from '../../../subgraphs/dialog/analysis/index.ts';
import { dialogOf, message } from './dialogs.ts';

const provider = createDeterministicProvider();

function analyze(text: string, overrides: Partial<AnalysableMessage> = {}) {
  return provider.analyzeMessage(message(text, overrides));
}

describe('action items', () => {
  test.each([
    ['I will fix the parser by Friday.', 'ana', '2025-01-10T23:59:59.999Z', 'NORMAL', 0.95],
    ['TODO: update the changelog', null, null, 'NORMAL', 0.95],
    ['- [ ] rotate the keys ASAP', null, null, 'URGENT', 0.95],
    ['@bob please review the schema tomorrow', 'bob', '2025-01-07T23:59:59.999Z', 'NORMAL', 0.99],
    ['Could you check the ranking?', null, null, 'NORMAL', 0.75],
    ['Please restart the worker, no rush.', null, null, 'LOW', 0.75],
    ['We need to raise the limit by tomorrow.', null, '2025-01-07T23:59:59.999Z', 'NORMAL', 0.75],
    ['**Action item:** It is important to measure the p99.', null, null, 'HIGH', 0.95],
  ])('%s', (text, assignedTo, dueDate, priority, confidence) => {
    expect(analyze(text).actionItems).toMatchObject([
      { assignedTo, dueDate, priority, confidence, status: 'OPEN', messageId: 'm1' },
    ]);
  });

  test.each([
    'We need to talk.',
    'I will not do that.',
    'I will be there.',
    'Please note that the cache is cold.',
    'Will I go?',
    'The parser will fail on this file.',
    'Try to find the answer.',
    'It should work by tomorrow.',
    'You could do worse.',
  ])('none in %j', (text) => {
    expect(analyze(text).actionItems).toEqual([]);
  });

  test('the action is verbatim, without its label', () => {
    expect(analyze('Action item: call the  customer').actionItems[0]?.action).toBe('call the  customer');
    expect(analyze('- [x] buy milk').actionItems[0]).toMatchObject({ action: 'buy milk', status: 'DONE' });
  });

  test('a participant addressed by name has the duty, an unknown capitalised word does not', async () => {
    const { actionItems } = await provider.summarize(
      dialogOf([
        ['ana', 'Bob, please check the logs.'],
        ['bob', 'Carla will write the report.'],
        ['bob', 'Ana will write the report.'],
      ]),
    );
    expect(actionItems.map(({ assignedTo, confidence }) => [assignedTo, confidence])).toEqual([
      ['Bob', 0.9],
      ['Ana', 0.9],
    ]);
  });

  test('a message of type ACTION_ITEM is one, whatever its words', () => {
    expect(analyze('New logo', { type: 'ACTION_ITEM' }).actionItems).toMatchObject([
      { action: 'New logo', confidence: 1 },
    ]);
  });

  test('a later report closes an item, one that denies it does not', async () => {
    const asked: [string, string] = ['ana', '@bob please deploy the new parser'];
    const statusAfter = async (report: string): Promise<string | undefined> =>
      (await provider.summarize(dialogOf([asked, ['bob', report]]))).actionItems[0]?.status;
    expect(await statusAfter('Done, I deployed the new parser.')).toBe('DONE');
    expect(await statusAfter('The parser is not deployed.')).toBe('OPEN');
    expect(await statusAfter('I finished lunch.')).toBe('OPEN');
    const reversed = await provider.summarize(dialogOf([['bob', 'Done, I deployed the new parser.'], asked]));
    expect(reversed.actionItems[0]?.status).toBe('OPEN');
  });
});

describe('decisions', () => {
  test.each([
    ['Decision: we ship on Thursday', 0.95, 'we ship on Thursday'],
    ['We have decided to drop the old format.', 0.95, 'We have decided to drop the old format.'],
    ['It was decided that the limit stays.', 0.95, 'It was decided that the limit stays.'],
    ['We agreed on Postgres.', 0.93, 'We agreed on Postgres.'],
    ["Let's go with the second plan.", 0.9, "Let's go with the second plan."],
    ['Approved.', 0.9, 'Approved.'],
  ])('%s', (text, confidence, decision) => {
    expect(analyze(text).decisions).toEqual([{ text: decision, confidence, messageId: 'm1', madeBy: 'ana' }]);
  });

  test.each([
    'Have we decided to drop it?',
    'We have not decided to drop it.',
    'If we decided to drop it, nobody would notice.',
    'We could go with the second plan.',
    'A decision is needed.',
    "We haven't agreed on Postgres.",
  ])('none in %j', (text) => {
    expect(analyze(text).decisions).toEqual([]);
  });

  test('a lower threshold lets weaker wordings in', () => {
    const lenient = createDeterministicProvider({
      thresholds: { decision: 0.7, suggestion: 0.7, sentiment: 0.8, toxicity: 0.7, engagement: 0.3 },
    });
    const chosen = message('We chose the second plan.');
    expect(provider.analyzeMessage(chosen).decisions).toEqual([]);
    expect(lenient.analyzeMessage(chosen).decisions).toMatchObject([{ confidence: 0.75 }]);
  });
});

describe('questions', () => {
  test('a mark makes a question, one inside a URL does not', () => {
    expect(
      analyze('Is it up? See https://example.org/?q=1 now. (Or is it down?)').questions.map(({ text }) => text),
    ).toEqual(['Is it up?', '(Or is it down?)']);
  });

  test('stay open until another participant answers', async () => {
    const lines: [string, string][] = [
      ['ana', 'Which database stores the events?'],
      ['ana', 'Any idea about the database?'],
      ['bob', 'The weather is nice.'],
    ];
    const open = await provider.summarize(dialogOf(lines));
    expect(open.openQuestions.map(({ messageId }) => messageId)).toEqual(['m1', 'm2']);
    const answered = await provider.summarize(dialogOf([...lines, ['bob', 'Postgres is the database.']]));
    expect(answered.openQuestions).toEqual([]);
  });

  test('a reply answers, however late', async () => {
    const filler = Array.from({ length: 6 }, (): [string, string] => ['bob', 'Weather report follows here.']);
    const messages = dialogOf([['ana', 'Which database stores the events?'], ...filler]);
    const reply = message('Ours.', { messageId: 'last', sequence: 99, senderId: 'bob', replyToMessageId: 'm1' });
    expect((await provider.summarize(messages)).openQuestions).toHaveLength(1);
    expect((await provider.summarize([...messages, reply])).openQuestions).toEqual([]);
  });
});

test('next steps: the announced one, then open items by priority and date, then open questions', async () => {
  const { nextSteps } = await provider.summarize(
    dialogOf([
      ['ana', 'I will clean the index by Friday.'],
      ['ana', 'I will rotate the leaked key immediately.'],
      ['bob', 'Next, we measure the upload times again.'],
    ]),
  );
  expect(nextSteps.map(({ source, text }) => [source, text])).toEqual([
    ['STATED', 'Next, we measure the upload times again.'],
    ['ACTION_ITEM', 'I will rotate the leaked key immediately.'],
    ['ACTION_ITEM', 'I will clean the index by Friday.'],
  ]);
});
