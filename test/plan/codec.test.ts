import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { sameDocument, validateProtocolObject } from '../../schema/protocol/index.ts';
import { planCodec } from '../../subgraphs/plan/codec.ts';
import { alice, openPlanRig, type PlanRig } from './rig.ts';

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
