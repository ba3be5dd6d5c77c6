import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { relax } from '../../subgraphs/core/tuning/relax.ts';
import { createReplay } from '../../subgraphs/core/tuning/replay.ts';
import { tune } from '../../subgraphs/core/tuning/tune.ts';
import type { StepDefinition } from '../../subgraphs/core/workflow/definition.ts';
import { definition } from '../../subgraphs/core/workflow/inputs.ts';
import { alice, type CoreRig, errors, executeWorkflow, openCoreRig, ref, stranger, task } from './rig.ts';

const read = (stepId: string, more: object = {}) => ({
  ...{ stepId, module: 'context', action: 'context', input: { contextId: ref('input.contextId') } },
  ...more,
});
const changes = ({ call }: StepDefinition) => call?.action === 'createContext';
const relaxed = (steps: readonly object[], ordering: 'effects' | 'data' = 'effects') => {
  const { changed } = relax(parseInput(definition, { steps }), ordering, changes);
  return Object.fromEntries(changed.map(({ stepId, to }) => [stepId, to]));
};

describe('dependencies that nothing needs', () => {
  test('reads overtake reads, and stay behind what changes something', () => {
    expect(
      relaxed([
        task('make'),
        read('a', { dependsOn: ['make'] }),
        read('b', { dependsOn: ['a'] }),
        task('last', { dependsOn: ['b'] }),
      ]),
    ).toEqual({ b: ['make'] });
  });
  test('what is read stays, and so does whatever a person or a condition decides', () => {
    const bound = [
      read('a'),
      read('b', { dependsOn: ['a'], input: { contextId: ref('a.output.id') } }),
      read('c', { dependsOn: ['b'], condition: 'input.flag == true' }),
      { stepId: 'gate', kind: 'SIGNAL', signal: 'go', dependsOn: ['c'] },
      read('d', { dependsOn: ['gate'] }),
    ];
    expect(relaxed(bound.map((step) => ({ ...step })))).toEqual({});
  });
  test('by data alone, steps that change different things run side by side; what cannot be undone does not', () => {
    const steps = [task('a'), task('b', { dependsOn: ['a'] }), task('c', { dependsOn: ['b'], irreversible: true })];
    expect(relaxed(steps, 'data')).toEqual({ b: [] });
    expect(relaxed(steps)).toEqual({});
  });
});

test('when its time is over the search answers what it has, and says so', async () => {
  const parsed = parseInput(definition, {
    steps: ['a', 'b', 'c', 'd'].map((id) => read(id)),
    maxConcurrentSteps: 1,
    output: { a: ref('a.output.id') },
  });
  const recorded = {
    durationsMs: [40, 40, 40, 40, 40],
    steps: parsed.steps.map(({ id: stepId }, at) => ({
      ...{ stepId, startedMs: Array(5).fill(10 * at), endedMs: Array(5).fill(10 * (at + 1)) },
    })),
  };
  const task = { definition: parsed, recorded, ordering: 'effects' as const, changing: [] };
  const [whole, none] = [await tune({ ...task, timeBudgetMs: 10_000 }), await tune({ ...task, timeBudgetMs: 0 })];
  expect(whole).toMatchObject({ timeBudgetExhausted: false, definition: { maxConcurrentSteps: 4 } });
  expect(none).toMatchObject({ timeBudgetExhausted: true, definition: { maxConcurrentSteps: 1 } });
  expect(none.predictedMs).toBeLessThanOrEqual(none.replayedMs);
});

test('a replay hands steps out as workers do: as many at a time as may run, the longest way first', () => {
  const { steps, maxConcurrentSteps } = parseInput(definition, {
    steps: [read('short'), read('long'), read('after', { dependsOn: ['long'] })],
    maxConcurrentSteps: 1,
  });
  const ends = new Float64Array(3);
  const run = (slots: number) =>
    createReplay({ steps, maxConcurrentSteps: slots }, 2)(Float64Array.from([10, 30, 40]), ends);
  // `long` leads on: it goes first though it was named second.
  expect(run(maxConcurrentSteps)).toBe(10 + 30 + 40 + 3 * 2);
  expect(ends[1]).toBe(32);
  expect(run(2)).toBe(30 + 40 + 2 * 2);
});

