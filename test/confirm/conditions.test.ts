import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import {
  admin,
  alice,
  bob,
  type ConfirmRig,
  carol,
  codesOf,
  dave,
  type Json,
  openConfirmRig,
  principal,
} from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const inHours = (hours: number) => new Date(Date.now() + hours * hour).toISOString();
const read = async (id: string) =>
  (
    await rig.ask(
      alice,
      `query ($id: ID!) { confirm(id: $id) { status phase reason resolution expiresAt nextDeadlineAt
        conditions { id decisionId stepId setBy text required dueDate responsible status settledBy settledAt note }
        decisions { id outcome approver rationale conditions { id text status } } document } }`,
      { id },
    )
  )['confirm']!;
const settle = (who: typeof bob, confirmId: string, conditionId: unknown, status: string, more: object = {}) =>
  rig.mutate(who, 'settleCondition', 'SettleConditionInput', { confirmId, conditionId, status, ...more });
const approve = (id: string, conditions: readonly object[], who = bob) =>
  rig.decide(who, id, 'CONDITIONAL_APPROVAL', { conditions });
const conditionOf = (confirm: Json, text: string) =>
  confirm['conditions']!.filter((condition) => String(condition['text']) === text).map((condition) => condition)[0]!;

/** A confirm whose only vote approves it with these conditions. */
async function conditional(conditions: readonly object[]): Promise<string> {
  const id = await rig.open(alice);
  expect(codesOf(await approve(id, conditions))).toEqual([]);
  return id;
}

describe('the inbox of who is responsible', () => {
  const inbox = async (who: typeof bob) =>
    (
      await rig.ask(
        who,
        '{ approvalsInbox { nodes { confirm { id status } stepId dueAt role condition { id text status } } waiting } }',
      )
    )['approvalsInbox']!;
  const told = async (who: typeof bob, id: string) =>
    (await rig.replay(who, 'approvalsWaiting', {}))
      .filter(({ confirmId }) => String(confirmId) === id)
      .map(({ kind, conditionId, stepId }) => [kind, conditionId, stepId]);

  test('shows a condition until it is settled, and tells of both', async () => {
    const erin = principal('erin');
    const due = inHours(3);
    const id = await conditional([{ text: 'by erin', responsible: 'erin', dueDate: due }, { text: 'by nobody' }]);
    const condition = conditionOf(await read(id), 'by erin');
    expect(await inbox(erin)).toEqual({
      nodes: [
        {
          confirm: { id, status: 'PENDING' },
          stepId: 'approval',
          dueAt: due,
          role: null,
          condition: { id: condition['id'], text: 'by erin', status: 'OPEN' },
        },
      ],
      waiting: 1,
    });
    expect(await told(erin, id)).toEqual([['WAITING', condition['id'], 'approval']]);
    const shown = await rig.ask(
      alice,
      'query ($id: ID!, $filter: ConfirmFilter) { confirm(id: $id) { approvers { subject } } confirms(filter: $filter) { totalCount } approvalWorkflow(confirmId: $id) { nextApprovers { subject } } }',
      { id, filter: { approver: 'erin' } },
    );
    // To fulfil is not to decide.
    expect(shown).toEqual({
      confirm: { approvers: [{ subject: 'bob' }] },
      confirms: { totalCount: 0 },
      approvalWorkflow: { nextApprovers: [] },
    });
    expect(codesOf(await rig.decide(erin, id, 'APPROVED'))).toEqual(['NOT_AN_APPROVER']);
    expect(codesOf(await settle(erin, id, condition['id'], 'FULFILLED'))).toEqual([]);
    expect(await inbox(erin)).toEqual({ nodes: [], waiting: 0 });
    expect((await told(erin, id)).map(([kind]) => String(kind))).toEqual(['WAITING', 'SETTLED']);
  });

  test('keeps what the outcome does not wait for until it is put away, and nothing of what lapsed', async () => {
    const frank = principal('frank');
    const done = await conditional([{ text: 'later', responsible: 'frank', required: false }]);
    expect((await read(done))['status']).toBe('APPROVED');
    const lapsed = await conditional([
      { text: 'first', responsible: 'frank' },
      { text: 'second', responsible: 'frank' },
    ]);
    expect((await inbox(frank))['waiting']).toBe(3);
    const first = conditionOf(await read(lapsed), 'first');
    await settle(bob, lapsed, first['id'], 'BREACHED', { note: 'no' });
    expect(await inbox(frank)).toMatchObject({ nodes: [{ confirm: { id: done, status: 'APPROVED' } }], waiting: 1 });
    await rig.ask(alice, `mutation ($id: ID!) { archiveConfirm(confirmId: $id) { ${rig.selection} } }`, { id: done });
    expect(await inbox(frank)).toEqual({ nodes: [], waiting: 0 });
    const metrics = await rig.ask(frank, '{ approvalMetrics { waiting decided } }');
    expect(metrics['approvalMetrics']).toEqual({ waiting: 0, decided: 0 });
  });

  test('moves what has no date of its own with the time of the whole', async () => {
    const gina = principal('gina');
    const far = inHours(20 * 24);
    const id = await conditional([
      { text: 'undated', responsible: 'gina' },
      { text: 'dated', dueDate: far },
    ]);
    expect((await read(id))['expiresAt']).toBe(far);
    expect((await inbox(gina))['nodes']).toMatchObject([{ dueAt: far }]);
  });
});

