import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { giveAttributes } from '#shared/rights.ts';
import { alice, type Json, openPlanRig, type PlanRig, principal, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterEach(async () => {
  await rig.sql`DELETE FROM plan.replica WHERE type = 'WorkflowTemplate'`;
});
afterAll(() => rig[Symbol.asyncDispose]());

let sequence = 0;
/** What the confirm module tells of a template. */
async function tell(
  template: { readonly id?: string; readonly triggers: object; readonly active?: boolean },
  type = 'workflow.template.created',
): Promise<string> {
  const id = template.id ?? newId();
  sequence += 1;
  await rig.service.confirms.heard({
    ...{ tenantId: 'one', actor: 'boss', type, streamId: id, sequence, eventId: newId(), module: 'confirm', tags: [] },
    ...{ createdAt: new Date().toISOString(), data: { template: { active: true, ...template, id } } },
  } as unknown as EventRow);
  return id;
}
const plan = (input: object = {}) =>
  rig.createPlan({ steps: [{ id: newId(), description: 's', durationMs: 3_600_000 }], ...input });
const move = (who: typeof alice, field: string, planId: string): Promise<Json> =>
  rig.field(
    who,
    `mutation ($id: ID!) { ${field}(planId: $id) { plan { status requiresApproval } userErrors { code message } } }`,
    { id: planId },
  );
const approve = async (planId: string, who = alice) => {
  const { userErrors } = await move(who, 'approvePlan', planId);
  return userErrors!.map(({ code }) => String(code))[0] ?? null;
};
const asked = (planId: string) =>
  rig.events.flatMap((event) =>
    event.streamId === planId && event.type === 'approval.requested' ? [event.data['approval']] : [],
  );

test('an author who leaves it off does not go without the approval that a bound template wants', async () => {
  const before = await plan();
  expect(await approve(before)).toBeNull();
  const id = await plan();
  const templateId = await tell({ triggers: { confirmationTypes: ['plan_approval'], contextIds: [rig.contextId] } });
  const refused = await move(alice, 'approvePlan', id);
  expect(refused).toMatchObject({ plan: null, userErrors: [{ code: 'CONFIRM_PENDING' }] });
  const [stored] = await rig.sql`SELECT status, version, requires_approval FROM plan.plan WHERE id = ${id}`;
  expect(stored).toMatchObject({ status: 'draft', version: 1, requires_approval: false });
  expect(asked(id)).toEqual([]);
  expect(await move(alice, 'proposePlan', id)).toMatchObject({
    plan: { status: 'PROPOSED', requiresApproval: true },
    userErrors: [],
  });
  expect(asked(id)).toMatchObject([{ targetId: id, confirmationType: 'plan_approval', author: 'alice' }]);
  expect(await approve(id)).toBe('CONFIRM_PENDING');
  // What was approved by the rules of its time stays so; without the template it is as before.
  await tell(
    { id: templateId, active: false, triggers: { confirmationTypes: ['plan_approval'] } },
    'workflow.template.updated',
  );
  expect(await approve(await plan())).toBeNull();
});

test('a plan that was proposed before there was a rule is approved by it and not by its author', async () => {
  const id = await plan();
  await move(alice, 'proposePlan', id);
  await tell({ triggers: { confirmationTypes: ['plan_approval'] } });
  expect(await approve(id)).toBe('CONFIRM_PENDING');
});

test.each([
  ['of another context', { confirmationTypes: ['plan_approval'], contextIds: [newId()] }],
  ['about something else', { confirmationTypes: ['risk_acceptance'] }],
  ['that says how and not whether', { contextIds: [] }],
  ['for dearer plans', { confirmationTypes: ['plan_approval'], minimumAmount: 101 }],
  ['for cheaper plans', { confirmationTypes: ['plan_approval'], maximumAmount: 99 }],
  ['for others', { confirmationTypes: ['plan_approval'], departments: ['it'] }],
])('a template %s binds nothing', async (_what, triggers) => {
  await tell({ triggers });
  expect(
    await approve(await plan({ steps: [{ id: newId(), description: 's', durationMs: 3_600_000, costPerHour: 100 }] })),
  ).toBeNull();
});

test('amounts are what the plan costs by its own figures, and the department is the one that is recorded', async () => {
  await tell({ triggers: { confirmationTypes: ['plan_approval'], minimumAmount: 100 } });
  const dear = await plan({ steps: [{ id: newId(), description: 's', durationMs: 3_600_000, costPerHour: 100 }] });
  expect(await approve(await plan())).toBeNull();
  expect(await approve(dear)).toBe('CONFIRM_PENDING');
  await move(alice, 'proposePlan', dear);
  expect(asked(dear)).toMatchObject([{ subject: { amount: 100 } }]);
  await tell({ triggers: { confirmationTypes: ['plan_approval'], departments: ['it'] } });
  const ida = principal('ida');
  giveAttributes(ida, () => () => ({ department: 'it' }));
  expect(await approve(await plan(), ida)).toBe('CONFIRM_PENDING');
  expect(await approve(await plan())).toBeNull();
});

test('rules are a tenant’s own, and an older event changes no newer one', async () => {
  const id = await tell({ triggers: { confirmationTypes: ['plan_approval'] } });
  rig.contexts.set(`two/${rig.contextId}`, 'ACTIVE');
  const { plan: foreign } = await rig.field(
    stranger,
    'mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } userErrors { code } } }',
    { input: { contextId: rig.contextId, title: 'T', objective: 'O', steps: [{ id: newId(), description: 's' }] } },
  );
  expect(await approve(String(foreign!['id']), stranger)).toBeNull();
  sequence -= 2;
  await tell({ id, active: false, triggers: {} }, 'workflow.template.updated');
  sequence += 2;
  expect(await approve(await plan())).toBe('CONFIRM_PENDING');
});

test('templates that stood before plans were held to them bind as those do that are told since', async () => {
  const [bound, idle] = [newId(), newId()];
  for (const [id, active] of [
    [bound, true],
    [idle, false],
  ] as const) {
    await rig.sql`INSERT INTO confirm.template (tenant_id, id, name, active, latest_version, created_at, created_by, updated_at, updated_by)
      VALUES ('one', ${id}, ${id}, ${active}, 2, now(), 'boss', now(), 'boss')`;
    for (const [version, type] of [
      [1, 'risk_acceptance'],
      [2, 'plan_approval'],
    ] as const)
      await rig.sql`INSERT INTO confirm.template_version (tenant_id, template_id, version, triggers, definition, created_by)
        VALUES ('one', ${id}, ${version}, jsonb_build_object('confirmationTypes', jsonb_build_array(${type}::text)), '{}', 'boss')`;
  }
  const folder = new URL('../../prisma/migrations/20261129200000_governed_lifecycle/', import.meta.url);
  const text = await readFile(new URL('migration.sql', folder), 'utf8');
  for (const _time of [1, 2]) await rig.sql.unsafe(text);
  const known =
    await rig.sql`SELECT id, status, detail, sequence::int AS sequence FROM plan.replica WHERE type = 'WorkflowTemplate'`;
  const detail = { confirmationTypes: ['plan_approval'] };
  expect([...known].sort((a, b) => String(a['status']).localeCompare(String(b['status'])))).toEqual([
    { id: bound, status: 'active', detail, sequence: 0 },
    { id: idle, status: 'inactive', detail, sequence: 0 },
  ]);
  expect(await approve(await plan())).toBe('CONFIRM_PENDING');
  // What is told of it later counts.
  await tell({ id: bound, active: false, triggers: detail }, 'workflow.template.updated');
  expect(await approve(await plan())).toBeNull();
});

test('a document decides about no plan that a template wants approved', async () => {
  await tell({ triggers: { confirmationTypes: ['plan_approval'] } });
  const id = await plan();
  await rig.sql`UPDATE plan.plan SET status = 'proposed' WHERE id = ${id}`;
  const brought = { id: newId(), targetType: 'plan', targetId: id, status: 'pending', confirmationType: null };
  sequence += 1;
  await rig.service.confirms.heard({
    ...{ tenantId: 'one', actor: 'alice', type: 'confirm.created', streamId: brought.id, sequence, eventId: newId() },
    ...{ module: 'confirm', tags: [], createdAt: new Date().toISOString(), data: { confirm: brought, imported: true } },
  } as unknown as EventRow);
  const [stored] = await rig.sql`SELECT status, confirm_id FROM plan.plan WHERE id = ${id}`;
  expect(stored).toEqual({ status: 'proposed', confirm_id: null });
});
