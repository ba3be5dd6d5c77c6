import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, createPlan, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: hour, ...more });

const planOf = (id: string) =>
  rig.field(
    alice,
    'query ($id: ID!) { plan(planId: $id) { document summary { durationMs criticalPath } dependencies { criticality condition } } }',
    { id },
  );

describe('a dependency that is not blocking', () => {
  test.each(['IMPORTANT', 'NICE_TO_HAVE'])(
    'holds no step when it is %s, in no schedule and in no run',
    async (criticality) => {
      const [a, b] = [newId(), newId()];
      const { planId, executionId } = await rig.startPlan({
        steps: [step(a), step(b)],
        dependencies: [{ sourceId: a, targetId: b, criticality }],
      });
      const plan = await planOf(planId);
      expect(plan['summary']).toMatchObject({ durationMs: hour });
      const document = plan['document'] as unknown as { steps: { dependencies?: string[] }[] };
      expect(document.steps.some(({ dependencies }) => dependencies !== undefined)).toBe(false);
      expect((await rig.claim(first, executionId))['lease']).toMatchObject({ stepId: a });
      expect((await rig.claim(second, executionId))['lease']).toMatchObject({ stepId: b });
    },
  );

  test('puts its target behind its source among the steps that are ready, and nothing else', async () => {
    const [long, early, part, whole] = [newId(), newId(), newId(), newId()];
    const input = {
      steps: [
        step(long, { durationMs: 9 * hour, priority: 'CRITICAL' }),
        step(whole, { type: 'COMPOSITE', durationMs: undefined }),
        step(part, { parentId: whole, durationMs: 8 * hour }),
        step(early),
      ],
      dependencies: [
        { sourceId: early, targetId: long, criticality: 'IMPORTANT' },
        { sourceId: long, targetId: whole, criticality: 'IMPORTANT' },
      ],
    };
    const { executionId } = await rig.startPlan(input);
    const order: string[] = [];
    for (let at = 0; at < 3; at += 1) order.push(String((await rig.claim(first, executionId))['lease']!['stepId']));
    expect(order).toEqual([early, long, part]);
    const plain = await rig.startPlan({ ...input, dependencies: [] });
    expect((await rig.claim(first, plain.executionId))['lease']).toMatchObject({ stepId: long });
  });

  test('may close no cycle either', async () => {
    const [a, b] = [newId(), newId()];
    const payload = await rig.field(alice, createPlan, {
      input: {
        ...{ contextId: rig.contextId, title: 'A plan', objective: 'To be done', steps: [step(a), step(b)] },
        dependencies: [
          { sourceId: a, targetId: b },
          { sourceId: b, targetId: a, criticality: 'IMPORTANT' },
        ],
      },
    });
    expect(payload['userErrors']).toMatchObject([{ code: 'CYCLIC_DEPENDENCY' }]);
  });
});