describe('a workflow is tuned by what its executions took', () => {
  let rig: CoreRig;
  beforeAll(async () => {
    rig = await openCoreRig();
    rig.answers.set('context', async () => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return { id: rig.contextId, status: 'ACTIVE' };
    });
  });
  afterAll(() => rig[Symbol.asyncDispose]());
  const optimize = `mutation ($input: OptimizeCoreWorkflowInput!) { optimizeWorkflow(input: $input) { run { runId kind status expectedGain measuredGain changes { knob target from to predictedGain } workflow { version publishedVersion criticalPath measuredMs replayedMs predictedMs definition steps { stepId runs p50Ms slackMs blame } } } ${errors} } }`;
  const run = (workflowId: string) =>
    rig.field(alice, executeWorkflow, { input: { workflowId, input: { contextId: rig.contextId }, wait: true } });
  const chain = ['a', 'b', 'c', 'd'];

  test('the predicted gain is what the changed definition then shows', async () => {
    const workflowId = await rig.createWorkflow({
      steps: chain.map((id, at) => read(id, at === 0 ? {} : { dependsOn: [chain[at - 1]] })),
      output: { all: chain.map((id) => ref(`${id}.output.id`)) },
      maxConcurrentSteps: 2,
    });
    expect(await rig.field(alice, optimize, { input: { workflowId } })).toMatchObject({
      run: null,
      userErrors: [{ code: 'INSUFFICIENT_METRICS' }],
    });
    const before = [];
    for (let n = 0; n < 6; n += 1) before.push(await run(workflowId));
    const proposed = await rig.field(alice, optimize, { input: { workflowId } });
    expect(proposed).toMatchObject({
      userErrors: [],
      run: { status: 'PROPOSED', workflow: { publishedVersion: null } },
    });
    const { run: tuned } = await rig.field(alice, optimize, { input: { workflowId, publish: true } });
    const workflow = tuned!['workflow']! as unknown as Record<string, number>;
    expect(tuned).toMatchObject({
      ...{ kind: 'WORKFLOW', status: 'KEPT', measuredGain: null },
      workflow: { version: 1, publishedVersion: 2, criticalPath: chain },
    });
    const knobs = tuned!['changes']!.map(({ knob, target, to }) => `${knob} ${target ?? ''} ${to}`);
    expect(knobs).toEqual(
      ['dependencies b ', 'dependencies c ', 'dependencies d ', 'concurrency null 4'].map((k) => k.replace('null', '')),
    );
    // The replay of the old definition is what was measured, so that the one of the new can be believed.
    expect(Math.abs(workflow['replayedMs']! - workflow['measuredMs']!)).toBeLessThan(workflow['measuredMs']! * 0.15);
    expect(Number(tuned!['expectedGain'])).toBeGreaterThan(0.5);
    const outputs = [];
    for (let n = 0; n < 6; n += 1) outputs.push((await run(workflowId))['execution']!['output']);
    expect(new Set(outputs.map((output) => JSON.stringify(output)))).toEqual(
      new Set(before.map(({ execution }) => JSON.stringify(execution!['output']))),
    );
    const later = await rig.field(
      alice,
      'query ($id: ID!) { optimizationRun(runId: $id) { expectedGain measuredGain } }',
      { id: tuned!['runId'] },
    );
    const [expected, measured] = [Number(later['expectedGain']), Number(later['measuredGain'])];
    expect(measured).toBeGreaterThan(0.4);
    expect(Math.abs(measured - expected)).toBeLessThan(0.2);
    expect(
      await rig.field(stranger, 'query ($id: ID!) { optimizationRun(runId: $id) { runId } }', { id: tuned!['runId'] }),
    ).toBeNull();
    expect(await rig.field(stranger, optimize, { input: { workflowId } })).toMatchObject({
      userErrors: [{ code: 'NOT_FOUND' }],
    });
  });

  test('bad input is refused', async () => {
    expect(await rig.field(alice, optimize, { input: { workflowId: newId() } })).toMatchObject({
      userErrors: [{ code: 'NOT_FOUND' }],
    });
    expect(await rig.field(alice, optimize, { input: { workflowId: newId(), executions: 1 } })).toMatchObject({
      userErrors: [{ code: 'VALIDATION_FAILED', path: ['input', 'executions'] }],
    });
  });
});
