import { afterAll, beforeAll, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { type Platform, sharePlatform } from '../support/platform.ts';

interface Decided {
  readonly eventType: string;
  readonly depth: number;
  readonly actions: readonly { readonly ruleName: string }[];
  readonly rejected: readonly { readonly ruleName: string; readonly reason: string }[];
  readonly execution: {
    readonly status: string;
    readonly ruleDepth: number;
    readonly ruleChain: readonly string[];
  } | null;
}

let platform: Platform;
let token: string;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  token = await platform.token({ tenant: `reactions-${newId()}`, subject: 'ann', scopes: ['*'] });
});
afterAll(() => platform.close());

async function ask<Data>(document: string, variables: object = {}): Promise<Data> {
  const { data, errors } = await platform.query<Record<string, unknown>>(document, { ...variables }, { token });
  expect(errors, document).toEqual([]);
  return Object.values(data!)[0] as Data;
}

const contextId = `\${${'execution.contextId'}}`;
const plan = (title: string) => ({
  ...{ module: 'plan', action: 'createPlan' },
  input: { input: { contextId, title, objective: 'o', steps: [{ description: 'work' }] } },
});
const trace = {
  module: 'trace',
  action: 'createTrace',
  input: { input: { contextId, name: 'T', type: 'MONITORING' } },
};

async function put(name: string, trigger: string, action: object): Promise<string> {
  const { rule, userErrors } = await ask<{ rule: { id: string } | null; userErrors: object[] }>(
    'mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { rule { id } userErrors { code message } } }',
    { input: { name, trigger, automatic: true, actions: [action] } },
  );
  expect(userErrors).toEqual([]);
  return rule!.id;
}

it('events of the modules lead from rule to rule, back to what caused them, and never in a circle', async () => {
  const first = await put('plan it', 'context.created', plan('first'));
  const [again, traced] = [
    await put('again', 'plan.created', plan('again')),
    await put('trace it', 'plan.created', trace),
  ];
  const { context } = await ask<{ context: { id: string } }>(
    'mutation { createContext(input: { title: "c", root: { domain: "d", environment: "e" } }) { context { id } userErrors { code } } }',
  );
  const decisions = async () =>
    (
      await ask<{ nodes: Decided[] }>(
        'query ($id: ID!) { orchestrationDecisions(filter: { contextId: $id }, first: 20) { nodes { eventType depth actions { ruleName } rejected { ruleName reason } execution { status ruleDepth ruleChain } } } }',
        { id: context.id },
      )
    ).nodes.toReversed();
  await expect.poll(async () => (await decisions()).map(({ depth }) => depth), { timeout: 30_000 }).toEqual([0, 1, 2]);
  await expect
    .poll(async () => (await decisions()).map(({ execution }) => execution?.status ?? null), { timeout: 30_000 })
    .toEqual(['COMPLETED', 'COMPLETED', null]);
  const [one, two, three] = await decisions();
  expect(one).toMatchObject({ eventType: 'context.created', actions: [{ ruleName: 'plan it' }] });
  expect(one!.execution).toMatchObject({ ruleDepth: 1, ruleChain: [first] });
  expect(two!.eventType).toBe('plan.created');
  expect(two!.actions.map(({ ruleName }) => ruleName).sort()).toEqual(['again', 'trace it']);
  expect(two!.execution!.ruleDepth).toBe(2);
  expect([...two!.execution!.ruleChain].sort()).toEqual([first, again, traced].sort());
  // The second plan is by a rule that would follow from it.
  expect(three).toMatchObject({ eventType: 'plan.created', actions: [], execution: null });
  expect(three!.rejected.map(({ ruleName, reason }) => [ruleName, reason.split(':')[0]]).sort()).toEqual([
    ['again', 'RULE_CYCLE'],
    ['trace it', 'RULE_CYCLE'],
  ]);
  const found = await ask<{ plans: { nodes: { title: string }[] }; traces: { nodes: { name: string }[] } }>(
    'query ($id: ID!) { context(contextId: $id) { plans { nodes { title } } traces { nodes { name } } } }',
    { id: context.id },
  );
  expect(found.plans.nodes.map(({ title }) => title).sort()).toEqual(['again', 'first']);
  // Beside that of the history of events.
  expect(found.traces.nodes.filter(({ name }) => name === 'T')).toHaveLength(1);
});
