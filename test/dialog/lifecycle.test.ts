import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import type { StartedModule } from '#shared/subgraph.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
let started: StartedModule;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');
const pair = { participants: [{ subject: 'bot' }] };
const signal = new AbortController().signal;

beforeAll(async () => {
  rig = await openDialogRig();
  started = await rig.subgraph.start();
});
afterAll(async () => {
  await started.close();
  await rig[Symbol.asyncDispose]();
});

async function until(condition: () => Promise<boolean>, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const statusOf = async (id: string) => {
  const data = await rig.ask(ada, 'query ($id: ID!) { dialog(id: $id) { status pausedBy statusReason } }', { id });
  return data['dialog'];
};
const job = (name: string, payload: unknown = {}) =>
  rig.subgraph.jobs[name]!(payload, { attempt: 1, jobId: '1', signal });

describe('time', () => {
  it('pauses what is idle, wakes it by any writer, and completes what lasts too long', async () => {
    const { id } = await rig.createDialog(ada, {
      ...pair,
      configuration: { idleTimeoutMs: 60_000, maxDurationMs: 600_000 },
    });
    const begun = Date.now();
    const { lifecycle } = rig.service(ada);
    await lifecycle.sweepIdle(new Date(begun + 30_000));
    expect(await statusOf(id)).toMatchObject({ status: 'ACTIVE' });
    // A message in between pushes idleness away.
    await new Promise((resolve) => setTimeout(resolve, 30));
    await rig.send(ada, id, 'still here');
    await lifecycle.sweepIdle(new Date(begun + 60_010));
    expect(await statusOf(id)).toMatchObject({ status: 'ACTIVE' });
    await lifecycle.sweepIdle(new Date(begun + 130_000));
    expect(await statusOf(id)).toMatchObject({ status: 'PAUSED', pausedBy: 'IDLE' });
    expect(
      codesOf(await rig.mutate(bot, 'resumeDialog', '$dialogId: ID!', { dialogId: id }, 'dialog { status }')),
    ).toEqual([]);
    await lifecycle.sweepIdle(new Date(begun + 601_000));
    expect(await statusOf(id)).toMatchObject({ status: 'COMPLETED', statusReason: 'session timeout after 600000 ms' });
  });

  it('deletes what is older than the dialog keeps, and says so in the inbox', async () => {
    const { id } = await rig.createDialog(ada, { ...pair, configuration: { messageRetentionDays: 7 } });
    for (const text of ['old', 'older', 'new']) await rig.send(ada, id, text, { clientMessageId: text });
    await rig.sql`UPDATE dialog.message SET created_at = now() - interval '8 days' WHERE dialog_id = ${id} AND sequence < 3`;
    expect(await rig.service(ada).lifecycle.retain()).toBe(2);
    const inbox = await rig.ask(
      bot,
      'query ($id: ID!) { dialogInbox(dialogId: $id) { messages { sequence } gapDetected } }',
      { id },
    );
    expect(inbox['dialogInbox']).toEqual({ messages: [{ sequence: 3 }], gapDetected: true });
    expect((await rig.send(ada, id, 'next'))['message']!['sequence']).toBe(4);
    const keys = await rig.sql`SELECT client_message_id FROM dialog.message_key WHERE dialog_id = ${id}`;
    expect(keys.map((row) => row['client_message_id'])).toEqual(['new']);
  });
});

describe('followed deliveries', () => {
  const detail = async (messageId: unknown) => {
    const data = await rig.ask(
      ada,
      'query ($reps: [_Any!]!) { _entities(representations: $reps) { ... on Message { deliveryStatus { total delivered pending failed details { status attempts } } } } }',
      { reps: [{ __typename: 'Message', id: messageId }] },
    );
    return data['_entities']![0]!['deliveryStatus']!;
  };

  it('are retried three times with growing pauses, then fail; reading them still counts', async () => {
    const { id, participants } = await rig.createDialog(ada, pair);
    const sent = await rig.send(ada, id, 'answer me', { requiresResponse: true });
    const messageId = sent['message']!['id'];
    expect(await detail(messageId)).toMatchObject({ total: 1, pending: 1, details: [{ status: 'SENT', attempts: 1 }] });
    rig.events.length = 0;
    const pauses: number[] = [];
    for (let retry = 1; retry <= 4; retry += 1) {
      const [row] = await rig.sql<{ seconds: number | null; status: string }[]>`
        UPDATE dialog.delivery SET next_attempt_at = now() WHERE message_id = ${String(messageId)} RETURNING 0::int AS seconds, status`;
      if (row?.status !== 'SENT') break;
      await until(async () => {
        const [state] = await rig.sql<
          { wait: number | null; attempts: number; status: string }[]
        >`SELECT extract(epoch FROM next_attempt_at - updated_at)::float8 AS wait, attempts, status FROM dialog.delivery WHERE message_id = ${String(messageId)}`;
        if (state!.status === 'SENT' && state!.attempts === retry + 1 && state!.wait! > 0.5) {
          pauses.push(Math.round(state!.wait!));
          return true;
        }
        return state!.status === 'FAILED';
      });
    }
    expect(pauses).toEqual([2, 4, 8]);
    expect(await detail(messageId)).toMatchObject({
      failed: 1,
      pending: 0,
      details: [{ status: 'FAILED', attempts: 4 }],
    });
    const retried = rig.events.filter((event) => event.type === 'dialog.delivery.retried');
    expect(retried).toHaveLength(3);
    expect(retried[0]!.data).toMatchObject({
      participantId: participants['bot'],
      attempt: 2,
      position: (await rig.stream(id)).find((event) => event.type === 'dialog.message.sent')!.sequence,
      message: { id: messageId, sequence: 1, text: 'answer me' },
    });
    await rig.mutate(
      bot,
      'ackMessages',
      '$dialogId: ID!, $upToSequence: Int!',
      { dialogId: id, upToSequence: 1 },
      'newCursor',
    );
    expect(await detail(messageId)).toMatchObject({ delivered: 1, failed: 0, details: [{ status: 'READ' }] });
  });

  it('expire with the dialog’s time', async () => {
    const { id } = await rig.createDialog(ada, { ...pair, configuration: { deliveryTtlMs: 1_000 } });
    const plain = await rig.send(ada, id, 'nobody fetches this');
    const urgent = await rig.send(ada, id, 'nor this', { priority: 'URGENT' });
    await until(
      async () => (await detail(urgent['message']!['id']))['details']![0]!['status'] === ('EXPIRED' as never),
    );
    await until(async () => (await detail(plain['message']!['id']))['details']![0]!['status'] === ('EXPIRED' as never));
  });
});

describe('the context', () => {
  it('takes its dialogs along', async () => {
    const contextId = rig.openContext();
    const [first, second, third] = [
      await rig.createDialog(ada, { contextId }),
      await rig.createDialog(ada, { contextId }),
      await rig.createDialog(ada),
    ];
    await rig.mutate(ada, 'pauseDialog', '$dialogId: ID!', { dialogId: second.id }, 'dialog { status }');
    const tell = async (type: string, status: string) => {
      await rig.contextEvent(type, { id: contextId, status });
      // A consumer reads only what no open transaction can precede any more.
      await until(async () => {
        await rig.service(ada).catchUpContexts();
        const [row] = await rig.sql<{ status: string }[]>`SELECT status FROM dialog.replica WHERE id = ${contextId}`;
        return row?.status === (type === 'context.deleted' ? 'deleted' : status);
      });
    };
    await tell('context.state.changed', 'suspended');
    await until(async () => String((await statusOf(first.id))!['pausedBy']) === 'CONTEXT');
    expect(await statusOf(second.id)).toMatchObject({ status: 'PAUSED', pausedBy: 'USER' });
    expect(
      codesOf(await rig.mutate(ada, 'resumeDialog', '$dialogId: ID!', { dialogId: first.id }, 'dialog { status }')),
    ).toEqual(['CONTEXT_NOT_ACTIVE']);
    expect(
      codesOf(
        await rig.mutate(
          ada,
          'createDialog',
          '$input: CreateDialogInput!',
          { input: { name: 'x', contextId } },
          'dialog { id }',
        ),
      ),
    ).toEqual(['CONTEXT_NOT_ACTIVE']);
    await tell('context.state.changed', 'active');
    await until(async () => String((await statusOf(first.id))!['status']) === 'ACTIVE');
    expect(await statusOf(second.id)).toMatchObject({ status: 'PAUSED' });
    await tell('context.state.changed', 'closed');
    await until(async () => String((await statusOf(second.id))!['status']) === 'COMPLETED');
    expect(await statusOf(first.id)).toMatchObject({ status: 'COMPLETED', statusReason: 'the context was closed' });
    expect(await statusOf(third.id)).toMatchObject({ status: 'ACTIVE' });
  });

  it('cancels them when it is deleted, and ends what slipped in', async () => {
    const { id, contextId } = await rig.createDialog(ada);
    await rig.contextEvent('context.deleted', { id: contextId, status: 'active' });
    await until(async () => String((await statusOf(id))!['status']) === 'CANCELLED');
    await rig.sql`UPDATE dialog.dialog SET status = 'active' WHERE id = ${id}`;
    await job('reconcileContexts');
    expect(await statusOf(id)).toMatchObject({ status: 'CANCELLED' });
  });

  it('pauses what slipped in while it was being suspended, and resumes that once it is active again', async () => {
    const contextId = rig.openContext();
    const [left, mine] = [await rig.createDialog(ada, { contextId }), await rig.createDialog(ada, { contextId })];
    await rig.mutate(ada, 'pauseDialog', '$dialogId: ID!', { dialogId: mine.id }, 'dialog { status }');
    const stands = (status: string) =>
      rig.sql`UPDATE dialog.replica SET status = ${status} WHERE type = 'Context' AND id = ${contextId}`;
    await stands('suspended');
    await job('reconcileContexts');
    expect(await statusOf(left.id)).toMatchObject({ status: 'PAUSED', pausedBy: 'CONTEXT' });
    expect(await statusOf(mine.id)).toMatchObject({ status: 'PAUSED', pausedBy: 'USER' });
    await stands('active');
    await job('reconcileContexts');
    expect(await statusOf(left.id)).toMatchObject({ status: 'ACTIVE', pausedBy: null });
    expect(await statusOf(mine.id)).toMatchObject({ status: 'PAUSED', pausedBy: 'USER' });
  });
});

describe('analysis', () => {
  it('comes behind the message, for what was asked, once', async () => {
    const { id } = await rig.createDialog(ada, pair);
    const sent = await rig.send(ada, id, 'I will send the report to @bot by Friday. This is wonderful news!', {
      aiProcessing: { sentiment: true, actionItems: true },
    });
    await rig.send(ada, id, 'nobody asked about this');
    const [queued] =
      await rig.sql`SELECT identifier AS task_identifier FROM graphile_worker._private_tasks t JOIN graphile_worker._private_jobs j ON j.task_id = t.id WHERE j.key = ${`dialog.analyzeMessages:one:${id}`}`;
    expect(queued).toMatchObject({ task_identifier: 'dialog.analyzeMessages' });
    await job('analyzeMessages', { tenantId: 'one', dialogId: id });
    await job('analyzeMessages', { tenantId: 'one', dialogId: id });
    const data = await rig.ask(
      bot,
      'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { sequence analysis { provider sentiment { label } keywords { phrase } actionItems { status } } } threadSummary { openActionItems } } found: dialogMessages(dialogId: $id, filter: { hasActionItems: true }) { nodes { sequence } } dialogMetrics(dialogId: $id) { messageCount actionItems averageSentiment activeParticipants messagesByType { value count } } }',
      { id },
    );
    const [first, second] = data['dialogMessages']!['nodes']!.map((node) => node);
    expect(first!['analysis']).toMatchObject({
      provider: 'deterministic',
      sentiment: { label: 'POSITIVE' },
      keywords: [],
      actionItems: [{ status: 'OPEN' }],
    });
    expect(second!['analysis']).toBeNull();
    expect(data['dialogMessages']!['threadSummary']).toEqual({ openActionItems: 1 });
    expect(data['found']!['nodes']).toEqual([{ sequence: 1 }]);
    expect(data['dialogMetrics']).toMatchObject({
      messageCount: 2,
      actionItems: 1,
      activeParticipants: 2,
      messagesByType: [{ value: 'TEXT', count: 2 }],
    });
    const { received } = await rig.replay(bot, 'aiAnalysisCompleted', { dialogId: id });
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({
      kind: 'MESSAGE',
      messageId: sent['message']!['id'],
      analysis: { messageId: sent['message']!['id'], provider: 'deterministic' },
      summary: null,
    });
  });

  it('summarises what its reader may know', async () => {
    const { id } = await rig.createDialog(ada, pair);
    for (const text of [
      'The deployment failed because the database migration timed out.',
      'We decided to roll back the release.',
      'I will write the incident report tomorrow.',
    ])
      await rig.send(ada, id, text);
    const asked = await rig.mutate(
      bot,
      'generateSummary',
      '$dialogId: ID!',
      { dialogId: id },
      'summary { summaryId status fromSequence toSequence }',
    );
    expect(asked['summary']).toMatchObject({ status: 'PENDING', fromSequence: 1, toSequence: 3 });
    await job('summarize', { tenantId: 'one', summaryId: String(asked['summary']!['summaryId']) });
    const query =
      'query ($id: ID!) { dialogSummary(dialogId: $id) { status messageCount text contributions { senderId } provider } dialog(id: $id) { memoryContext { conversationSummary keyTopics } } }';
    const answer = await rig.ask(bot, query, { id });
    expect(answer['dialogSummary']).toMatchObject({
      status: 'COMPLETED',
      messageCount: 3,
      provider: 'deterministic',
      text: expect.stringContaining('deployment'),
    });
    expect(answer['dialog']!['memoryContext']!['conversationSummary']).toEqual(answer['dialogSummary']!['text']);
    const { received } = await rig.replay(bot, 'aiAnalysisCompleted', { dialogId: id });
    expect(received).toMatchObject([
      { kind: 'SUMMARY', analysis: null, summary: { summaryId: asked['summary']!['summaryId'], messageCount: 3 } },
    ]);
    const late = principal('late');
    await rig.mutate(late, 'joinDialog', '$dialogId: ID!', { dialogId: id }, 'participant { id }');
    expect(await rig.ask(late, query, { id })).toMatchObject({
      dialogSummary: null,
      dialog: { memoryContext: { conversationSummary: null, keyTopics: [] } },
    });
    expect((await rig.replay(late, 'aiAnalysisCompleted', { dialogId: id })).received).toEqual([]);
    expect(
      codesOf(
        await rig.mutate(
          late,
          'generateSummary',
          '$dialogId: ID!, $fromSequence: Int',
          { dialogId: id, fromSequence: 1 },
          'summary { status }',
        ),
      ),
    ).toEqual(['HISTORY_FORBIDDEN']);
  });
});

describe('memory', () => {
  it('keeps, ranks and forgets', async () => {
    const { id } = await rig.createDialog(ada, pair);
    const update = (entries: unknown, more: Record<string, unknown> = {}) =>
      rig.mutate(
        bot,
        'updateMemory',
        '$dialogId: ID!, $entries: [DialogMemoryInput!]!, $forget: [DialogMemoryKeyInput!], $idempotencyKey: String',
        { dialogId: id, entries, ...more },
        'entries { kind key value importance ttlSeconds expiresAt }',
      );
    const written = await update([
      { kind: 'LONG_TERM', key: 'favourite_port', value: 'Piraeus harbour', importance: 0.9 },
      { kind: 'LONG_TERM', key: 'colour', value: { name: 'blue' }, importance: 0.2 },
      { kind: 'SHORT_TERM', key: 'step', value: 3, ttlSeconds: 60 },
    ]);
    expect(codesOf(written)).toEqual([]);
    const recall = async (query: string | null) =>
      (
        await rig.ask(
          ada,
          'query ($id: ID!, $query: String) { dialogMemory(dialogId: $id, query: $query) { key score } }',
          { id, query },
        )
      )['dialogMemory']!;
    expect(await recall('harbour')).toMatchObject([{ key: 'favourite_port' }]);
    expect((await recall(null)).map((entry) => entry['key'])).toHaveLength(3);
    await rig.sql`UPDATE dialog.memory SET expires_at = now() - interval '1 second' WHERE dialog_id = ${id} AND key = 'step'`;
    expect((await recall(null)).map((entry) => entry['key'])).not.toContain('step');
    await job('forget');
    expect(await rig.sql`SELECT 1 FROM dialog.memory WHERE dialog_id = ${id} AND key = 'step'`).toHaveLength(0);
    await update([], { forget: [{ kind: 'LONG_TERM', key: 'colour' }] });
    expect((await recall(null)).map((entry) => entry['key'])).toEqual(['favourite_port']);
    expect(
      codesOf(
        await update([
          { kind: 'LONG_TERM', key: 'a', value: 1 },
          { kind: 'LONG_TERM', key: 'a', value: 2 },
        ]),
      ),
    ).toEqual(['VALIDATION_FAILED']);
    const outsider = await rig.mutate(
      principal('outsider'),
      'updateMemory',
      '$dialogId: ID!, $entries: [DialogMemoryInput!]!',
      { dialogId: id, entries: [] },
      'entries { key }',
    );
    expect(codesOf(outsider)).toEqual(['NOT_A_PARTICIPANT']);
  });
});

describe('idempotency', () => {
  it('holds for every kind of mutation', async () => {
    const { id } = await rig.createDialog(ada, pair);
    const messageId = String((await rig.send(ada, id, 'x'))['message']!['id']);
    const key = newId();
    const edit = (text: string) =>
      rig.mutate(
        ada,
        'editMessage',
        '$messageId: ID!, $content: MessageContentInput!, $idempotencyKey: String',
        { messageId, content: { text }, idempotencyKey: key },
        'message { revision content { text } }',
      );
    expect(await edit('y')).toMatchObject({ message: { revision: 2 } });
    expect(await edit('y')).toMatchObject({ message: { revision: 2 } });
    expect(codesOf(await edit('z'))).toEqual(['IDEMPOTENCY_MISMATCH']);
    const pause = () =>
      rig.mutate(
        ada,
        'pauseDialog',
        '$dialogId: ID!, $idempotencyKey: String',
        { dialogId: id, idempotencyKey: 'pause-1' },
        'dialog { status revision }',
      );
    const [first, second] = await Promise.all([pause(), pause()]);
    expect(codesOf(first)).toEqual([]);
    expect(codesOf(second)).toEqual([]);
    expect(await pause()).toMatchObject({ dialog: { status: 'PAUSED', revision: 2 } });
    const ack = () =>
      rig.mutate(
        bot,
        'ackMessages',
        '$dialogId: ID!, $upToSequence: Int!, $idempotencyKey: String',
        { dialogId: id, upToSequence: 1, idempotencyKey: 'ack-1' },
        'newCursor',
      );
    expect(await Promise.all([ack(), ack()])).toMatchObject([{ newCursor: 1 }, { newCursor: 1 }]);
  });
});
