import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, bob, type ConfirmRig, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const text = `query ($id: ID!) { confirm(id: $id) {
  requestedByRole requesterRole { id } decisions { decidedByRole deciderRole { id } } } }`;

test('the roles that a confirm and its decisions name lead to the roles meant, by id or name', async () => {
  const [lead, head] = [newId(), newId()];
  const consumer = await rig.service.roles.follow();
  for (const [id, name] of [
    [lead, 'lead'],
    [head, 'head'],
  ])
    await rig.tell('role', 'role.created', { role: { id, name, status: 'ACTIVE' } });
  await consumer.catchUp();
  const confirmId = await rig.open(alice, {
    requestedByRole: head,
    approvers: [{ subject: 'bob', role: 'lead' }],
  });
  await rig.decide(bob, confirmId, 'APPROVED', { rationale: 'fine' });
  const reader = principal('reader', { scopes: ['confirm:read', 'role:read', 'context:read'] });
  const read = async (who = reader) => (await rig.ask(who, text, { id: confirmId }))['confirm']!;
  expect(await read()).toEqual({
    ...{ requestedByRole: head, requesterRole: { id: head } },
    decisions: [{ decidedByRole: 'lead', deciderRole: { id: lead } }],
  });
  await rig.tell('role', 'role.deleted', { role: { id: lead, name: 'lead', status: 'ACTIVE' } });
  await consumer.catchUp();
  await consumer.close();
  expect((await read())['decisions']).toEqual([{ decidedByRole: 'lead', deciderRole: null }]);
  // Another tenant's names mean its own roles.
  expect(await rig.service.roles.findIds(principal('x', { tenantId: 'two' }), ['head', head])).toEqual([null, null]);
});
