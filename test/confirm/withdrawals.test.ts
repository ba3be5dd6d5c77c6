import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newId } from '#shared/ids.ts';
import type { SubgraphName } from '../../subgraphs/names.ts';
import { alice, bob, type ConfirmRig, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const read = async (id: string) =>
  (
    await rig.ask(
      alice,
      'query ($id: ID!) { confirm(id: $id) { status resolution decisions { outcome approver rationale } } }',
      { id },
    )
  )['confirm']!;

const waiting = async (): Promise<readonly string[]> =>
  (await rig.ask(bob, '{ approvalsInbox(first: 100) { nodes { confirm { id } } } }'))['approvalsInbox']!['nodes']!.map(
    ({ confirm }) => String(confirm!['id']),
  );

const toPlan = (more: object = {}) => {
  const planId = rig.openTarget();
  return { planId, input: { targetType: 'PLAN', targetId: planId, contextId: rig.openTarget(), ...more } };
};

/** Tells it and waits until the confirm has ended. */
async function tellAndWait(module: SubgraphName, type: string, data: Readonly<Record<string, unknown>>, id: string) {
  await rig.tell(module, type, data);
  await vi.waitFor(
    async () => {
      await rig.service.catchUp();
      expect(String((await read(id))['status'])).not.toBe('PENDING');
    },
    { timeout: 15_000, interval: 100 },
  );
}

/** Tells something that ends another confirm after it, so that it has been read for certain. */
async function settled(): Promise<void> {
  const { planId, input } = toPlan();
  const id = await rig.open(alice, input);
  await tellAndWait('plan', 'plan.deleted', { plan: { id: planId } }, id);
}

describe('what is asked about something that is over', () => {
  let started: { close(): Promise<void> };
  beforeAll(async () => {
    started = await rig.service.start();
  });
  afterAll(() => started.close());

  test.each([
    ['plan.deleted', {}, 'the plan was deleted'],
    ['plan.status.changed', { changes: { status: ['proposed', 'cancelled'] } }, 'the plan was cancelled'],
    ['plan.status.changed', { changes: { status: ['proposed', 'draft'] } }, 'the plan was revised'],
  ])('%s cancels its confirm, with the reason and a sealed decision', async (type, more, reason) => {
    const { planId, input } = toPlan({ confirmationType: 'PLAN_APPROVAL' });
    const id = await rig.open(alice, input);
    const other = await rig.open(alice, toPlan({ confirmationType: 'PLAN_APPROVAL' }).input);
    await tellAndWait('plan', type, { plan: { id: planId, version: 3 }, ...more }, id);
    expect(await read(id)).toMatchObject({
      status: 'CANCELLED',
      resolution: reason,
      decisions: [{ outcome: 'CANCELLED', approver: 'system:confirm', rationale: reason }],
    });
    expect(await waiting()).not.toContain(id);
    expect(await waiting()).toContain(other);
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: true, length: 1 });
  });

  test('a revision ends what was asked about the plan as it was, and nothing else', async () => {
    const { planId, input } = toPlan({ confirmationType: 'PLAN_APPROVAL' });
    const old = await rig.open(alice, { ...input, reference: { kind: 'plan', planId, version: 2 } });
    const risk = await rig.open(alice, { ...input, confirmationType: 'RISK_ACCEPTANCE' });
    await tellAndWait(
      'plan',
      'plan.status.changed',
      { plan: { id: planId, version: 4 }, changes: { status: ['proposed', 'draft'] } },
      old,
    );
    expect(await read(risk)).toMatchObject({ status: 'PENDING' });
    // Proposed anew: the revision before, read late, does not concern it.
    const again = await rig.open(alice, { ...input, reference: { kind: 'plan', planId, version: 4 } });
    await rig.tell('plan', 'plan.status.changed', {
      plan: { id: planId, version: 4 },
      changes: { status: ['proposed', 'draft'] },
    });
    await rig.tell('plan', 'plan.status.changed', {
      plan: { id: planId, version: 9 },
      changes: { status: ['draft', 'draft'] },
    });
    await settled();
    expect(await read(again)).toMatchObject({ status: 'PENDING' });
  });

  test('a request that stands before the ending is opened first, and ended', async () => {
    const planId = newId();
    const approval = {
      targetType: 'plan',
      targetId: planId,
      contextId: newId(),
      planId,
      confirmationType: 'plan_approval',
      requestedBy: 'alice',
      approvers: ['bob'],
    };
    await rig.tell('plan', 'approval.requested', { approval });
    await rig.tell('plan', 'plan.deleted', { plan: { id: planId } });
    await settled();
    const rows = await rig.sql`SELECT status, resolution FROM confirm.confirm WHERE plan_id = ${planId}`;
    expect([...rows]).toEqual([{ status: 'cancelled', resolution: 'the plan was deleted' }]);
  });

  test('contexts that close, traces that are deleted, runs that end and assignments that are revoked', async () => {
    const contextId = rig.openTarget();
    const inContext = [
      await rig.open(alice, { targetId: contextId }),
      await rig.open(alice, { targetType: 'OTHER', targetId: newId(), contextId }),
    ];
    await rig.tell('context', 'context.state.changed', {
      context: { id: contextId },
      changes: { status: 'SUSPENDED' },
    });
    await settled();
    expect(await read(inContext[0]!)).toMatchObject({ status: 'PENDING' });
    await tellAndWait(
      'context',
      'context.state.changed',
      { context: { id: contextId }, changes: { status: 'CLOSED' } },
      inContext[0]!,
    );
    expect(await read(inContext[1]!)).toMatchObject({ status: 'CANCELLED', resolution: 'the context was closed' });

    const traceId = rig.openTarget();
    const ofTrace = await rig.open(alice, { targetType: 'TRACE', targetId: traceId, contextId: rig.openTarget() });
    const confirmsOf = async () =>
      (
        await rig.ask(
          principal('alice', { scopes: ['confirm:read', 'trace:read'] }),
          'query ($of: [_Any!]!) { _entities(representations: $of) { ... on Trace { confirms(status: [PENDING]) { nodes { id target { __typename ... on Trace { id } } } totalCount } } } }',
          { of: [{ __typename: 'Trace', id: traceId }] },
        )
      )['_entities'];
    expect(await confirmsOf()).toMatchObject([
      { confirms: { nodes: [{ id: ofTrace, target: { __typename: 'Trace', id: traceId } }] } },
    ]);
    await tellAndWait('trace', 'trace.deleted', { trace: { id: traceId } }, ofTrace);
    expect(await confirmsOf()).toMatchObject([{ confirms: { nodes: [] } }]);

    const extensionId = rig.openTarget();
    const toExtension = { targetType: 'EXTENSION', targetId: extensionId, contextId: rig.openTarget() };
    const ofExtension = await rig.open(alice, toExtension);
    await tellAndWait('extension', 'extension.uninstalled', { extension: { id: extensionId } }, ofExtension);
    expect(await read(ofExtension)).toMatchObject({ resolution: 'the extension was uninstalled' });

    const executionId = newId();
    const { planId, input } = toPlan({ reference: { kind: 'plan.step', executionId, stepId: newId() } });
    const ofRun = await rig.open(alice, input);
    await tellAndWait('plan', 'plan.execution.failed', { execution: { id: executionId, planId } }, ofRun);

    const assignmentId = newId();
    const ofAssignment = await rig.open(alice, {
      targetType: 'OTHER',
      targetId: assignmentId,
      contextId: rig.openTarget(),
    });
    await tellAndWait('role', 'role.revoked', { assignment: { id: assignmentId, status: 'revoked' } }, ofAssignment);
    expect(await read(ofAssignment)).toMatchObject({ resolution: 'the assignment is revoked' });
  });

  test('what was asked about a step that was blocked, once somebody has answered: all that asked about that attempt', async () => {
    const [planId, executionId, stepId] = [newId(), newId(), newId()];
    const ask = async (attempt: number, of = stepId) => {
      const { eventId } = await rig.tell('plan', 'approval.requested', {
        approval: {
          ...{ targetType: 'plan', targetId: planId, contextId: newId(), planId },
          ...{ confirmationType: 'manual_intervention', requestedBy: 'system:plan', approvers: ['bob'] },
          reference: { kind: 'plan.step', planId, executionId, stepId: of, failures: 1, attempt },
        },
      });
      return eventId;
    };
    const answered = (type: string, attempt: number, failures: number) =>
      rig.tell('plan', type, { step: { planId, executionId, stepId, attempt, failures } });
    const asked = [await ask(2), await ask(2), await ask(2, newId()), await ask(3)];
    // Forged: by its words about the step, but a client's own.
    const own = await rig.open(alice, toPlan({ reference: { kind: 'plan.step', executionId, stepId } }).input);
    await answered('step.skipped', 2, 0);
    await answered('step.unblocked', 2, 0);
    await settled();
    const rows =
      await rig.sql`SELECT request_event_id AS by, status, resolution FROM confirm.confirm WHERE plan_id = ${planId}`;
    const byRequest = new Map(rows.map(({ by, status, resolution }) => [String(by), { status, resolution }]));
    const gone = { status: 'cancelled', resolution: 'the step is tried again' };
    const open = { status: 'pending', resolution: null };
    expect(asked.map((eventId) => byRequest.get(eventId))).toEqual([gone, gone, open, open]);
    expect(await read(own)).toMatchObject({ status: 'PENDING' });
    await answered('step.skipped', 3, 1);
    await settled();
    const [last] = await rig.sql`SELECT resolution FROM confirm.confirm WHERE request_event_id = ${asked[3]!}`;
    expect(last).toEqual({ resolution: 'the step was skipped' });
  });

  test('reviews of a step end with the review, not with a part of it, and older attempts with what is asked anew', async () => {
    const [planId, executionId, stepId, contextId] = [newId(), newId(), newId(), newId()];
    const ask = (attempt: number) =>
      rig.tell('plan', 'approval.requested', {
        approval: {
          ...{ targetType: 'plan', targetId: planId, contextId, planId, confirmationType: 'step_review' },
          ...{ requestedBy: 'system:plan', author: 'agent-1', approvers: ['bob', 'agent-1'] },
          reference: { kind: 'plan.step.review', planId, executionId, stepId, attempt },
        },
      });
    const tell = (type: string, attempt: number, openReviews: number, refused: readonly string[] = []) =>
      rig.tell('plan', type, { step: { planId, executionId, stepId, attempt, openReviews, failures: 0 }, refused });
    const rows = async () => [
      ...(await rig.sql`SELECT (reference->>'attempt')::int AS attempt, status, resolution FROM confirm.confirm WHERE plan_id = ${planId} ORDER BY created_at, attempt`),
    ];
    await tell('step.review.requested', 1, 2);
    await ask(1);
    await tell('step.reviewed', 1, 1);
    // What ends a blocked step's question is another one.
    await tell('step.unblocked', 1, 1);
    await settled();
    expect(await rows()).toEqual([{ attempt: 1, status: 'pending', resolution: null }]);
    const [{ subject, state }] = (await rig.sql`
      SELECT a.subject, a.state FROM confirm.approver a JOIN confirm.confirm c ON c.id = a.confirm_id WHERE c.plan_id = ${planId}`) as unknown as [
      { subject: string; state: string },
    ];
    // Who did the work is asked by nobody.
    expect({ subject, state }).toEqual({ subject: 'bob', state: 'waiting' });
    await tell('step.reviewed', 1, 1, ['style']);
    await settled();
    expect(await rows()).toEqual([{ attempt: 1, status: 'cancelled', resolution: 'the step was reviewed' }]);
    await tell('step.review.requested', 2, 2);
    await ask(2);
    await tell('step.review.requested', 3, 2);
    await ask(3);
    await settled();
    expect((await rows()).slice(1)).toEqual([
      { attempt: 2, status: 'cancelled', resolution: 'the step is reviewed anew' },
      { attempt: 3, status: 'pending', resolution: null },
    ]);
    await rig.tell('plan', 'plan.execution.failed', { execution: { id: executionId } });
    await settled();
    expect((await rows())[2]).toEqual({ attempt: 3, status: 'cancelled', resolution: 'the run of the plan has ended' });
  });

  test('a request to join ends with who is let in, refused or takes it back; who joins at once concerns nobody', async () => {
    const [contextId, ...participants] = [newId(), newId(), newId()];
    for (const id of participants)
      await rig.tell('context', 'approval.requested', {
        approval: {
          ...{ targetType: 'other', targetId: id, contextId, confirmationType: 'join_request' },
          ...{ requestedBy: 'system:context', author: 'eve', approvers: ['bob'], delegationAllowed: false },
          reference: { kind: 'context.participant', contextId, participantId: id },
        },
      });
    const statuses = async () =>
      Object.fromEntries(
        (
          (await rig.sql`SELECT id, target_id, status, resolution FROM confirm.confirm WHERE context_id = ${contextId}`) as unknown as {
            id: string;
            target_id: string;
            status: string;
            resolution: string | null;
          }[]
        ).map((row) => [row.target_id, row]),
      );
    await rig.tell('context', 'context.participant.joined', { participant: { id: participants[0], version: 1 } });
    await settled();
    const open = await statuses();
    expect(participants.map((id) => open[id]!.status)).toEqual(['pending', 'pending']);
    // The owner is asked, and cannot hand it on.
    const passed = await rig.decide(bob, open[participants[0]!]!.id, 'DELEGATED', { delegateTo: 'carol' });
    expect(passed['userErrors']).toMatchObject([{ code: 'DELEGATION_FORBIDDEN' }]);
    await rig.tell('context', 'context.participant.joined', { participant: { id: participants[0], version: 2 } });
    await rig.tell('context', 'context.participant.refused', { participant: { id: participants[1], version: 2 } });
    await settled();
    const ended = await statuses();
    expect(participants.map((id) => [ended[id]!.status, ended[id]!.resolution])).toEqual([
      ['cancelled', 'it was let in'],
      ['cancelled', 'the request to join was refused or taken back'],
    ]);
  });

  test('of what has been decided nothing changes, and another tenant is not concerned', async () => {
    const { planId, input } = toPlan();
    const id = await rig.open(alice, input);
    await rig.decide(bob, id, 'APPROVED');
    const before = await rig.stored(id);
    await rig.tell('plan', 'plan.deleted', { plan: { id: planId } });
    await settled();
    expect(await rig.stored(id)).toBe(before);
  });
});

test('what ended while nothing ran is let go of once at the start, and not again at the next', async () => {
  const { planId, input } = toPlan();
  const id = await rig.open(alice, input);
  await rig.tell('plan', 'plan.deleted', { plan: { id: planId } });
  for (let starts = 0; starts < 2; starts += 1) {
    const started = await rig.service.start();
    await vi.waitFor(async () => expect(String((await read(id))['status'])).toBe('CANCELLED'), { timeout: 15_000 });
    await rig.sql`UPDATE plan.consumer_offset SET position = 0 WHERE consumer = 'confirm.requests'`;
    await started.close();
  }
  const told = (await rig.stream(id)).map(({ type }) => type);
  expect(told.filter((type) => type === 'confirm.cancelled')).toHaveLength(1);
  expect((await read(id))['decisions']).toHaveLength(1);
});
