import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createCircuits } from '../../subgraphs/core/execution/circuits.ts';
import type { CallResult } from '../../subgraphs/core/execution/decide.ts';
import { alice, made, openCoreRig, ref, refusal, stepOf, task } from './rig.ts';

const failed = (code: string): CallResult => ({
  ok: false,
  error: { code, message: code },
  retryable: true,
  unknown: true,
  timedOut: false,
  retryAfterMs: null,
});
const done: CallResult = { ok: true, output: null };
const key = { tenantId: 'one', module: 'context', operation: 'createContext' };

describe('closed, open, half open', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function open() {
    const changes: string[] = [];
    const circuits = createCircuits({ onChanged: ({ tenantId, state }) => changes.push(`${tenantId} ${state}`) });
    let calls = 0;
    const call = async (result: CallResult, more: Partial<typeof key> = {}, signal = new AbortController().signal) => {
      const answer = await circuits.call(
        { ...key, ...more },
        {
          run: async () => {
            calls += 1;
            return result;
          },
          signal,
        },
      );
      return answer.ok ? 'ok' : answer.error.code;
    };
    const times = async (count: number, result: CallResult, more: Partial<typeof key> = {}) => {
      for (let at = 0; at < count; at += 1) await call(result, more);
    };
    return { circuits, changes, call, times, calls: () => calls };
  }

  test('the fifth failure within a minute opens it for half a minute; the call after that decides', async () => {
    const { circuits, changes, call, times, calls } = open();
    await times(4, failed('UNAVAILABLE'));
    expect([changes, circuits.openOf('one')]).toEqual([[], []]);
    await times(1, failed('STEP_TIMEOUT'));
    expect(circuits.openOf('one')).toEqual([
      { ...key, state: 'open', retryAt: new Date(Date.now() + 30_000).toISOString() },
    ]);
    expect(await call(done)).toBe('CIRCUIT_OPEN');
    expect(calls()).toBe(5);
    vi.setSystemTime(Date.now() + 29_999);
    const refused = await circuits.call(key, { run: async () => done, signal: new AbortController().signal });
    expect(refused).toMatchObject({ ok: false, retryable: true, unknown: false, retryAfterMs: 1 });
    vi.setSystemTime(Date.now() + 1);
    // It fails again: another half minute.
    expect(await call(failed('UNAVAILABLE'))).toBe('UNAVAILABLE');
    expect(await call(done)).toBe('CIRCUIT_OPEN');
    vi.setSystemTime(Date.now() + 30_000);
    expect(await call(done)).toBe('ok');
    expect(circuits.openOf('one')).toEqual([]);
    // It begins with a clean record.
    await times(4, failed('UNAVAILABLE'));
    expect(await call(done)).toBe('ok');
    expect(changes).toEqual(['one open', 'one half_open', 'one open', 'one half_open', 'one closed']);
  });

  test('failures of more than a minute ago, and those of a busy operation that mostly works, do not open it', async () => {
    const { changes, times } = open();
    await times(4, failed('UNAVAILABLE'));
    vi.setSystemTime(Date.now() + 61_000);
    await times(4, failed('UNAVAILABLE'));
    vi.setSystemTime(Date.now() + 61_000);
    await times(20, done);
    await times(19, failed('UNAVAILABLE'));
    expect(changes).toEqual([]);
    await times(1, failed('UNAVAILABLE'));
    expect(changes).toEqual(['one open']);
  });

  test('what a module refuses by its rules is an answer, and a call that was given up none', async () => {
    const { changes, call, times } = open();
    await times(20, failed('VALIDATION_FAILED'));
    const given = new AbortController();
    given.abort();
    for (let at = 0; at < 20; at += 1) await call(failed('UNAVAILABLE'), {}, given.signal);
    expect(changes).toEqual([]);
  });

  test('neither other operations nor other tenants are kept from calling', async () => {
    const { circuits, changes, call, times } = open();
    await times(5, failed('INTERNAL_ERROR'));
    expect(await call(done, { operation: 'updateContext' })).toBe('ok');
    expect(await call(done, { tenantId: 'two' })).toBe('ok');
    expect([changes, circuits.openOf('two')]).toEqual([['one open'], []]);
    expect(circuits.openCount).toBe(1);
  });
});