describe('a condition of a dependency', () => {
  const conditional = (condition: string, more: object = {}) => {
    const [a, b] = [newId(), newId()];
    const dependencies = [{ sourceId: a, targetId: b, lagMs: hour, condition }];
    return { a, b, input: { steps: [step(a), step(b)], dependencies, ...more } };
  };
  const progress = async (executionId: string) =>
    (
      await rig.field(
        alice,
        'query ($id: ID!) { planExecution(executionId: $id) { taskProgress { stepId status ready waivedDependencies } } }',
        { id: executionId },
      )
    )['taskProgress']!;

  test('that is false when the predecessor ends waives it: its lag does not run', async () => {
    const { a, b, input } = conditional("source.status == 'COMPLETED' and source.result.review.score < 0.8");
    const { executionId } = await rig.startPlan(input);
    await rig.complete(first, (await rig.claim(first, executionId))['lease']!, { review: { score: 0.9 } });
    expect((await progress(executionId)).find(({ stepId }) => String(stepId) === a)['waivedDependencies']).toHaveLength(
      1,
    );
    const told = rig.events.find(({ type, streamId }) => type === 'step.completed' && streamId === executionId)!;
    expect(told.data['conditions']).toMatchObject([{ holds: false }]);
    expect((await rig.claim(first, executionId))['lease']).toMatchObject({ stepId: b });
  });

  test.each([
    ['is true', 'source.result.score < 0.8', { score: 0.5 }, undefined],
    ['cannot be decided', 'source.result.score < 0.8', { score: 'much' }, 'expected two numbers or two strings'],
  ])('that %s keeps it', async (_name, condition, result, error) => {
    const { executionId } = await rig.startPlan(conditional(condition).input);
    await rig.complete(first, (await rig.claim(first, executionId))['lease']!, result);
    expect((await rig.claim(first, executionId))['lease']).toBeNull();
    const told = rig.events.find(({ type, streamId }) => type === 'step.completed' && streamId === executionId)!;
    expect(told.data['conditions']).toMatchObject([
      { holds: true, ...(error === undefined ? {} : { error: expect.stringContaining(error) }) },
    ]);
  });

  test('decides what is given up with a step', async () => {
    const { a, b, input } = conditional("source.status == 'COMPLETED'", {
      failureResolver: { strategies: ['SKIP'], skipDependents: true },
    });
    const c = newId();
    const { executionId } = await rig.startPlan({
      ...input,
      steps: [...input.steps, step(c)],
      dependencies: [...input.dependencies, { sourceId: a, targetId: c }],
    });
    await rig.fail(first, (await rig.claim(first, executionId))['lease']!, { message: 'no', retryable: false });
    const after = await progress(executionId);
    const statusOf = (id: string) => after.find(({ stepId }) => String(stepId) === id);
    expect(statusOf(c)).toMatchObject({ status: 'SKIPPED' });
    expect(statusOf(b)).toMatchObject({ status: 'PENDING', ready: true });
  });

  test('is judged anew when the predecessor is done again', async () => {
    const { a, b, input } = conditional('source.attempts > 1', { failureResolver: { strategies: ['ROLLBACK'] } });
    const { executionId } = await rig.startPlan(input);
    const claim = async () => (await rig.claim(first, executionId))['lease']!;
    await rig.complete(first, await claim());
    const held = await claim();
    expect(held['stepId']).toBe(b);
    await rig.fail(first, held, { message: 'no' });
    expect((await progress(executionId)).find(({ stepId }) => String(stepId) === a)).toMatchObject({
      ...{ status: 'PENDING', waivedDependencies: [] },
    });
    await rig.complete(first, await claim());
    expect((await rig.claim(first, executionId))['lease']).toBeNull();
  });

  test.each([
    ["source.result.constructor('return process')()", 'expected AND, OR or the end, got ('],
    ['process.exit()', 'expected AND, OR or the end, got ('],
    ['process.pid > 1', 'expected source.status'],
    ['source.result.__proto__.polluted == 1 and', 'expected a value'],
    ['source.agentId == 1', 'expected source.status'],
    ['source.status.length > 1', 'expected source.status'],
    ['source.status ==', 'expected a value'],
  ])('%s is refused at the door', async (condition, message) => {
    const payload = await rig.field(alice, createPlan, {
      input: { contextId: rig.contextId, title: 'A plan', objective: 'To be done', ...conditional(condition).input },
    });
    expect(payload['userErrors']).toMatchObject([
      { code: 'VALIDATION_FAILED', message: expect.stringContaining(message) },
    ]);
  });

  test('is for relations that wait for an end', async () => {
    const { a, b } = conditional('source.failures > 0');
    const payload = await rig.field(alice, createPlan, {
      input: {
        ...{ contextId: rig.contextId, title: 'A plan', objective: 'To be done', steps: [step(a), step(b)] },
        dependencies: [{ sourceId: a, targetId: b, type: 'START_TO_START', condition: 'source.failures > 0' }],
      },
    });
    expect(payload['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
  });
});