describe('conditions of an approval', () => {
  test('hold the outcome until all that are required are fulfilled, and the plan hears of it once', async () => {
    const id = await conditional([
      { text: 'cheaper', responsible: 'carol', dueDate: inHours(5) },
      { text: 'insured' },
      { text: 'pretty', required: false },
    ]);
    const open = await read(id);
    expect(open).toMatchObject({
      status: 'PENDING',
      phase: 'CONDITIONAL',
      conditions: [
        { text: 'cheaper', status: 'OPEN', setBy: 'bob', stepId: 'approval', responsible: 'carol', required: true },
        { text: 'insured', status: 'OPEN', dueDate: null },
        { text: 'pretty', status: 'OPEN', required: false },
      ],
      decisions: [{ outcome: 'CONDITIONAL_APPROVAL', conditions: [{ status: 'open' }, {}, {}] }],
    });
    const cheaper = conditionOf(open, 'cheaper');
    expect(open['nextDeadlineAt']).toBe(cheaper['dueDate']);
    expect(cheaper['decisionId']).toBe(open['decisions']!.map(({ id: decision }) => decision)[0]);
    const waiting = async (subject: string) =>
      (
        await rig.ask(
          alice,
          'query ($filter: ConfirmFilter) { confirms(filter: $filter) { nodes { id } totalCount } }',
          { filter: { openConditionOf: subject } },
        )
      )['confirms'];
    expect(await waiting('carol')).toEqual({ nodes: [{ id }], totalCount: 1 });
    expect(await waiting('bob')).toMatchObject({ totalCount: 0 });

    expect(await settle(carol, id, cheaper['id'], 'FULFILLED', { note: 'by a third' })).toMatchObject({
      confirm: { status: 'PENDING', phase: 'CONDITIONAL' },
      userErrors: [],
    });
    expect(await waiting('carol')).toMatchObject({ totalCount: 0 });
    expect(
      await settle(bob, id, conditionOf(open, 'insured')['id'], 'WAIVED', { note: 'the state pays' }),
    ).toMatchObject({ confirm: { status: 'APPROVED', phase: 'COMPLETED' } });
    const done = await read(id);
    expect(done).toMatchObject({
      conditions: [
        { status: 'FULFILLED', settledBy: 'carol', note: 'by a third' },
        { status: 'WAIVED', settledBy: 'bob' },
        { status: 'OPEN' },
      ],
      decisions: [
        { outcome: 'CONDITIONAL_APPROVAL' },
        { outcome: 'CONDITION_FULFILLED', approver: 'carol', conditions: [{ text: 'cheaper', status: 'fulfilled' }] },
        { outcome: 'CONDITION_WAIVED', approver: 'bob', rationale: 'the state pays' },
      ],
      // The frozen form knows one decision: the approval.
      document: { status: 'approved', decisions: [{ status: 'approved' }] },
    });
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: true, length: 3 });
    const told = (await rig.stream(id)).map(({ type }) => type);
    expect(told.filter((type) => type === 'confirm.resolved')).toHaveLength(1);
    expect(told).toContain('confirm.conditional');
    // What the outcome did not wait for is settled behind it, and changes it no more.
    expect(await settle(admin, id, conditionOf(open, 'pretty')['id'], 'BREACHED', { note: 'it is not' })).toMatchObject(
      {
        confirm: { status: 'APPROVED' },
      },
    );
  });

  test('one that is breached rejects the whole with its reason, the others lapse', async () => {
    const id = await conditional([{ text: 'safe' }, { text: 'sound' }]);
    const safe = conditionOf(await read(id), 'safe')['id'];
    expect(await settle(bob, id, safe, 'BREACHED', { note: 'it fell' })).toMatchObject({
      confirm: { status: 'REJECTED' },
    });
    expect(await read(id)).toMatchObject({
      reason: 'a condition was breached: safe (it fell)',
      conditions: [{ status: 'BREACHED' }, { status: 'LAPSED' }],
      document: { status: 'rejected', reason: 'a condition was breached: safe (it fell)' },
    });
    expect(codesOf(await settle(bob, id, safe, 'FULFILLED'))).toEqual(['INVALID_STATE']);
  });

  test('one that is not met in time is breached by the clock, once', async () => {
    const late = await conditional([{ text: 'soon', dueDate: inHours(2) }]);
    const undated = await conditional([{ text: 'some day' }]);
    const process = (hours: number) =>
      rig.service.escalations.process({ tenantId: 'one', nowMs: Date.now() + hours * hour, limit: 1_000 });
    expect((await process(1)).breached).not.toContain(late);
    expect((await process(2.1)).breached).toContain(late);
    expect((await process(2.2)).breached).not.toContain(late);
    expect(await read(late)).toMatchObject({
      status: 'REJECTED',
      conditions: [{ status: 'BREACHED', settledBy: 'system:confirm' }],
    });
    expect((await read(undated))['status']).toBe('PENDING');
    expect((await process(169)).breached).toContain(undated);
  });

  test('the time of the whole reaches to what is due last', async () => {
    const id = await conditional([{ text: 'in three weeks', dueDate: inHours(500) }]);
    const { expiresAt, conditions } = await read(id);
    expect(expiresAt).toBe(conditions!.map(({ dueDate }) => dueDate)[0]);
  });

  test('early conditions wait for the votes, and a breach ends them', async () => {
    const workflow = {
      type: 'SEQUENTIAL',
      steps: [
        { id: 'a', approvers: [{ subject: 'bob' }] },
        { id: 'b', approvers: [{ subject: 'carol' }] },
      ],
    };
    const met = await rig.open(alice, { workflow });
    await approve(met, [{ text: 'early' }]);
    const early = conditionOf(await read(met), 'early')['id'];
    expect(await settle(bob, met, early, 'FULFILLED')).toMatchObject({ confirm: { status: 'PENDING' } });
    expect(await rig.decide(carol, met, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });

    const broken = await rig.open(alice, { workflow });
    await approve(broken, [{ text: 'early' }]);
    const again = conditionOf(await read(broken), 'early')['id'];
    expect(await settle(bob, broken, again, 'BREACHED', { note: 'no' })).toMatchObject({
      confirm: { status: 'REJECTED', approvers: [{ state: 'DECIDED' }, { state: 'CLOSED' }] },
    });
    expect(codesOf(await rig.decide(carol, broken, 'APPROVED'))).toEqual(['STEP_NOT_ACTIVE']);
  });

  test('who may not settle it, and what makes no sense, is refused with nothing changed', async () => {
    const id = await conditional([
      { text: 'cheaper', responsible: 'carol' },
      { text: 'mine', responsible: 'alice' },
    ]);
    const [cheaper, mine] = (await read(id))['conditions']!.map((condition) => condition['id']);
    const before = await rig.stored(id);
    expect(codesOf(await settle(alice, id, mine, 'FULFILLED'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
    expect(codesOf(await settle(bob, id, cheaper, 'BREACHED'))).toEqual(['RATIONALE_REQUIRED']);
    expect(codesOf(await settle(bob, id, newId(), 'FULFILLED'))).toEqual(['NOT_FOUND']);
    expect(codesOf(await settle(bob, newId(), cheaper, 'FULFILLED'))).toEqual(['NOT_FOUND']);
    expect(codesOf(await settle(bob, id, cheaper, 'FULFILLED', { expectedVersion: 9 }))).toEqual(['VERSION_CONFLICT']);
    const denied = async (who: typeof bob, status: string) =>
      (
        await rig.run(
          who,
          'mutation ($input: SettleConditionInput!) { settleCondition(input: $input) { userErrors { code } } }',
          { input: { confirmId: id, conditionId: cheaper, status, note: 'so' } },
        )
      ).errors;
    expect(await denied(dave, 'FULFILLED')).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect(await denied(carol, 'WAIVED')).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect(await rig.stored(id)).toBe(before);

    const fresh = await rig.open(alice);
    expect(codesOf(await approve(fresh, [{ text: 'past', dueDate: inHours(-1) }]))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await approve(fresh, [{ text: 'late', dueDate: inHours(24 * 31) }]))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await rig.decide(bob, fresh, 'APPROVED', { conditions: [{ text: 'x' }] }))).toEqual([
      'VALIDATION_FAILED',
    ]);
    expect(codesOf(await approve(fresh, [{ text: 'later', required: false, dueDate: inHours(24 * 90) }]))).toEqual([]);
  });

  test('of many who settle one at once one does, and a repeat changes nothing', async () => {
    const id = await conditional([{ text: 'only' }, { text: 'other' }]);
    const only = conditionOf(await read(id), 'only')['id'];
    const all = await Promise.all(Array.from({ length: 8 }, () => settle(bob, id, only, 'FULFILLED')));
    expect(all.filter((payload) => codesOf(payload).length === 0)).toHaveLength(1);
    const other = conditionOf(await read(id), 'other')['id'];
    await settle(bob, id, other, 'FULFILLED', { idempotencyKey: 'settled' });
    const after = await rig.stored(id);
    expect(codesOf(await settle(bob, id, other, 'FULFILLED', { idempotencyKey: 'settled' }))).toEqual([]);
    expect(await rig.stored(id)).toBe(after);
  });
});
