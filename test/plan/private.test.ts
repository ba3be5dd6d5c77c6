import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

const errors = 'userErrors { code }';
const people = ['owner', 'guest', 'other'] as const;
type Person = (typeof people)[number];

describe.each(modes)('plans of private contexts, %s', (mode) => {
  let platform: Platform;
  const tokens = {} as Record<Person, string>;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const subject of people) tokens[subject] = await platform.token({ tenant: 'shared', subject });
  });
  afterAll(() => platform.close());

  async function field(who: Person, document: string, variables: Readonly<Record<string, unknown>> = {}) {
    const answer = await platform.query<Record<string, unknown>>(document, variables, { token: tokens[who] });
    expect(answer.errors).toEqual([]);
    return Object.values(answer.data as unknown as Json)[0] as Json;
  }
  const codes = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));
  const createPlan = (who: Person, contextId: string) =>
    field(who, `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`, {
      input: {
        contextId,
        title: 'A plan',
        objective: 'To be done',
        steps: [{ description: 'first' }, { description: 'second' }],
      },
    });
  const see = async (who: Person, planId: string) => {
    const answer = await platform.query<Json>(
      'query ($id: ID!) { plan(planId: $id) { title context { id } } plans { nodes { id } } }',
      { id: planId },
      { token: tokens[who] },
    );
    expect(answer.errors).toEqual([]);
    return [answer.data!['plan'] === null ? null : 'plan', answer.data!['plans']!['nodes']!.length];
  };
  const sees = (who: Person, planId: string, expected: readonly unknown[]) =>
    expect.poll(() => see(who, planId), { timeout: 10_000, interval: 50 }).toEqual(expected);

  test('are hidden from all but owner and participants: reads, lists, changes, runs and streams', async () => {
    const created = await field(
      'owner',
      'mutation { createContext(input: { title: "open", root: { domain: "d", environment: "e" } }) { context { id } userErrors { code } } }',
    );
    const contextId = String(created['context']!['id']);
    const planId = String((await createPlan('owner', contextId))['plan']!['id']);
    await field('owner', `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id: planId });
    const { execution } = await field(
      'owner',
      `mutation ($id: ID!) { executePlan(input: { planId: $id }) { execution { id } ${errors} } }`,
      { id: planId },
    );
    const executionId = String(execution!['id']);
    for (let round = 0; round < 3; round += 1) expect(await see('other', planId)).toEqual(['plan', 1]);
    const updates = 'subscription ($id: ID!) { planExecutionUpdates(executionId: $id) { type } }';
    const follow = (who: Person) =>
      subscribe<{ planExecutionUpdates: { type: string } }>({
        url: platform.url,
        query: updates,
        variables: { id: executionId },
        token: tokens[who],
      });
    const [outside, inside] = [follow('other'), follow('owner')];
    await new Promise((resolve) => setTimeout(resolve, 500));

    const hidden = await field(
      'owner',
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { userErrors { code } } }',
      { id: contextId },
    );
    expect(codes(hidden)).toEqual([]);
    await sees('other', planId, [null, 0]);
    for (let round = 0; round < 3; round += 1) {
      expect(await see('owner', planId)).toEqual(['plan', 1]);
      expect(await see('other', planId)).toEqual([null, 0]);
    }
    const run = 'query ($id: ID!) { planExecution(executionId: $id) { status } }';
    expect(await field('other', run, { id: executionId })).toBeNull();
    expect(await field('owner', run, { id: executionId })).toMatchObject({ status: 'RUNNING' });
    const claim = `mutation ($id: ID!) { claimStep(executionId: $id) { lease { stepId epoch executionId } ${errors} } }`;
    expect(codes(await field('other', claim, { id: executionId }))).toEqual(['NOT_FOUND']);
    for (const document of [
      `mutation ($id: ID!) { cancelPlan(planId: $id) { ${errors} } }`,
      `mutation ($id: ID!) { deletePlan(planId: $id) { ${errors} } }`,
      `mutation ($id: ID!) { optimizePlan(input: { planId: $id }) { ${errors} } }`,
      `mutation ($id: ID!) { adaptPlan(input: { planId: $id, trigger: DEADLINE_MOVED, deadlineMs: 1000 }) { ${errors} } }`,
    ])
      expect(codes(await field('other', document, { id: planId }))).toEqual(['NOT_FOUND']);
    expect(codes(await createPlan('other', contextId))).toEqual(['NOT_FOUND']);
    const analysis = await platform.query(
      'query ($id: ID!) { validatePlan(planId: $id) { valid } }',
      { id: planId },
      {
        token: tokens.other,
      },
    );
    expect(analysis.errors.map(({ extensions }) => extensions.code)).toEqual(['NOT_FOUND']);
    const refused = follow('other');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(JSON.stringify(refused.errors)).toContain('NOT_FOUND');

    // What happens from here on reaches those inside alone.
    const { lease } = await field('owner', claim, { id: executionId });
    expect(lease).not.toBeNull();
    await inside.until((payloads) => payloads.some((entry) => entry.planExecutionUpdates.type === 'step.started'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(outside.payloads.filter((entry) => entry.planExecutionUpdates.type === 'step.started')).toEqual([]);
    expect(inside.errors).toEqual([]);

    const added = await field(
      'owner',
      `mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { ${errors} } }`,
      { input: { contextId, agentId: 'guest' } },
    );
    expect(codes(added)).toEqual([]);
    await sees('guest', planId, ['plan', 1]);
    expect(codes(await createPlan('guest', contextId))).toEqual([]);
    expect(await see('other', planId)).toEqual([null, 0]);
    await Promise.all([outside.close(), inside.close(), refused.close()]);
  });
});
