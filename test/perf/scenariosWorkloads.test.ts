import { expect, test } from 'vitest';
import { createRandom } from '../../perf/load/random.ts';
import type { GraphqlCall, RequestOperation, Workload } from '../../perf/load/workload.ts';
import { seededContext } from '../../perf/seeds/context.ts';
import { type DialogSeed, messageCounts, readUpto, subjectAt } from '../../perf/seeds/dialog.ts';
import { seedId } from '../../perf/seeds/seedId.ts';
import { containsWord, searchWords } from '../../perf/seeds/words.ts';
import { createWorkload as createContextWorkload } from '../../perf/workloads/context.ts';
import { createWorkload as createDialogWorkload } from '../../perf/workloads/dialog.ts';

const context = { seed: 1, worker: 0, workers: 1, random: createRandom(1) };
const random = createRandom(3);

function callOf(workload: Workload, name: string): GraphqlCall {
  const operation = workload.operations.find((candidate) => candidate.name === name) as RequestOperation;
  return operation.next(random) as GraphqlCall;
}

test('ids of seeded rows are UUIDs v4, each its own', () => {
  const ids = new Set<string>();
  for (let index = 0; index < 20_000; index += 1) {
    ids
      .add(seedId('context', index))
      .add(seedId('dialog', index))
      .add(seedId('message', 7, index));
  }
  expect(ids.size).toBe(60_000);
  expect([...ids].every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(
    true,
  );
});

test('a million messages in 10,000 dialogs: the hottest hold 10,000', () => {
  const counts = messageCounts(10_000, 1_000_000);
  expect(counts[0]).toBeGreaterThan(9_500);
  expect(counts[0]).toBeLessThan(11_000);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(990_000);
});

test('the places of a dialog are different agents, and none has read what was not said', () => {
  for (const [dialogs, places, subjects] of [
    [10_000, 10, 1_000],
    [10, 1_000, 1_000],
    [50, 10, 20],
  ] as const) {
    for (let dialog = 0; dialog < Math.min(dialogs, 200); dialog += 1) {
      const agents = Array.from({ length: places }, (_, place) => subjectAt(dialog, place, subjects));
      expect(new Set(agents).size).toBe(places);
      for (let place = 0; place < places; place += 1) {
        expect(readUpto(dialog, place, 5)).toBeGreaterThanOrEqual(0);
        expect(readUpto(dialog, place, 5)).toBeLessThanOrEqual(5);
      }
    }
  }
});

test('searches ask for a thousand words that texts hold as whole words', () => {
  expect(new Set(searchWords).size).toBe(1_000);
  expect(containsWord('the Freight and', 'freight')).toBe(true);
  expect(containsWord('the freighter and', 'freight')).toBe(false);
  const words = new Set(Array.from({ length: 500 }, (_, index) => seededContext(index).summary.split(' ')).flat());
  expect(searchWords.filter((word) => words.has(word)).length).toBeGreaterThan(500);
});

test('a read of a context that answers less than was acknowledged is wrong', async () => {
  const workload = await createContextWorkload(
    { contexts: 1, tokens: ['t'], mix: { get_context: 1, update_context: 1 } },
    context,
  );
  const { id, title } = seededContext(0);
  const get = (version: number) => callOf(workload, 'get_context').check({ data: { context: { id, title, version } } });
  expect(get(1)).toBe(true);
  const update = callOf(workload, 'update_context');
  const patch = update.variables?.['patch'] as { summary: string };
  expect(update.variables?.['version']).toBe(1);
  expect(
    update.check({ data: { updateContext: { userErrors: [], context: { version: 2, summary: patch.summary } } } }),
  ).toBe(true);
  expect(get(1)).toMatch(/expected version 2/);
  expect(get(2)).toBe(true);
  expect(callOf(workload, 'get_context').check({ data: { context: null } })).toMatch(/expected context/);
});

test('a stale update counts as an answer and is read again before the next', async () => {
  const workload = await createContextWorkload(
    { contexts: 1, tokens: ['t'], mix: { get_context: 1, update_context: 1 } },
    context,
  );
  const { id, title } = seededContext(0);
  const conflict = { data: { updateContext: { userErrors: [{ code: 'VERSION_CONFLICT' }] } } };
  expect(callOf(workload, 'update_context').check(conflict)).toBe(true);
  expect(callOf(workload, 'get_context').check({ data: { context: { id, title, version: 5 } } })).toBe(true);
  expect(callOf(workload, 'update_context').variables?.['version']).toBe(5);
  expect(workload.facts?.()).toMatchObject({ updates: 1, conflicts: 1 });
});

test('a search result without the word, or too short for its total, is wrong', async () => {
  const workload = await createContextWorkload({ contexts: 1, tokens: ['t'], mix: { search_contexts: 1 } }, context);
  const call = callOf(workload, 'search_contexts');
  const word = String(call.variables?.['query']);
  const filter = call.variables?.['filter'] as { domain?: string } | undefined;
  const node = (summary: string) => ({
    score: 1,
    node: { title: 't', summary, tags: [], domain: filter?.domain ?? 'x', status: 'ACTIVE' },
  });
  const answer = (totalCount: number, summary: string) =>
    call.check({ data: { searchContexts: { totalCount, edges: [node(summary)] } } });
  expect(answer(1, `all ${word} here`)).toBe(true);
  expect(answer(1, 'nothing of it')).toMatch(/expected "/);
  expect(answer(2, `all ${word} here`)).toMatch(/expected 2 of 2, got 1/);
});

const seed: DialogSeed = { contexts: 1, dialogs: 1, participantsPerDialog: 1, subjects: 1, messages: 20 };

test('an inbox with a gap, or without what was acknowledged to its sender, is wrong', async () => {
  const workload = await createDialogWorkload(
    { seed, tokens: ['t'], mix: { receive_message: 1, send_message: 1 } },
    context,
  );
  const poll = callOf(workload, 'receive_message');
  const after = Number(poll.variables?.['after']);
  const inbox = (sequences: readonly number[], nextCursor: number) => ({
    data: {
      dialogInbox: {
        messages: sequences.map((sequence) => ({ sequence })),
        nextCursor,
        hasMore: false,
        gapDetected: false,
      },
    },
  });
  const whole = Array.from({ length: 20 - after }, (_, index) => after + 1 + index);
  expect(poll.check(inbox([after + 2], after + 2))).toMatch(/expected sequence/);
  expect(poll.check(inbox(whole, 20))).toBe(true);
  const send = callOf(workload, 'send_message');
  expect(
    send.check({ data: { sendMessage: { userErrors: [], duplicate: false, message: { id: 'm', sequence: 20 } } } }),
  ).toMatch(/over 20/);
  expect(
    send.check({ data: { sendMessage: { userErrors: [], duplicate: false, message: { id: 'm', sequence: 21 } } } }),
  ).toBe(true);
  expect(callOf(workload, 'receive_message').check(inbox([], 20))).toMatch(/expected messages up to 21/);
});

test('a page of history that skips a message is wrong', async () => {
  const workload = await createDialogWorkload({ seed, tokens: ['t'], mix: { dialog_history: 1 } }, context);
  const call = callOf(workload, 'dialog_history');
  const upTo = Number(call.variables?.['upTo']);
  const page = (from: number) => ({
    data: {
      dialogMessages: { edges: Array.from({ length: upTo }, (_, index) => ({ node: { sequence: from + index } })) },
    },
  });
  expect(call.check(page(1))).toBe(true);
  expect(call.check(page(2))).toMatch(/expected sequence 1, got 2/);
});
