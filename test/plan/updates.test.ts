import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeCursor } from '#shared/cursor.ts';
import { newId } from '#shared/ids.ts';
import { type EmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';
import {
  hostPlatform,
  type OwnPlatform,
  type Platform,
  type PlatformOptions,
  startPlatform,
} from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

const errors = 'userErrors { code }';
interface Update {
  readonly cursor: string;
  readonly sequence: number;
  readonly type: string;
  readonly execution?: Readonly<Record<string, unknown>> | null;
  readonly plan?: Readonly<Record<string, unknown>> | null;
  readonly step: Readonly<Record<string, unknown>> | null;
}

/** Processes end without warning here, so the server syncs every commit to disk. */
let server: EmbeddedPostgres;
let folder: string;
let killed: OwnPlatform;
let platform: Platform;
const options = (): PlatformOptions => ({ databaseUrl: server.url, dataDir: folder });
beforeAll(async () => {
  server = await startTemporaryPostgres();
  folder = await mkdtemp(join(tmpdir(), 'mplp-plan-'));
  killed = await startPlatform(options());
  platform = killed;
});
afterAll(async () => {
  await platform?.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function field(document: string, variables: Readonly<Record<string, unknown>> = {}, subject = 'alice') {
  const token = await platform.token({ tenant: 'one', subject });
  const answer = await platform.query<Record<string, unknown>>(document, variables, { token });
  expect(answer.errors).toEqual([]);
  return Object.values(answer.data as unknown as Json)[0] as Json;
}

async function startPlan(steps: readonly object[], options: Readonly<Record<string, unknown>> = {}) {
  const { context } = await field(
    `mutation { createContext(input: { title: "A room", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
  );
  const { plan } = await field(
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
    { input: { contextId: context!['id'], title: 'A plan', objective: 'To be done', steps } },
  );
  const planId = String(plan!['id']);
  await field(`mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id: planId });
  const { execution } = await field(
    `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } ${errors} } }`,
    { input: { planId, ...options } },
  );
  return { planId, executionId: String(execution!['id']) };
}

const claim = (executionId: string, subject: string) =>
  field(
    `mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch } execution { status } ${errors} } }`,
    { id: executionId },
    subject,
  );
const complete = (lease: Json, subject: string) =>
  field(
    `mutation ($lease: StepLeaseInput!) { completeStep(lease: $lease) { execution { status } ${errors} } }`,
    { lease },
    subject,
  );

test('updates of a run and of its plan go on after a cut where they ended', async () => {
  const { planId, executionId } = await startPlan([{ description: 'first' }, { description: 'second' }]);
  const token = await platform.token({ tenant: 'one', subject: 'alice' });
  const streams = {
    planExecutionUpdates:
      'subscription ($id: ID!, $after: String) { planExecutionUpdates(executionId: $id, after: $after) { cursor sequence type execution { executionId status endedSteps overallProgress report { alerts { kind } } } step { stepId status ready agentId progress openReviews } } }',
    taskProgressUpdates:
      'subscription ($id: ID!, $after: String) { taskProgressUpdates(planId: $id, after: $after) { cursor sequence type plan { planId title status summary { totalSteps } context { title } } step { stepId status ready agentId } } }',
  };
  const ids = { planExecutionUpdates: executionId, taskProgressUpdates: planId };
  const names = Object.keys(streams) as (keyof typeof streams)[];
  const follow = (name: keyof typeof streams, after: string | null) =>
    subscribe<Record<string, Update>>({
      url: platform.url,
      query: streams[name],
      variables: { id: ids[name], after },
      token,
    });
  const seen = Object.fromEntries(names.map((name) => [name, [] as Update[]])) as Record<string, Update[]>;
  const before = names.map((name) => follow(name, null));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await complete((await claim(executionId, 'robot'))['lease']!, 'robot');
  for (const [at, name] of names.entries()) {
    await before[at]!.until(
      (payloads) => payloads.some((entry) => entry[name]!.type.endsWith('step.completed')),
      30_000,
    );
    seen[name]!.push(...before[at]!.payloads.map((entry) => entry[name]!));
    await before[at]!.close();
  }
  // Nobody listens while the run goes on to its end.
  await complete((await claim(executionId, 'robot'))['lease']!, 'robot');
  for (const name of names) {
    const after = follow(name, seen[name]!.at(-1)!.cursor);
    const last = name === 'planExecutionUpdates' ? 'plan.execution.completed' : 'plan.status.changed';
    await after.until((payloads) => payloads.some((entry) => entry[name]!.type === last), 30_000);
    seen[name]!.push(...after.payloads.map((entry) => entry[name]!));
    expect(after.errors).toEqual([]);
    await after.close();
    const first = seen[name]![0]!.sequence;
    expect(seen[name]!.map(({ sequence }) => sequence)).toEqual(seen[name]!.map((_, at) => first + at));
    const completed = seen[name]!.filter(({ type }) => type.endsWith('step.completed'));
    expect(completed.map(({ step }) => step)).toMatchObject([
      { status: 'COMPLETED', ready: false },
      { status: 'COMPLETED', ready: false },
    ]);
  }
  expect(seen['planExecutionUpdates']!.at(-1)!.execution).toMatchObject({
    ...{ executionId, status: 'COMPLETED', endedSteps: 2, overallProgress: 1, report: { alerts: [] } },
  });
  expect(seen['taskProgressUpdates']!.at(-1)!.plan).toMatchObject({
    ...{ planId, title: 'A plan', status: 'COMPLETED', summary: { totalSteps: 2 }, context: { title: 'A room' } },
  });
});

test('kill -9 in the middle of a run: after the restart three agents complete every step exactly once', async () => {
  const ids = Array.from({ length: 24 }, () => newId());
  const steps = ids.map((id, at) => ({ id, description: id, dependsOn: at >= 3 ? [ids[at - 3]] : [] }));
  const { planId, executionId } = await startPlan(steps, { leaseMs: 1_000 });
  let completed = 0;
  let down = false;
  const finished = new Set<string>();
  /** Works until the run has ended; a process that is gone is waited for. */
  async function work(subject: string): Promise<void> {
    for (;;) {
      try {
        const { lease, execution } = await claim(executionId, subject);
        if (execution?.['status'] !== undefined && String(execution['status']) !== 'RUNNING') return;
        if (!lease) {
          const run = await field('query ($id: ID!) { planExecution(executionId: $id) { status } }', {
            id: executionId,
          });
          if (String(run['status']) !== 'RUNNING') return;
          await new Promise((resolve) => setTimeout(resolve, 50));
          continue;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
        const done = await complete(lease, subject);
        if (done['userErrors']!.length === 0) {
          expect(finished.has(String(lease['stepId']))).toBe(false);
          finished.add(String(lease['stepId']));
          completed += 1;
        }
      } catch (error) {
        // Only the process that was killed may fail to answer.
        if (!(error instanceof TypeError) && !down) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
  const agents = ['agent-1', 'agent-2', 'agent-3'].map(work);
  await expect.poll(() => completed, { timeout: 30_000, interval: 5 }).toBeGreaterThanOrEqual(8);
  down = true;
  const gone = new Promise((resolve) => killed.gateway.once('exit', resolve));
  killed.gateway.kill('SIGKILL');
  await gone;
  platform = await hostPlatform(options());
  down = false;
  await Promise.all(agents);
  const plan = await field('query ($id: ID!) { plan(planId: $id) { status steps { id status } } }', { id: planId });
  expect(String(plan['status'])).toBe('COMPLETED');
  expect(plan['steps']!.map(({ status }) => String(status))).toEqual(ids.map(() => 'COMPLETED'));
  // What the log says: each step was completed once, whoever was told of it.
  const log = subscribe<Record<string, Update & { readonly step: { readonly stepId: string } | null }>>({
    url: platform.url,
    query:
      'subscription ($id: ID!, $after: String) { planExecutionUpdates(executionId: $id, after: $after) { cursor sequence type step { stepId status } } }',
    variables: { id: executionId, after: encodeCursor(executionId, 0) },
    token: await platform.token({ tenant: 'one', subject: 'alice' }),
  });
  const typesOf = (type: string) => log.payloads.filter((entry) => entry['planExecutionUpdates']!.type === type);
  await log.until(() => typesOf('plan.execution.completed').length > 0, 30_000);
  const told = typesOf('step.completed').map((entry) => String(entry['planExecutionUpdates']!.step?.stepId));
  expect(told.sort()).toEqual([...ids].sort());
  await log.close();
});
