import { expect, test } from 'vitest';
import { decompose, type Method, maxSteps, maxTries } from '../../subgraphs/plan/decomposition/index.ts';

const method = (task: string, more: Partial<Method>): Method => ({
  id: `${task}/${more.name ?? task}`,
  task,
  name: task,
  parameters: [],
  bindings: [],
  precondition: null,
  order: 'ORDERED',
  subtasks: null,
  step: null,
  ...more,
});
const step = (task: string, more: Partial<Method> = {}) =>
  method(task, { step: { description: task, effects: [] }, ...more });
const subtasks = (task: string, count: number) => Array.from({ length: count }, () => ({ task, arguments: {} }));
const plan = (methods: readonly Method[], task: string) =>
  decompose({ methods, objectives: [{ task, arguments: {} }], order: 'ORDERED', facts: {} });

/** Ten thousand steps over four levels, ten subtasks each. */
const tens = (last: number) => [
  method('a', { subtasks: subtasks('b', 10) }),
  method('b', { subtasks: subtasks('c', 10) }),
  method('c', { subtasks: subtasks('d', 10) }),
  method('d', { subtasks: subtasks('e', last) }),
  step('e'),
];

test('ten thousand steps are planned, and one more is too many', () => {
  expect(maxSteps).toBe(10_000);
  const most = plan(tens(10), 'a');
  expect('steps' in most && [most.steps.length, most.methodIds.length]).toEqual([10_000, 11_111]);
  const more = plan([...tens(10), method('z', { subtasks: [...subtasks('a', 1), ...subtasks('e', 1)] })], 'z');
  expect('failure' in more && more.failure.kind).toBe('too_long');
}, 60_000);

test('a search gives up after fifty thousand tries, and not before', () => {
  expect(maxTries).toBe(50_000);
  // Each of `count` methods is tried once and none applies, so that the search ends by itself.
  const dead = (count: number) =>
    Array.from({ length: count }, (_, at) =>
      method('x', { name: `n${at}`, precondition: 'facts.never', subtasks: [] }),
    );
  const ended = plan(dead(1_000), 'x');
  expect('failure' in ended && ended.failure).toMatchObject({ kind: 'no_method', task: 'x' });
  // Seventeen choices of two, each of which leaves other facts: 2^17 ends, none of which leads anywhere.
  const choices = Array.from({ length: 17 }, (_, at) =>
    [0, 1].map((value) =>
      step(`c${at}`, { name: `c${at}-${value}`, step: { description: 'c', effects: [{ fact: `f${at}`, value }] } }),
    ),
  ).flat();
  const all = method('root', {
    subtasks: [...Array.from({ length: 17 }, (_, at) => ({ task: `c${at}`, arguments: {} })), ...subtasks('x', 1)],
  });
  const failed = plan([all, ...choices, ...dead(1)], 'root');
  expect('failure' in failed && failed.failure).toMatchObject({ kind: 'gave_up', task: 'x', depth: 1 });
  // With eleven choices of two the same search comes to its end: nothing is left to try.
  const fewer = method('root', {
    subtasks: [...Array.from({ length: 11 }, (_, at) => ({ task: `c${at}`, arguments: {} })), ...subtasks('x', 1)],
  });
  const exhausted = plan([fewer, ...choices, ...dead(1)], 'root');
  expect('failure' in exhausted && exhausted.failure.kind).toBe('no_method');
}, 60_000);