test('steps fail at once while it is open, wait until it may be tried, and go on; all is told', async () => {
  const recoveryMs = 8_000;
  await using rig = await openCoreRig({ circuits: { recoveryMs } });
  const callsOf = (field: string) => rig.calls.filter((call) => call.field === field).length;
  rig.answers.set('createContext', refusal('UNAVAILABLE', { retryable: true }));
  rig.answers.set('deleteContext', made('gone'));
  const once = { retry: { maxAttempts: 1 } };
  for (let at = 0; at < 5; at += 1) await rig.until(await rig.start({ steps: [task('a', once)] }), 'FAILED');
  const refused = await rig.until(await rig.start({ steps: [task('a', once)] }), 'FAILED');
  expect(stepOf(refused, 'a')).toMatchObject({ status: 'FAILED', error: { code: 'CIRCUIT_OPEN' } });
  expect(callsOf('createContext')).toBe(5);
  const other = { stepId: 'b', module: 'context', action: 'deleteContext', input: { contextId: rig.contextId } };
  await rig.until(await rig.start({ steps: [other] }), 'COMPLETED');
  const circuits = async () =>
    (await rig.field(alice, '{ systemStatus { circuits { module operation state retryAt } } }'))['circuits']!;
  expect(await circuits()).toMatchObject([{ module: 'context', operation: 'createContext', state: 'OPEN' }]);
  const { components } = await rig.service.health.refresh();
  expect(components.find(({ name }) => name === 'workflow.calls')).toMatchObject({ status: 'degraded' });

  await rig.service.recorder.flush();
  const health = await rig.service.health.refresh();
  expect(health.metrics.find(({ name }) => name === 'steps.broken')).toMatchObject({ count: 6, value: null });
  const [broken] = await rig.sql`
    SELECT sum(count)::int AS count FROM core.metric_sample WHERE tenant_id = 'one' AND series = 'step.broken'`;
  expect(broken).toEqual({ count: 5 });

  // Decisions do not count on it.
  const put = await rig.field(
    alice,
    'mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { userErrors { code } } }',
    {
      input: {
        name: 'make',
        trigger: 'plan.created',
        actions: [{ module: 'context', action: 'createContext', input: task(ref('input.title'))['input'] }, other].map(
          ({ module, action, input }) => ({ module, action, input }),
        ),
      },
    },
  );
  expect(put['userErrors']).toEqual([]);
  const decision = await rig.field(
    alice,
    'mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { actions { action } deferred { action reason } } } }',
    { input: { eventType: 'plan.created', data: { title: 'mine' } } },
  );
  expect(decision['decision']).toMatchObject({
    actions: [{ action: 'deleteContext' }],
    deferred: [{ action: 'context.createContext', reason: expect.stringContaining('left alone until') }],
  });

  rig.answers.set('createContext', made('made'));
  const waiting = await rig.start({ steps: [task('a', { retry: { maxAttempts: 3, delayMs: 100 } })] });
  const execution = await rig.until(waiting, 'COMPLETED');
  expect(stepOf(execution, 'a')).toMatchObject({ status: 'COMPLETED', failures: 1 });
  expect(callsOf('createContext')).toBe(6);
  expect((await circuits()).length).toBe(0);
  const told = () =>
    rig.events.filter(({ type }) => type === 'system.told').map(({ data }) => data as { type: string; data: unknown });
  await expect
    .poll(() => told().map(({ type }) => type))
    .toEqual(['module.disconnected', 'module.tried', 'module.connected']);
  expect(told()[0]!.data).toEqual({ module: 'context', operation: 'createContext' });
}, 60_000);
