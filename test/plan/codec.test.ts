import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProtocolDocument } from '#shared/codec.ts';
import { eventColumns, toEventRow } from '#shared/eventSource.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { sameDocument, validateEvent, validateProtocolObject } from '../../schema/protocol/index.ts';
import { planCodec } from '../../subgraphs/plan/codec.ts';
import { alice, executePlan, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [a, b, c] = [newId(), newId(), newId()];
const documents = () => [
  {
    meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
    plan_id: newId(),
    context_id: newId(),
    title: 't',
    objective: 'o',
    status: 'in_progress',
    steps: [
      { step_id: a, description: 'first', status: 'completed', dependencies: [], order_index: 3 },
      { step_id: b, description: 'second', status: 'blocked', dependencies: [c, a], agent_role: 'writer' },
      { step_id: c, description: 'third', status: 'skipped' },
    ],
  },
  {
    meta: { protocol_version: '1.0.0', schema_version: '1.0.0', tags: ['x'] },
    plan_id: newId(),
    context_id: newId(),
    title: 't',
    objective: 'o',
    status: 'draft',
    // The same step ids as in the other plan: they are the plan's own.
    steps: [{ step_id: a, description: 'first', status: 'pending' }],
    trace: { trace_id: newId(), span_id: newId() },
    events: [],
  },
];

test('frozen plans come back as they went in', async () => {
  const given = documents();
  for (const document of given) expect(validateProtocolObject('plan', document)).toEqual([]);
  await rig.sql.begin(async (tx) => appendChange(tx, 'plan', await planCodec.write(tx, alice, given)));
  const read = await planCodec.read(
    rig.sql,
    'one',
    given.map((document) => document.plan_id),
  );
  for (const document of given) expect(sameDocument(read.get(document.plan_id)!, document)).toBe(true);
  expect(await planCodec.idsOfContext(rig.sql, 'one', given[0]!.context_id)).toEqual([given[0]!.plan_id]);
});

test('a frozen plan with a cycle is refused', async () => {
  const [document] = documents();
  const cyclic = { ...document!, steps: [{ step_id: a, description: 'x', status: 'pending', dependencies: [a] }] };
  await expect(rig.sql.begin((tx) => planCodec.write(tx, alice, [cyclic]))).rejects.toMatchObject({
    code: 'CYCLIC_DEPENDENCY',
  });
});

test('what happens is told in the frozen envelopes, without anybody’s words', async () => {
  const [first, second, third] = [newId(), newId(), newId()];
  const planId = await rig.createPlan({
    objective: 'secret words',
    steps: [
      { id: first, description: 'secret words' },
      { id: second, description: 'secret words', dependsOn: [first] },
    ],
  });
  const edit = (text: string, variables: Readonly<Record<string, unknown>> = {}) =>
    rig.ask(alice, text, { id: planId, ...variables });
  await edit(
    'mutation ($id: ID!, $step: PlanStepInput!) { addStep(planId: $id, step: $step) { userErrors { message } } }',
    { step: { id: third, description: 'secret words', dependsOn: [second] } },
  );
  await edit('mutation ($id: ID!, $step: ID!) { removeStep(planId: $id, stepId: $step) { userErrors { message } } }', {
    step: third,
  });
  await edit('mutation ($id: ID!) { updatePlan(planId: $id, patch: { title: "x" }) { userErrors { message } } }');
  await edit('mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }');
  const started = await rig.field(alice, executePlan, { input: { planId } });
  const executionId = String(started['execution']!['id']);
  for (let step = 0; step < 2; step += 1) {
    const claimed = await rig.claim(alice, executionId);
    await rig.complete(alice, claimed['lease']!, 'secret words');
  }

  const rows = (await rig.sql.unsafe(
    `SELECT ${eventColumns} FROM plan.event WHERE tenant_id = 'one' AND (stream_id = $1 OR stream_id = $2) ORDER BY stream_id = $2, sequence`,
    [planId, executionId],
  )) as unknown as Parameters<typeof toEventRow>[1][];
  const told = rows.flatMap((row) => planCodec.observe!(toEventRow('plan', row)));
  const delta = ({ node_delta: nodes = 0, edge_delta: edges = 0 }: ProtocolDocument) => [nodes, edges];
  expect(
    told.map((event) => [event['event_type'], event['update_kind'] ?? event['stage_status'], ...delta(event)]),
  ).toEqual([
    ['plan_created', 'node_add', 2, 0],
    ['dag_edge_added', 'edge_add', 0, 1],
    ['step_added', 'node_add', 1, 0],
    ['dag_edge_added', 'edge_add', 0, 1],
    ['dag_edge_removed', 'edge_delete', 0, -1],
    ['step_removed', 'node_delete', -1, 0],
    ['plan_status_changed', 'pending', 0, 0],
    ['plan_status_changed', 'running', 0, 0],
    ['step_started', 'running', 0, 0],
    ['step_completed', 'completed', 0, 0],
    ['step_started', 'running', 0, 0],
    ['step_completed', 'completed', 0, 0],
    ['plan_status_changed', 'completed', 0, 0],
  ]);
  for (const event of told) expect(validateEvent(event)).toEqual([]);
  expect(JSON.stringify(told)).not.toContain('secret');
  expect(new Set(told.map((event) => event['event_id'])).size).toBe(told.length);
});
