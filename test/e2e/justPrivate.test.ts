import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contextTraceId } from '#shared/traceIds.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

const errors = 'userErrors { code }';

// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
type Json = any;

describe.each(modes)('a context that has just become private, %s', (mode) => {
  let platform: Platform;
  let tenant: string;
  const tokens = {} as Record<'owner' | 'other', string>;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const subject of ['owner', 'other'] as const)
      tokens[subject] = await platform.token({ tenant: 'private', subject });
    tenant = (await ask('owner', '{ me { tenantId } }')).me.tenantId;
  });
  afterAll(() => platform.close());

  async function ask(who: 'owner' | 'other', document: string, variables: object = {}): Promise<Json> {
    const answer = await platform.query<Json>(document, variables as Record<string, unknown>, { token: tokens[who] });
    expect(answer.errors).toEqual([]);
    return answer.data;
  }
  const create = async (visibility: string): Promise<string> => {
    const { createContext } = await ask(
      'owner',
      `mutation ($v: ContextVisibility!) { createContext(input: { title: "room", root: { domain: "d", environment: "e" }, accessControl: { visibility: $v } }) { context { id } ${errors} } }`,
      { v: visibility },
    );
    return createContext.context.id;
  };
  const plan = async (contextId: string): Promise<string> => {
    const { createPlan } = await ask(
      'owner',
      `mutation ($id: ID!) { createPlan(input: { contextId: $id, title: "p", objective: "o", steps: [{ description: "work" }] }) { plan { id } ${errors} } }`,
      { id: contextId },
    );
    return createPlan.plan.id;
  };
  /** What is to be seen of a context's plan and of the trace that follows it. */
  const see = async (who: 'owner' | 'other', contextId: string, planId: string): Promise<Json[]> => {
    const {
      plan: found,
      trace,
      traces,
      plans,
    }: Json = await ask(
      who,
      `query ($plan: ID!, $trace: ID!, $context: ID!) { plan(planId: $plan) { id } trace(traceId: $trace) { id }
         traces(filter: { contextId: $context }) { nodes { id } } plans(filter: { contextId: $context }) { nodes { id } } }`,
      { plan: planId, trace: contextTraceId(tenant, contextId), context: contextId },
    );
    return [found, trace, ...traces.nodes, ...plans.nodes].filter((value) => value !== null);
  };

  test('shows neither plan nor trace to others, from its making on', async () => {
    for (let round = 0; round < 5; round += 1) {
      const contextId = await create('PRIVATE');
      const planId = await plan(contextId);
      const seen: Json[] = [];
      // Until the trace that follows it is there and for a while beyond.
      const until = Date.now() + 700;
      while (Date.now() < until) seen.push(...(await see('other', contextId, planId)));
      expect(seen).toEqual([]);
      await expect.poll(() => see('owner', contextId, planId), { timeout: 10_000, interval: 50 }).toHaveLength(4);
    }
  }, 60_000);

  test('shows neither plan nor trace to others once the change is answered', async () => {
    for (let round = 0; round < 5; round += 1) {
      const contextId = await create('TENANT');
      const planId = await plan(contextId);
      await expect.poll(() => see('other', contextId, planId), { timeout: 10_000, interval: 50 }).toHaveLength(4);
      await ask(
        'owner',
        `mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { ${errors} } }`,
        { id: contextId },
      );
      expect(await see('other', contextId, planId)).toEqual([]);
      expect(await see('owner', contextId, planId)).toHaveLength(4);
    }
  }, 60_000);

  test('shows neither plan nor trace to who took part in it once his end is answered', async () => {
    for (const end of ['removeParticipant', 'updateParticipant', 'leaveContext'] as const) {
      const contextId = await create('PRIVATE');
      const planId = await plan(contextId);
      const { addParticipant } = await ask(
        'owner',
        `mutation ($id: ID!) { addParticipant(input: { contextId: $id, agentId: "other" }) { participant { id } ${errors} } }`,
        { id: contextId },
      );
      const { id: participant } = addParticipant.participant;
      await expect.poll(() => see('other', contextId, planId), { timeout: 10_000, interval: 50 }).toHaveLength(4);
      const [who, call] = {
        removeParticipant: ['owner', 'removeParticipant(contextId: $id, participantId: $participant)'],
        updateParticipant: [
          'owner',
          'updateParticipant(contextId: $id, participantId: $participant, patch: { status: LEFT })',
        ],
        leaveContext: ['other', 'leaveContext(contextId: $id)'],
      }[end] as ['owner' | 'other', string];
      const variables = end === 'leaveContext' ? '($id: ID!)' : '($id: ID!, $participant: ID!)';
      const { answer } = await ask(
        who,
        `mutation ${variables} { answer: ${call} { participant { status } ${errors} } }`,
        {
          id: contextId,
          ...(end === 'leaveContext' ? {} : { participant }),
        },
      );
      expect(answer).toEqual({ participant: { status: 'LEFT' }, userErrors: [] });
      expect(await see('other', contextId, planId)).toEqual([]);
      expect(await see('owner', contextId, planId)).toHaveLength(4);
    }
  }, 60_000);

  test('shows neither plan nor trace to who has asked to join it, until it is let in', async () => {
    const contextId = await create('TENANT');
    const planId = await plan(contextId);
    const change = (accessControl: object) =>
      ask(
        'owner',
        `mutation ($id: ID!, $patch: ContextPatch!) { updateContext(contextId: $id, patch: $patch) { ${errors} } }`,
        { id: contextId, patch: { accessControl } },
      );
    await change({ joinPolicy: 'APPROVAL' });
    const { joinContext } = await ask(
      'other',
      `mutation ($id: ID!) { joinContext(contextId: $id) { participant { id status } ${errors} } }`,
      { id: contextId },
    );
    expect(joinContext.participant.status).toBe('JOINING');
    await expect.poll(() => see('other', contextId, planId), { timeout: 10_000, interval: 50 }).toHaveLength(4);
    await change({ visibility: 'PRIVATE' });
    expect(await see('other', contextId, planId)).toEqual([]);
    const { decideJoinRequest } = await ask(
      'owner',
      `mutation ($id: ID!, $participant: ID!) { decideJoinRequest(contextId: $id, participantId: $participant, decision: APPROVE) { participant { status } ${errors} } }`,
      { id: contextId, participant: joinContext.participant.id },
    );
    expect(decideJoinRequest).toEqual({ participant: { status: 'ACTIVE' }, userErrors: [] });
    await expect.poll(() => see('other', contextId, planId), { timeout: 10_000, interval: 50 }).toHaveLength(4);
  }, 60_000);
});
