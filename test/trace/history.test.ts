import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import type { Json } from './rig.ts';

let platform: Platform;
let token: string;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  token = await platform.token({ tenant: 'one', subject: 'alice', roles: ['admin'] });
});
afterAll(() => platform.close());

const errors = 'userErrors { code message path }';
async function ask(document: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Json> {
  const answer = await platform.query<Json>(document, variables, { token });
  expect(answer.errors).toEqual([]);
  return answer.data;
}

const traceFields = `nodes { id status type contextId context { id } plan { id } spanCount errorCount
  spans { name status endTimeUnixNano parentSpanId } events(first: 100) { nodes { type source data } } }`;

/** What the consumer has to read is committed: it comes within a few looks. */
async function until(read: () => Promise<Json>, holds: (value: Json) => boolean): Promise<Json> {
  for (let look = 0; ; look += 1) {
    const value = await read();
    if (holds(value) || look === 100) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a run of a plan leaves a trace of its own, and stands in the history of its context', async () => {
  const { createContext } = await ask(
    `mutation { createContext(input: { title: "A room", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
  );
  const contextId = createContext.context.id;
  const { createPlan } = await ask(
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
    { input: { contextId, title: 'p', objective: 'o', steps: [{ description: 'one step', durationMs: 1_000 }] } },
  );
  const planId = createPlan.plan.id;
  await ask(`mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id: planId });
  const { executePlan } = await ask(
    `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } ${errors} } }`,
    { input: { planId } },
  );
  const { claimStep } = await ask(
    `mutation ($id: ID!) { claimStep(executionId: $id) { lease { stepId epoch } ${errors} } }`,
    { id: executePlan.execution.id },
  );
  const { completeStep } = await ask(
    `mutation ($lease: StepLeaseInput!) { completeStep(lease: $lease) { execution { status } ${errors} } }`,
    { lease: { executionId: executePlan.execution.id, ...claimStep.lease } },
  );
  expect(completeStep.execution.status).toBe('COMPLETED');

  const { traces } = await until(
    () => ask(`query ($id: ID!) { traces(filter: { planId: $id }) { ${traceFields} } }`, { id: planId }),
    (answer) => answer.traces.nodes[0]?.status === 'COMPLETED',
  );
  expect(traces.nodes).toHaveLength(1);
  const [run] = traces.nodes;
  expect(run).toMatchObject({
    status: 'COMPLETED',
    type: 'EXECUTION',
    contextId,
    context: { id: contextId },
    plan: { id: planId },
    spanCount: 2,
    errorCount: 0,
  });
  expect(run.spans.map(({ status }: Json) => status)).toEqual(['OK', 'OK']);
  const types = run.events.nodes.map(({ type }: Json) => type);
  expect(types).toEqual(
    expect.arrayContaining(['plan.execution.started', 'step.started', 'step.completed', 'plan.execution.completed']),
  );
  expect(types.filter((type: string) => type.startsWith('task.'))).toEqual([]);

  const { plan, context } = await until(
    () =>
      ask(
        `query ($plan: ID!, $context: ID!) { plan(planId: $plan) { traces { nodes { id } } } context(contextId: $context) { traces { ${traceFields} } } }`,
        { plan: planId, context: contextId },
      ),
    (answer) =>
      answer.context.traces.nodes.length === 2 &&
      answer.context.traces.nodes.some(
        ({ plan, events }: Json) =>
          plan === null &&
          events.nodes.length >= 4 &&
          // Told by another module, which is followed by itself.
          events.nodes.some(({ type }: Json) => type === 'context.created'),
      ),
  );
  expect(plan.traces.nodes).toEqual([{ id: run.id }]);
  const standing = context.traces.nodes.find((trace: Json) => trace.plan === null);
  expect(standing).toMatchObject({ type: 'EXECUTION', contextId });
  const told = standing.events.nodes.map(({ type }: Json) => type);
  expect(told).toEqual(expect.arrayContaining(['context.created', 'plan.created', 'plan.execution.completed']));
  expect(new Set(told).size).toBeGreaterThan(3);
  expect(JSON.stringify(standing.events)).not.toContain('A room');
}, 60_000);
