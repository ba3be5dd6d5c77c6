import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

const errors = 'userErrors { code message }';

interface Item {
  readonly confirm: { readonly id: string; readonly confirmationType: string; readonly contextId: string };
}

describe.each(modes)('what waits for a person stands in one inbox, %s', (mode) => {
  let platform: Platform;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    const tenant = `waits-${mode.length}`;
    for (const [subject, role] of [
      ['boss', 'admin'],
      ['worker', 'agent'],
      ['guest', 'agent'],
    ] as const)
      tokens[subject] = await platform.token({ tenant, subject, roles: [role] });
  });
  afterAll(() => platform?.close());

  const ask = async <Answer>(who: string, document: string, variables: object = {}): Promise<Answer> => {
    const answer = await platform.query<Record<string, Answer>>(document, { ...variables }, { token: tokens[who]! });
    expect(answer.errors, document).toEqual([]);
    return Object.values(answer.data!)[0]!;
  };
  const act = async <Payload>(who: string, document: string, variables: object): Promise<Payload> => {
    const payload = await ask<Payload & { userErrors: unknown[] }>(who, document, variables);
    expect(payload.userErrors, document).toEqual([]);
    return payload;
  };
  async function until<Value>(read: () => Promise<Value>, holds: (value: Value) => boolean): Promise<Value> {
    for (const end = Date.now() + 20_000; ; ) {
      const value = await read();
      if (holds(value)) return value;
      if (Date.now() > end) throw new Error(`it did not come to that: ${JSON.stringify(value)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const inbox = async (contextId: string): Promise<readonly Item['confirm'][]> =>
    (
      await ask<{ nodes: Item[] }>(
        'boss',
        'query ($id: ID!) { approvalsInbox(filter: { contextId: $id }) { nodes { confirm { id confirmationType contextId } } } }',
        { id: contextId },
      )
    ).nodes.map(({ confirm }) => confirm);
  const waits = async (contextId: string, type: string) =>
    (
      await until(
        () => inbox(contextId),
        (items) => items.some(({ confirmationType }) => confirmationType === type),
      )
    )[0]!;
  const isEmpty = (contextId: string) =>
    until(
      () => inbox(contextId),
      (items) => items.length === 0,
    );
  const createContext = async (accessControl: object = {}) =>
    (
      await act<{ context: { id: string } }>(
        'boss',
        `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
        { input: { title: 'waits', root: { domain: 'd', environment: 'e' }, accessControl } },
      )
    ).context.id;
  const decide = (confirmId: string, decision: string) =>
    act('boss', `mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { ${errors} } }`, {
      input: { confirmId, decision, rationale: 'as it stands' },
    });

  it('a review of a step: approved there, rejected there, and gone once it is done by hand', async () => {
    const contextId = await createContext();
    const { plan } = await act<{ plan: { id: string } }>(
      'boss',
      `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
      {
        input: {
          ...{ contextId, title: 'reviewed', objective: 'good work' },
          failureResolver: { strategies: ['RETRY'], maxAttempts: 3, delayMs: 100 },
          steps: ['one', 'two'].map((description) => ({
            ...{ id: crypto.randomUUID(), description, durationMs: 1_000 },
            acceptanceCriteria: [{ id: 'good', description: 'it is good', verification: 'REVIEW' }],
          })),
        },
      },
    );
    await act('boss', `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id: plan.id });
    const { execution } = await act<{ execution: { id: string } }>(
      'boss',
      `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } ${errors} } }`,
      { input: { planId: plan.id } },
    );
    const work = async () => {
      const { lease } = await until(
        () =>
          act<{ lease: { executionId: string; stepId: string; epoch: number } | null }>(
            'worker',
            `mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch } ${errors} } }`,
            { id: execution.id },
          ),
        (payload) => payload.lease !== null,
      );
      await act('worker', `mutation ($lease: StepLeaseInput!) { completeStep(lease: $lease) { ${errors} } }`, {
        lease,
      });
      return lease!.stepId;
    };
    const stepOf = async (stepId: string) =>
      (
        await ask<{ taskProgress: { stepId: string; status: string; failures: number }[] }>(
          'boss',
          'query ($id: ID!) { planExecution(executionId: $id) { taskProgress { stepId status failures } } }',
          { id: execution.id },
        )
      ).taskProgress.find((step) => step.stepId === stepId)!;
    const first = await work();
    await decide((await waits(contextId, 'step_review')).id, 'REJECTED');
    await until(
      () => stepOf(first),
      ({ failures }) => failures === 1,
    );
    await isEmpty(contextId);
    // Two are left, in whatever order they are handed out.
    const second = await work();
    await decide((await waits(contextId, 'step_review')).id, 'APPROVED');
    await until(
      () => stepOf(second),
      ({ status }) => status === 'COMPLETED',
    );
    const third = await work();
    await waits(contextId, 'step_review');
    await act(
      'boss',
      `mutation ($e: ID!, $s: ID!) { reviewStep(executionId: $e, stepId: $s, criteria: [{ id: "good", met: true }]) { ${errors} } }`,
      { e: execution.id, s: third },
    );
    await isEmpty(contextId);
    await until(
      () => ask<{ status: string }>('boss', 'query ($id: ID!) { plan(planId: $id) { status } }', { id: plan.id }),
      ({ status }) => status === 'COMPLETED',
    );
  }, 90_000);

  it('who asks to join: let in there, refused there, and gone once it is decided by hand or taken back', async () => {
    const contextId = await createContext({ joinPolicy: 'APPROVAL' });
    const join = async () =>
      (
        await act<{ participant: { id: string; status: string } }>(
          'guest',
          `mutation ($id: ID!) { joinContext(contextId: $id) { participant { id status } ${errors} } }`,
          { id: contextId },
        )
      ).participant;
    const leave = () =>
      act('guest', `mutation ($id: ID!) { leaveContext(contextId: $id) { ${errors} } }`, { id: contextId });
    const members = async (status: string) =>
      (
        await ask<{ participants: { nodes: { agentId: string }[] } }>(
          'boss',
          'query ($id: ID!, $status: [ContextParticipantStatus!]) { context(contextId: $id) { participants(status: $status) { nodes { agentId } } } }',
          { id: contextId, status: [status] },
        )
      ).participants.nodes.length;
    expect(await join()).toMatchObject({ status: 'JOINING' });
    await decide((await waits(contextId, 'join_request')).id, 'REJECTED');
    await until(
      () => members('JOINING'),
      (count) => count === 0,
    );
    await isEmpty(contextId);
    await join();
    await decide((await waits(contextId, 'join_request')).id, 'APPROVED');
    await until(
      () => members('ACTIVE'),
      (count) => count === 1,
    );
    await leave();
    await join();
    await waits(contextId, 'join_request');
    await leave();
    await isEmpty(contextId);
    const { id } = await join();
    await waits(contextId, 'join_request');
    await act(
      'boss',
      `mutation ($c: ID!, $p: ID!) { decideJoinRequest(contextId: $c, participantId: $p, decision: APPROVE) { ${errors} } }`,
      { c: contextId, p: id },
    );
    await isEmpty(contextId);
    expect(await members('ACTIVE')).toBe(1);
  }, 90_000);
});
