import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, alice, bob, type ConfirmRig, codesOf, dave, openConfirmRig } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const revise = (who: typeof bob, field: 'updateApproval' | 'resubmitApproval', confirmId: string, more: object = {}) =>
  rig.mutate(who, field, 'ApprovalRevisionInput', { confirmId, ...more });
/** A mutation of one confirm by its id. */
const apply = async (who: typeof bob, field: 'submitApproval' | 'archiveConfirm', id: string, more = '') =>
  (await rig.ask(who, `mutation ($id: ID!) { ${field}(confirmId: $id${more}) { ${rig.selection} } }`, { id }))[field]!;
const denied = async (who: typeof bob, field: string, id: string) =>
  (await rig.run(who, `mutation ($id: ID!) { ${field}(confirmId: $id) { userErrors { code } } }`, { id })).errors;
const listed = async (args: string) =>
  (await rig.ask(alice, `{ confirms(first: 100${args}) { nodes { id } } }`))['confirms']!['nodes']!.map(({ id }) =>
    String(id),
  );

describe('drafts', () => {
  test('wait for nobody, are changed, and ask once they are submitted', async () => {
    const targetId = rig.openTarget();
    const drafted = await rig.create(alice, { targetId, draft: true });
    const id = String(drafted['confirm']!['id']);
    expect(drafted).toMatchObject({
      confirm: { status: 'PENDING', phase: 'DRAFT', nextDeadlineAt: null, approvers: [], decisions: [] },
      nextApprovers: [],
    });
    expect(codesOf(await rig.decide(bob, id, 'APPROVED'))).toEqual(['NOT_AN_APPROVER']);
    const asked = {
      title: 'And now?',
      approvers: [{ subject: 'dave' }],
      subject: { amount: 5, attributes: { per: 'day' } },
    };
    expect(await revise(alice, 'updateApproval', id, asked)).toMatchObject({ confirm: { phase: 'DRAFT', version: 2 } });
    // A draft takes no gate: another may ask meanwhile, and stands in the way of it then.
    const other = await rig.open(alice, { targetId });
    expect(codesOf(await apply(alice, 'submitApproval', id))).toEqual(['DUPLICATE_REQUEST']);
    await rig.decide(bob, other, 'APPROVED');
    expect(await denied(dave, 'submitApproval', id)).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect(codesOf(await apply(alice, 'submitApproval', id, ', expectedVersion: 1'))).toEqual(['VERSION_CONFLICT']);
    const submitted = await apply(alice, 'submitApproval', id, ', idempotencyKey: "s"');
    expect(submitted).toMatchObject({
      confirm: { status: 'PENDING', phase: 'UNDER_REVIEW', steps: [{ status: 'ACTIVE' }] },
      nextApprovers: [{ subject: 'dave' }],
    });
    const after = await rig.stored(id);
    expect(codesOf(await apply(alice, 'submitApproval', id, ', idempotencyKey: "s"'))).toEqual([]);
    expect(codesOf(await apply(alice, 'submitApproval', id))).toEqual(['INVALID_STATE']);
    expect(codesOf(await revise(alice, 'updateApproval', id, { title: 'late' }))).toEqual(['INVALID_STATE']);
    expect(codesOf(await rig.create(alice, { targetId }))).toEqual(['DUPLICATE_REQUEST']);
    expect(await rig.stored(id)).toBe(after);
    expect((await rig.stream(id)).map(({ type }) => type)).toEqual([
      'confirm.drafted',
      'confirm.updated',
      'confirm.created',
      'confirm.step.started',
    ]);
    expect(await rig.decide(dave, id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    const { confirm } = await rig.ask(
      alice,
      'query ($id: ID!) { confirm(id: $id) { title subject { type id amount currency attributes } notifications { reminderHours settings } requester { subject role } } }',
      { id },
    );
    expect(confirm).toEqual({
      title: 'And now?',
      subject: { type: null, id: null, amount: 5, currency: null, attributes: { per: 'day' } },
      notifications: { reminderHours: [24, 48, 72], settings: {} },
      requester: { subject: 'alice', role: 'member' },
    });
  });

  test('of many submissions at once one asks', async () => {
    const id = String((await rig.create(alice, { draft: true }))['confirm']!['id']);
    const all = await Promise.all(Array.from({ length: 6 }, () => apply(alice, 'submitApproval', id)));
    expect(all.filter((payload) => codesOf(payload).length === 0)).toHaveLength(1);
    for (const code of all.flatMap(codesOf)) expect(['INVALID_STATE', 'VERSION_CONFLICT']).toContain(code);
  });

  test('one that nobody could decide stays a draft; a target that is gone is told', async () => {
    const targetId = rig.openTarget();
    const id = String(
      (await rig.create(alice, { targetId, draft: true, approvers: [{ role: 'none' }] }))['confirm']!['id'],
    );
    const before = await rig.stored(id);
    expect(codesOf(await apply(alice, 'submitApproval', id))).toEqual(['NO_ELIGIBLE_APPROVER']);
    rig.targets.delete(`one/${targetId}`);
    expect(codesOf(await apply(alice, 'submitApproval', id))).toEqual(['TARGET_NOT_FOUND']);
    expect(codesOf(await revise(alice, 'updateApproval', newId(), { title: 'x' }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await revise(alice, 'updateApproval', id, { quorum: { kind: 'MAJORITY' } }))).toEqual([
      'VALIDATION_FAILED',
    ]);
    expect(await rig.stored(id)).toBe(before);
    const cancelled = await rig.ask(
      alice,
      'mutation ($id: ID!) { cancelConfirm(confirmId: $id) { confirm { status } } }',
      { id },
    );
    expect(cancelled).toEqual({ cancelConfirm: { confirm: { status: 'CANCELLED' } } });
  });
});

describe('asking again', () => {
  test('makes a confirm of its own that names the one before it', async () => {
    const targetId = rig.openTarget();
    const first = await rig.open(alice, { targetId, title: 'Too dear', department: 'it' });
    expect(codesOf(await revise(alice, 'resubmitApproval', first))).toEqual(['INVALID_STATE']);
    await rig.decide(bob, first, 'REJECTED', { rationale: 'too dear' });
    const before = await rig.stored(first);
    const again = await revise(alice, 'resubmitApproval', first, { title: 'Cheaper', idempotencyKey: 'again' });
    const second = String(again['confirm']!['id']);
    expect(again).toMatchObject({ confirm: { status: 'PENDING' }, nextApprovers: [{ subject: 'bob' }] });
    const repeat = await revise(alice, 'resubmitApproval', first, { title: 'Cheaper', idempotencyKey: 'again' });
    expect(repeat['confirm']!['id']).toBe(second);
    expect(codesOf(await revise(alice, 'resubmitApproval', first))).toEqual(['DUPLICATE_REQUEST']);
    const { confirm } = await rig.ask(
      alice,
      'query ($id: ID!) { confirm(id: $id) { title attempt targetId requester { department } resubmissionOf { id status attempt } } }',
      { id: second },
    );
    expect(confirm).toEqual({
      title: 'Cheaper',
      attempt: 2,
      targetId,
      requester: { department: 'it' },
      resubmissionOf: { id: first, status: 'REJECTED', attempt: 1 },
    });
    expect(await rig.stored(first)).toBe(before);
    expect(await rig.decide(bob, second, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    expect(codesOf(await revise(alice, 'resubmitApproval', second))).toEqual(['INVALID_STATE']);
    const stranger = await rig.run(
      dave,
      'mutation ($input: ApprovalRevisionInput!) { resubmitApproval(input: $input) { userErrors { code } } }',
      { input: { confirmId: first } },
    );
    expect(stranger.errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  });

  test('of a plan it does not name the version that was refused', async () => {
    const id = await rig.open(alice, { reference: { kind: 'plan', planId: 'p', version: 3 } });
    await rig.decide(bob, id, 'REJECTED');
    const again = await revise(alice, 'resubmitApproval', id);
    const { confirm } = await rig.ask(alice, 'query ($id: ID!) { confirm(id: $id) { reference } }', {
      id: again['confirm']!['id'],
    });
    expect(confirm).toEqual({ reference: { kind: 'plan', planId: 'p' } });
  });
});

describe('archived', () => {
  test('what has ended is put away, and found by its phase alone', async () => {
    const id = await rig.open(alice);
    expect(codesOf(await apply(alice, 'archiveConfirm', id))).toEqual(['INVALID_STATE']);
    await rig.decide(bob, id, 'APPROVED');
    expect(await listed('')).toContain(id);
    expect(await denied(bob, 'archiveConfirm', id)).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect(await apply(admin, 'archiveConfirm', id)).toMatchObject({
      confirm: { status: 'APPROVED', phase: 'ARCHIVED' },
    });
    expect(codesOf(await apply(alice, 'archiveConfirm', id))).toEqual(['INVALID_STATE']);
    expect(await listed('')).not.toContain(id);
    expect(await listed(', filter: { phase: [ARCHIVED] }')).toEqual([id]);
    const { confirm } = await rig.ask(alice, 'query ($id: ID!) { confirm(id: $id) { status } }', { id });
    expect(confirm).toEqual({ status: 'APPROVED' });
  });
});
