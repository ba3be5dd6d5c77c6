import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPooledProvider } from '../../subgraphs/dialog/analysis/index.ts';
import { createDialogService } from '../../subgraphs/dialog/service.ts';
import { type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const pair = { participants: [{ subject: 'bot' }] };
const info = { attempt: 1, jobId: '1', signal: new AbortController().signal };
const aiProcessing = { sentiment: true };

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const analyzed = async (dialogId: string) =>
  (
    await rig.ask(
      ada,
      'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { sequence analysis { provider } } } }',
      {
        id: dialogId,
      },
    )
  )['dialogMessages']!['nodes']!.map((node) => node['analysis'] !== null);

async function requestSummary(dialogId: string): Promise<string> {
  const { summary } = (await rig.mutate(
    ada,
    'generateSummary',
    '$dialogId: ID!',
    { dialogId },
    'summary { summaryId }',
  )) as never;
  return String((summary as { summaryId: unknown }).summaryId);
}

describe('analysis and summaries', () => {
  it('are computed in threads', async () => {
    const { id } = await rig.createDialog(ada, pair);
    await rig.send(ada, id, 'This is wonderful.', { aiProcessing });
    await rig.send(ada, id, 'This is awful.', { aiProcessing });
    await rig.subgraph.jobs['analyzeMessages']!({ tenantId: 'one', dialogId: id }, info);
    const summaryId = await requestSummary(id);
    await rig.subgraph.jobs['summarize']!({ tenantId: 'one', summaryId }, info);
    // A page of messages is one task.
    expect(rig.computed).toEqual(['background analyzeMessages done', 'interactive summarizeMessages done']);
    expect(await analyzed(id)).toEqual([true, true]);
  });

  it('stop when their job is told to, and are done by the next attempt', async () => {
    const { id } = await rig.createDialog(ada, pair);
    await rig.send(ada, id, 'The deployment failed.', { aiProcessing });
    const summaryId = await requestSummary(id);
    const aborted = { ...info, signal: AbortSignal.abort(new Error('the process is ending')) };
    await expect(rig.subgraph.jobs['summarize']!({ tenantId: 'one', summaryId }, aborted)).rejects.toThrow(
      'the process is ending',
    );
    const state = () => rig.sql`SELECT status FROM dialog.summary WHERE id = ${summaryId}`;
    expect(await state()).toMatchObject([{ status: 'PENDING' }]);
    await rig.subgraph.jobs['summarize']!({ tenantId: 'one', summaryId }, info);
    expect(await state()).toMatchObject([{ status: 'COMPLETED' }]);
  });

  it('a message that cannot be read stands alone without analysis', async () => {
    const { id } = await rig.createDialog(ada, pair);
    for (const text of ['good', 'poison', 'better']) await rig.send(ada, id, text, { aiProcessing });
    const provider = createPooledProvider(rig.runtime.compute);
    const service = createDialogService(rig.runtime, {
      provider: {
        ...provider,
        analyzeMessages: async (messages, options) => {
          if (messages.some(({ text }) => text === 'poison')) throw new Error('indigestible');
          return provider.analyzeMessages(messages, options);
        },
      },
    });
    await service.jobs()['analyzeMessages']!({ tenantId: 'one', dialogId: id }, info);
    expect(await analyzed(id)).toEqual([true, false, true]);
    expect(await rig.sql`SELECT analyzed_upto FROM dialog.dialog_state WHERE dialog_id = ${id}`).toMatchObject([
      { analyzed_upto: 3 },
    ]);
  });

  it('a summary reads long messages by their ends, no more than fits', async () => {
    const { id } = await rig.createDialog(ada, pair);
    const middle = 'The harbour was quiet that day. '.repeat(6_000);
    await rig.send(ada, id, `We decided to ship the release on Monday. ${middle} I will write the incident report.`);
    const seen: { readonly text: string }[] = [];
    const provider = createPooledProvider(rig.runtime.compute);
    const service = createDialogService(rig.runtime, {
      provider: {
        ...provider,
        summarize: async (messages, options) => {
          seen.push(...messages);
          return provider.summarize(messages, options);
        },
      },
    });
    const summaryId = await requestSummary(id);
    await service.jobs()['summarize']!({ tenantId: 'one', summaryId }, info);
    expect(seen).toHaveLength(1);
    expect(seen[0]!.text).toHaveLength(131_072);
    expect(seen[0]!.text).toMatch(/^We decided to ship .* incident report\.$/s);
    const { dialogSummary } = (await rig.ask(
      ada,
      'query ($id: ID!) { dialogSummary(dialogId: $id) { decisions { text } actionItems { action } messageCount } }',
      { id },
    )) as never;
    expect(dialogSummary).toMatchObject({
      messageCount: 1,
      decisions: [expect.anything()],
      actionItems: [expect.anything()],
    });
  });
});
