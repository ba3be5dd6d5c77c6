import { expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;

const errors = 'userErrors { code path }';

function actor(platform: Platform, token: string) {
  const ask = async (document: string, variables: Json = {}) => {
    const answer = await platform.query<Record<string, Json>>(document, variables, { token });
    expect(answer.errors, document).toEqual([]);
    return answer.data!;
  };
  return {
    ask,
    async done(field: string, type: string, selection: string, input: Json): Promise<Json> {
      const document = `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} ${errors} } }`;
      const payload = (await ask(document, { input }))[field]!;
      expect(payload['userErrors'], field).toEqual([]);
      return payload;
    },
  };
}

const idOf = (value: unknown) => (value as { id: string }).id;

async function furnish(platform: Platform) {
  const owner = actor(platform, await platform.token({ tenant: 'figures', subject: 'owner', roles: ['admin'] }));
  const agent = actor(platform, await platform.token({ tenant: 'figures', subject: 'worker', roles: ['admin'] }));
  const { context } = await owner.done('createContext', 'CreateContextInput', 'context { id }', {
    title: 'Figures',
    root: { domain: 'd', environment: 'e' },
  });
  const contextId = idOf(context);
  const { participant } = await owner.done('addParticipant', 'AddParticipantInput', 'participant { id }', {
    contextId,
    agentId: 'worker',
  });
  return { owner, agent, contextId, participantId: idOf(participant) };
}

it.each(modes)('an agent’s tasks, a context’s health and its deletion go by the plans at work, %s', async (mode) => {
  await using platform = await sharePlatform({ mode });
  const { owner, agent, contextId, participantId } = await furnish(platform);
  const tasks = 'id totalTasks completedTasks failedTasks averageResponseMs';
  const read = `query ($id: ID!) { context(contextId: $id) { participants { nodes { ${tasks} } } } contextHealth(contextId: $id) {
    components { name level } performance { runningTasks blockedTasks completedLastHour failedLastHour failureShare averageTaskMs p95TaskMs } } }`;
  const idle = await owner.ask(read, { id: contextId });
  expect(idle['context']).toEqual({
    participants: {
      nodes: [{ id: participantId, totalTasks: 0, completedTasks: 0, failedTasks: 0, averageResponseMs: null }],
    },
  });
  expect(idle['contextHealth']).toMatchObject({
    performance: { runningTasks: 0, completedLastHour: 0, failureShare: 0, averageTaskMs: null },
  });

  const { plan } = await owner.done('createPlan', 'CreatePlanInput', 'plan { id }', {
    contextId,
    title: 'P',
    objective: 'O',
    failureResolver: { strategies: ['SKIP'], enabled: false },
    steps: ['one', 'two', 'three'].map((description, orderIndex) => ({ id: newId(), description, orderIndex })),
  });
  await owner.ask(`mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id: idOf(plan) });
  const { execution } = await owner.done('executePlan', 'ExecutePlanInput', 'execution { id }', { planId: idOf(plan) });
  const claim = async () =>
    (
      await agent.ask(
        `mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch } ${errors} } }`,
        {
          id: idOf(execution),
        },
      )
    )['claimStep']!['lease'] as Json;
  await agent.ask(`mutation ($lease: StepLeaseInput!) { completeStep(lease: $lease) { ${errors} } }`, {
    lease: await claim(),
  });
  const held = await claim();
  const working = await owner.ask(read, { id: contextId });
  expect(working['context']).toEqual({
    participants: {
      nodes: [
        {
          id: participantId,
          totalTasks: 2,
          completedTasks: 1,
          failedTasks: 0,
          averageResponseMs: expect.any(Number) as number,
        },
      ],
    },
  });

  const remove = (force: boolean) =>
    owner.ask(`mutation ($id: ID!) { deleteContext(contextId: $id, force: ${force}) { deleted ${errors} } }`, {
      id: contextId,
    });
  expect((await remove(false))['deleteContext']).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE', path: ['force'] }],
  });

  await agent.ask(
    `mutation ($lease: StepLeaseInput!) { failStep(lease: $lease, error: { message: "no", retryable: false }) { ${errors} } }`,
    { lease: held },
  );
  const failed = await owner.ask(read, { id: contextId });
  expect(failed['context']).toMatchObject({ participants: { nodes: [{ totalTasks: 2, failedTasks: 1 }] } });
  const { components, performance } = failed['contextHealth'] as { components: Json[]; performance: Json };
  expect(performance).toMatchObject({
    runningTasks: 0,
    completedLastHour: 1,
    failedLastHour: 1,
    failureShare: 0.5,
    averageTaskMs: expect.any(Number) as number,
    p95TaskMs: expect.any(Number) as number,
  });
  expect(components).toContainEqual({ name: 'performance', level: 'UNHEALTHY' });

  // The failure has ended the run: nothing holds the deletion up any more.
  expect((await remove(false))['deleteContext']).toEqual({ deleted: true, userErrors: [] });
});

it.each(modes)('a session counts what its participants say while it is open, %s', async (mode) => {
  await using platform = await sharePlatform({ mode });
  const { owner, agent, contextId, participantId } = await furnish(platform);
  const { dialog } = await owner.done('createDialog', 'CreateDialogInput', 'dialog { id }', {
    contextId,
    name: 'D',
    participants: [{ subject: 'worker' }],
  });
  const say = (speaker: ReturnType<typeof actor>, text: string) =>
    speaker.done('sendMessage', 'SendMessageInput', 'message { id }', { dialogId: idOf(dialog), content: { text } });
  await say(agent, 'before');
  const open = async (participantIds: string[]) =>
    idOf(
      (
        await owner.done('createSession', 'CreateSessionInput', 'session { id }', {
          contextId,
          name: 'S',
          participantIds,
        })
      )['session'],
    );
  const [own, all] = [await open([participantId]), await open([])];
  await say(agent, 'née');
  await say(owner, 'yes');
  for (const sessionId of [own, all])
    await owner.ask(
      `mutation ($c: ID!, $s: ID!) { endSession(contextId: $c, sessionId: $s) { session { messageCount } ${errors} } }`,
      {
        c: contextId,
        s: sessionId,
      },
    );
  await say(agent, 'after');
  const answer = await owner.ask(
    'query ($id: ID!) { context(contextId: $id) { sessions { nodes { id agentIds messageCount dataSizeBytes averageLatencyMs } } } }',
    { id: contextId },
  );
  expect(answer['context']).toEqual({
    sessions: {
      nodes: [
        { id: own, agentIds: ['worker'], messageCount: 1, dataSizeBytes: 4, averageLatencyMs: null },
        { id: all, agentIds: [], messageCount: 2, dataSizeBytes: 7, averageLatencyMs: expect.any(Number) as number },
      ],
    },
  });
});
