import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const step = () => ({ id: newId(), description: 'step', durationMs: 3_600_000 });
const propose = 'mutation ($id: ID!) { proposePlan(planId: $id) { plan { status } userErrors { code } } }';
const read = (id: string) =>
  rig.field(alice, 'query ($id: ID!) { plan(planId: $id) { status confirmId version } }', { id });

/** What the confirm module tells of a Confirm about a plan. */
function tell(type: string, confirm: { readonly id: string; readonly status: string }, more: object = {}) {
  return rig.service.confirms.heard({
    ...{ tenantId: 'one', actor: 'boss', type, streamId: confirm.id, sequence: 1, eventId: newId(), tags: [] },
    ...{ module: 'confirm', createdAt: new Date().toISOString(), data: { confirm, ...more } },
  } as EventRow);
}

test('a plan that needs approval follows its Confirm and nobody else', async () => {
  const planId = await rig.createPlan({ steps: [step()], requiresApproval: true });
  expect((await rig.field(alice, propose, { id: planId }))['plan']).toEqual({ status: 'PROPOSED' });
  expect(rig.events.some(({ type, streamId }) => type === 'approval.requested' && streamId === planId)).toBe(true);
  const approve = 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }';
  expect((await rig.field(alice, approve, { id: planId }))['userErrors']).toEqual([{ code: 'CONFIRM_PENDING' }]);
  const confirm = { id: newId(), targetType: 'plan', targetId: planId };
  await tell('confirm.created', { ...confirm, status: 'pending' });
  await tell('confirm.resolved', { ...confirm, status: 'approved' });
  await tell('confirm.resolved', { ...confirm, status: 'approved' });
  expect(await read(planId)).toEqual({ status: 'APPROVED', confirmId: null, version: 4 });
});

test.each([
  ['of another type', { confirmationType: 'risk_acceptance' }, {}],
  ['that came as a document', { confirmationType: null }, { imported: true }],
  ['that was decided before', { confirmationType: null, status: 'approved' }, { imported: true }],
])('a Confirm %s moves no draft', async (_what, more, told) => {
  const planId = await rig.createPlan({ steps: [step()] });
  const confirm = { id: newId(), targetType: 'plan', targetId: planId, status: 'pending', ...more };
  await tell('confirm.created', confirm, told);
  await tell('confirm.resolved', { ...confirm, status: 'approved' }, told);
  expect(await read(planId)).toEqual({ status: 'DRAFT', confirmId: null, version: 1 });
});

test('a proposed plan waits for a document of a Confirm that is open', async () => {
  const planId = await rig.createPlan({ steps: [step()] });
  await rig.ask(alice, propose, { id: planId });
  const confirm = { id: newId(), targetType: 'plan', targetId: planId, confirmationType: null };
  await tell('confirm.created', { ...confirm, status: 'pending' }, { imported: true });
  expect(await read(planId)).toMatchObject({ status: 'PROPOSED', confirmId: confirm.id });
  await tell('confirm.resolved', { ...confirm, status: 'approved' });
  expect(await read(planId)).toMatchObject({ status: 'APPROVED', confirmId: null });
});

test('a document takes no part in the approval of a plan for which people are asked', async () => {
  const planId = await rig.createPlan({ steps: [step()], requiresApproval: true });
  await rig.ask(alice, propose, { id: planId });
  const about = { targetType: 'plan', targetId: planId, confirmationType: null };
  const [document, asked] = [
    { ...about, id: newId() },
    { ...about, id: newId() },
  ];
  // Brought in before the one that was asked for is open.
  await tell('confirm.created', { ...document, status: 'pending' }, { imported: true });
  await tell('confirm.created', { ...asked, status: 'pending' });
  await tell('confirm.resolved', { ...document, status: 'approved' });
  expect(await read(planId)).toMatchObject({ status: 'PROPOSED', confirmId: asked.id });
  await tell('confirm.resolved', { ...asked, status: 'approved' });
  expect(await read(planId)).toMatchObject({ status: 'APPROVED', confirmId: null });
});

test('what confirms tell of many plans is taken over together, each in its order and in the name of its own', async () => {
  const planIds = await Promise.all(
    Array.from({ length: 4 }, () => rig.createPlan({ steps: [step()], requiresApproval: true })),
  );
  const confirms = planIds.map((targetId) => ({ id: newId(), targetType: 'plan', targetId }));
  const event = (type: string, confirm: (typeof confirms)[0], status: string, actor: string) =>
    ({
      ...{ tenantId: 'one', actor, type, streamId: confirm.id, sequence: 1, eventId: newId(), tags: [] },
      ...{ module: 'confirm', createdAt: new Date().toISOString(), data: { confirm: { ...confirm, status } } },
    }) as unknown as EventRow;
  const [a, b, c, d] = confirms as [
    (typeof confirms)[0],
    (typeof confirms)[0],
    (typeof confirms)[0],
    (typeof confirms)[0],
  ];
  const page = [
    event('confirm.created', b, 'pending', 'bea'),
    event('confirm.created', a, 'pending', 'ann'),
    event('confirm.resolved', a, 'approved', 'rex'),
    event('confirm.created', c, 'pending', 'cid'),
    // Nobody's plan, and one that another confirm decides.
    event('confirm.created', { ...d, targetId: newId() }, 'pending', 'dan'),
    event('confirm.resolved', { ...d, targetId: c.targetId }, 'approved', 'dan'),
    event('confirm.resolved', b, 'rejected', 'ria'),
  ];
  await rig.service.confirms.heard(...page);
  const standing = async () => Promise.all(planIds.map(read));
  const after = [
    { status: 'APPROVED', confirmId: null, version: 3 },
    { status: 'DRAFT', confirmId: null, version: 3 },
    { status: 'PROPOSED', confirmId: c.id, version: 2 },
    { status: 'DRAFT', confirmId: null, version: 1 },
  ];
  expect(await standing()).toEqual(after);
  const told = rig.events.filter(({ type, streamId }) => type === 'plan.status.changed' && planIds.includes(streamId));
  expect(told.map(({ streamId, actor }) => [planIds.indexOf(streamId), actor])).toEqual([
    [1, 'bea'],
    [0, 'ann'],
    [0, 'rex'],
    [2, 'cid'],
    [1, 'ria'],
  ]);
  // Read again it changes nothing that has gone on.
  await rig.service.confirms.heard(...page.slice(2, 3));
  expect(await standing()).toEqual(after);
});
