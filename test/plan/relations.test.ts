import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const pair = async (type: string, lagMs = 0) => {
  const [a, b] = [newId(), newId()];
  const steps = [a, b].map((id) => ({ id, description: id, durationMs: 1_000 }));
  const dependencies = [{ sourceId: a, targetId: b, type, lagMs }];
  const { executionId } = await rig.startPlan({ steps, dependencies });
  return { a, b, executionId };
};
const claim = async (executionId: string) => (await rig.claim(first, executionId))['lease'] ?? null;

test('start to start: the successor is handed out once the predecessor has started', async () => {
  const { a, b, executionId } = await pair('START_TO_START');
  expect((await claim(executionId))!['stepId']).toBe(a);
  expect((await claim(executionId))!['stepId']).toBe(b);
});

test('a lag counts from the end of the predecessor', async () => {
  const { b, executionId } = await pair('FINISH_TO_START', 300);
  await rig.complete(first, (await claim(executionId))!);
  expect(await claim(executionId)).toBeNull();
  await pause(350);
  expect((await claim(executionId))!['stepId']).toBe(b);
});

test.each(['FINISH_TO_FINISH', 'START_TO_FINISH'])(
  '%s: the successor ends after the event it waits for',
  async (type) => {
    const { a, b, executionId } = await pair(type);
    const one = (await claim(executionId))!;
    const two = (await claim(executionId))!;
    const [source, target] = String(one['stepId']) === a ? [one, two] : [two, one];
    expect(target['stepId']).toBe(b);
    const held = await rig.complete(first, target);
    // Both have started, which is all that start to finish asks.
    expect(held['step']).toMatchObject({ status: type === 'START_TO_FINISH' ? 'COMPLETED' : 'FINISHING' });
    const done = await rig.complete(first, source);
    expect(done['execution']).toMatchObject({ status: 'COMPLETED', endedSteps: 2, runningSteps: 0 });
  },
);

test('a lag before an end is kept by the sweep', async () => {
  const { a, executionId } = await pair('FINISH_TO_FINISH', 300);
  const one = (await claim(executionId))!;
  const two = (await rig.claim(second, executionId))['lease']!;
  const [source, target] = String(one['stepId']) === a ? [one, two] : [two, one];
  await rig.complete(source === one ? first : second, source);
  const held = await rig.complete(target === one ? first : second, target);
  expect(held['step']).toMatchObject({ status: 'FINISHING' });
  await pause(350);
  await rig.service.runs.sweep();
  const run = await rig.field(first, 'query ($id: ID!) { planExecution(executionId: $id) { status } }', {
    id: executionId,
  });
  expect(run['status']).toBe('COMPLETED');
});
