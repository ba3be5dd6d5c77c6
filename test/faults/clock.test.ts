import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type OwnPlatform, startPlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

type Json = Record<string, unknown>;
const hourMs = 3_600_000;
let folder: string;
let platform: OwnPlatform;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mplp-clock-'));
  await writeFile(join(folder, 'shift'), '0');
  platform = await startPlatform({
    env: {
      NODE_OPTIONS: `--import=${new URL('fixtures/shiftedClock.mjs', import.meta.url).href}`,
      SHIFTED_CLOCK_FILE: join(folder, 'shift'),
    },
  });
}, 120_000);
afterAll(async () => {
  await platform?.close();
  await rm(folder, { recursive: true, force: true });
});

const jump = async (ms: number) => {
  await writeFile(join(folder, 'shift'), String(ms));
  platform.gateway.kill('SIGUSR2');
  await new Promise((resolve) => setTimeout(resolve, 300));
};
const ask = async (document: string, variables: Json = {}): Promise<Json> => {
  const { data, errors } = await platform.query(document, variables);
  expect(errors, document).toEqual([]);
  const payload = Object.values(data!)[0] as Json;
  expect(payload['userErrors'], document).toEqual([]);
  return payload;
};
const create = (title: string, key: string) =>
  ask(
    `mutation ($title: String!, $key: String!) { createContext(input: { title: $title, root: { domain: "d", environment: "e" }, idempotencyKey: $key }) {
       context { id } userErrors { code } } }`,
    { title, key },
  );
const rename = (id: string, title: string) =>
  ask(
    'mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { context { title } userErrors { code } } }',
    { id, title },
  );

it('a clock that jumps an hour forth and back loses no event, and says no call twice', async () => {
  const made = (await create('jumped', 'key'))['context'] as { id: string };
  const followed = subscribe<{ contextUpdates: { sequence: number; changes: { title?: string } } }>({
    url: platform.url,
    query: 'subscription ($id: ID!) { contextUpdates(contextId: $id) { sequence changes } }',
    variables: { id: made.id },
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const steps: string[] = [];
  for (const [round, shift] of [0, hourMs, -hourMs, 0].entries()) {
    await jump(shift);
    for (let n = 0; n < 5; n += 1) {
      await rename(made.id, `r${round}.${n}`);
      steps.push(`r${round}.${n}`);
    }
    // The key says the same call, whatever the clock says.
    expect(((await create('jumped', 'key'))['context'] as { id: string }).id).toBe(made.id);
    await create(`new${round}`, `new${round}`);
    const { context } = (
      await platform.query('query ($id: ID!) { context(contextId: $id) { title } }', { id: made.id })
    ).data as {
      context: { title: string };
    };
    expect(context.title).toBe(`r${round}.4`);
  }
  await followed.until((payloads) => payloads.length >= steps.length, 30_000);
  expect(followed.payloads.map(({ contextUpdates }) => contextUpdates.changes.title).filter(Boolean)).toEqual(steps);
  const sequences = followed.payloads.map(({ contextUpdates }) => contextUpdates.sequence);
  expect(sequences).toEqual(sequences.map((_, at) => sequences[0]! + at));
  expect(followed.errors).toEqual([]);
  await followed.close();
}, 120_000);

it('a lease ends by the database’s time alone', async () => {
  await jump(0);
  const contextId = ((await create('leased', 'leased'))['context'] as { id: string }).id;
  const made = await ask(
    'mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } userErrors { code message } } }',
    {
      input: {
        contextId,
        title: 'leased',
        objective: 'one step',
        steps: [{ id: crypto.randomUUID(), description: 'the step' }],
      },
    },
  );
  const planId = (made['plan'] as { id: string }).id;
  await ask('mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code message } } }', { id: planId });
  const run = await ask(
    'mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } userErrors { code message } } }',
    { input: { planId, leaseMs: 600_000 } },
  );
  const { id } = run['execution'] as { id: string };
  const claim = () =>
    ask(
      'mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch } userErrors { code message } } }',
      { id },
    );
  const { lease } = await claim();
  expect(lease).not.toBeNull();
  for (const shift of [hourMs, -hourMs, hourMs]) {
    await jump(shift);
    // Ten minutes are not over, so nobody else gets the step.
    expect((await claim())['lease']).toBeNull();
  }
  const completed = await ask(
    'mutation ($lease: StepLeaseInput!) { completeStep(lease: $lease, result: { done: true }) { step { status } userErrors { code message } } }',
    { lease },
  );
  expect(completed['step']).toEqual({ status: 'COMPLETED' });
}, 60_000);
