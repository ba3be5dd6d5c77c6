import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, bob, type ConfirmRig, carol, codesOf, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig({ QUOTA_OPEN_CONFIRMS: '4', QUOTA_OPEN_CONFIRMS_PER_REQUESTER: '2' });
});
afterAll(() => rig[Symbol.asyncDispose]());

const createConsensus = `mutation ($input: CreateConsensusProcessInput!) {
  createConsensusProcess(input: $input) { consensus { id } userErrors { code } } }`;
const approvers = { approvers: [{ subject: 'dora' }] };
const dora = principal('dora');

test('a tenant, and who asks in it, have so many confirms open and no more', async () => {
  const first = await rig.open(alice, approvers);
  const second = await rig.open(alice, approvers);
  expect(codesOf(await rig.create(alice, approvers))).toEqual(['QUOTA_EXCEEDED']);
  // A draft asks nobody yet.
  const draft = await rig.open(alice, { ...approvers, draft: true });
  const submit = async () =>
    (
      await rig.ask(alice, 'mutation ($id: ID!) { submitApproval(confirmId: $id) { userErrors { code } } }', {
        id: draft,
      })
    )['submitApproval']!;
  expect(codesOf(await submit())).toEqual(['QUOTA_EXCEEDED']);
  const question = {
    ...{
      targetType: 'CONTEXT',
      targetId: rig.openTarget(),
      title: 'Which?',
      options: [{ label: 'a' }, { label: 'b' }],
    },
    ...{ participants: [{ subject: 'bob' }], rules: { algorithm: 'SIMPLE_MAJORITY' } },
  };
  expect(codesOf((await rig.ask(alice, createConsensus, { input: question }))['createConsensusProcess']!)).toEqual([
    'QUOTA_EXCEEDED',
  ]);

  // One that has ended makes room at once.
  await rig.decide(dora, second, 'REJECTED');
  expect(codesOf(await submit())).toEqual([]);
  const resubmit = () => rig.mutate(alice, 'resubmitApproval', 'ApprovalRevisionInput', { confirmId: second });
  expect(codesOf(await resubmit())).toEqual(['QUOTA_EXCEEDED']);
  await rig.decide(dora, first, 'APPROVED', { rationale: 'fine' });
  expect(codesOf(await resubmit())).toEqual([]);

  // Others have room of their own, until the tenant has none.
  await rig.open(bob, approvers);
  await rig.open(carol, approvers);
  expect(codesOf(await rig.create(bob, approvers))).toEqual(['QUOTA_EXCEEDED']);
  const elsewhere = principal('alice', { tenantId: 'two' });
  expect(codesOf(await rig.create(elsewhere, approvers))).toEqual([]);
});

test('of many that are asked for at once as many are taken as there is room for', async () => {
  const eve = principal('eve', { tenantId: 'three' });
  const payloads = await Promise.all(Array.from({ length: 6 }, () => rig.create(eve, approvers)));
  expect(payloads.filter((payload) => codesOf(payload).length === 0)).toHaveLength(2);
});

test('the same call again is answered, room or no room', async () => {
  const gil = principal('gil', { tenantId: 'four' });
  const call = { ...approvers, targetId: rig.openTarget('four'), idempotencyKey: 'once' };
  const confirmId = await rig.open(gil, call);
  await rig.open(gil, approvers);
  expect((await rig.create(gil, call))['confirm']!['id']).toBe(confirmId);
});
