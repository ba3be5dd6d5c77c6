import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
const ids: Record<string, string> = {};
const taskId = newId();

beforeAll(async () => {
  rig = await openTraceRig();
  const contextId = rig.openContext();
  const open = async (name: string, more: object, spans: readonly object[] = []) => {
    const { createTrace } = await rig.ask(
      alice,
      'mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } userErrors { message } } }',
      { input: { contextId, name, ...more } },
    );
    ids[name] = createTrace.trace.id;
    if (spans.length > 0)
      await rig.ask(
        alice,
        'mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted } }',
        { id: ids[name], spans },
      );
  };
  const span = (lengthMs: number, more = {}) => ({
    spanId: '00000000000000a1',
    name: 'work',
    service: 'shop',
    startTimeUnixNano: `${Date.now()}000000`,
    endTimeUnixNano: `${Date.now() + lengthMs}000000`,
    ...more,
  });
  const tell = (name: string, type: string, source: string, actor: string) =>
    rig.sql`INSERT INTO trace.history (tenant_id, trace_id, event_id, recorded_at, type, source, actor, occurred_at, detail)
      VALUES ('one', ${ids[name]!}, gen_random_uuid(), now(), ${type}, ${source}, ${actor}, now(), '{}')`;
  await open('plain', {}, [span(3)]);
  await open('broken', { type: 'PERFORMANCE' }, [span(30, { status: 'ERROR' })]);
  await open('grave', { type: 'AUDIT', severity: 'CRITICAL' });
  await open('task', { severity: 'DEBUG' }, [span(30, { attributes: { stepId: taskId } })]);
  await tell('plain', 'confirm.decided', 'confirm', 'bob');
  await tell('broken', 'plan.overdue', 'plan', 'system');
  await tell('grave', 'order.placed', 'shop', 'bob');
  await tell('task', 'core.started', 'core', 'system:core');
});
afterAll(() => rig[Symbol.asyncDispose]());

async function names(filter: object): Promise<readonly string[]> {
  const { traces } = await rig.ask(
    alice,
    'query($filter: TraceFilter) { traces(filter: $filter) { nodes { name } } }',
    { filter },
  );
  return traces.nodes.map(({ name }: { name: string }) => name).sort();
}

describe('traces', () => {
  it.each([
    [{ type: ['AUDIT', 'PERFORMANCE'] }, ['broken', 'grave']],
    [{ type: ['EXECUTION'] }, ['plain', 'task']],
    [{ severity: ['CRITICAL'] }, ['grave']],
    [{ severity: ['ERROR'] }, ['broken']],
    [{ severity: ['INFO', 'DEBUG'] }, ['plain', 'task']],
    [{ eventCategory: ['USER'] }, ['plain']],
    [{ eventCategory: ['AUTOMATIC'] }, ['broken']],
    [{ eventCategory: ['EXTERNAL', 'SYSTEM'] }, ['grave', 'task']],
    [{ hasDecisions: true }, ['plain']],
    [{ hasDecisions: false }, ['broken', 'grave', 'task']],
    [{ taskId }, ['task']],
    [{ taskId: newId() }, []],
    [{ hasDecisions: false, severity: ['ERROR'], type: ['PERFORMANCE'], eventCategory: ['AUTOMATIC'] }, ['broken']],
  ])('filtered by %j are %j', async (filter, expected) => {
    expect(await names(filter)).toEqual(expected);
  });

  it('refuses a task that is no id', async () => {
    await expect(names({ taskId: 'x' })).rejects.toThrow('filter.taskId');
  });

  it('say their severity, and their events a category', async () => {
    const { trace } = await rig.ask(
      alice,
      'query($id: ID!) { trace(traceId: $id) { type severity events { nodes { type category } } } }',
      { id: ids['broken'] },
    );
    expect(trace).toEqual({
      type: 'PERFORMANCE',
      severity: 'ERROR',
      events: { nodes: [{ type: 'plan.overdue', category: 'AUTOMATIC' }] },
    });
  });

  it('are counted by type, severity and duration', async () => {
    const { traceStatistics } = await rig.ask(
      alice,
      '{ traceStatistics { count byType { type count } bySeverity { severity count } durationHistogram { fromMs toMs count } } }',
    );
    expect(traceStatistics).toEqual({
      count: 4,
      byType: [
        { type: 'AUDIT', count: 1 },
        { type: 'EXECUTION', count: 2 },
        { type: 'PERFORMANCE', count: 1 },
      ],
      bySeverity: [
        { severity: 'CRITICAL', count: 1 },
        { severity: 'DEBUG', count: 1 },
        { severity: 'ERROR', count: 1 },
        { severity: 'INFO', count: 1 },
      ],
      // `grave` has no span and so no duration.
      durationHistogram: [
        { fromMs: 2, toMs: 5, count: 1 },
        { fromMs: 20, toMs: 50, count: 2 },
      ],
    });
  });
});
