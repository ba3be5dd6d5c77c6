import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, alice, bob, type ConfirmRig, carol, dave, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const inbox = async (who: typeof bob, args = '') =>
  (
    await rig.ask(
      who,
      `{ approvalsInbox${args} { nodes { confirm { id title targetType } stepId role dueAt isOverdue } pageInfo { hasNextPage endCursor } waiting } }`,
    )
  )['approvalsInbox']!;

/** An event is read once every transaction that began before it has ended, those of other databases included. */
const consumed = (who: typeof bob, title: string) =>
  vi.waitFor(
    async () => {
      await rig.service.catchUp();
      expect((await inbox(who))['nodes']!.map(({ confirm }) => String(confirm!['title']))).toContain(title);
    },
    { timeout: 15_000, interval: 100 },
  );

const request = (more: object = {}) => ({
  approval: {
    targetType: 'other',
    targetId: newId(),
    contextId: newId(),
    confirmationType: 'role_assignment',
    title: 'Make her a lead',
    reason: 'she asked',
    requestedBy: 'alice',
    requestedByRole: 'member',
    approverRoles: [],
    approvers: ['bob'],
    reference: { assignmentId: 'a-1' },
    ...more,
  },
});

describe('the inbox', () => {
  test('holds whatever waits for a person, the most urgent first, and lets go of it once', async () => {
    const erin = principal('erin');
    const approvers = [{ subject: 'erin' }, { subject: 'dave' }];
    const soon = await rig.open(alice, { approvers, timeout: { duration: 1, unit: 'HOURS', action: 'ESCALATE' } });
    const late = await rig.open(alice, { approvers });
    const later = await rig.open(alice, { approvers, quorum: { kind: 'MAJORITY' } });
    const all = await inbox(erin);
    expect(all['nodes']!.map(({ confirm }) => confirm!['id'])).toEqual([soon, late, later]);
    expect(all).toMatchObject({ waiting: 3 });
    const first = await inbox(erin, '(first: 2)');
    const rest = await inbox(erin, `(first: 2, after: "${String(first['pageInfo']!['endCursor'])}")`);
    expect(first['nodes']!.length).toBe(2);
    expect(rest['nodes']!.map(({ confirm }) => confirm!['id'])).toEqual([later]);
    expect((await inbox(erin, '(filter: { overdue: true })'))['nodes']).toEqual([]);

    // Decided by another where one is enough; by oneself where more are needed.
    await rig.decide(dave, soon, 'APPROVED');
    await rig.decide(erin, later, 'APPROVED');
    expect((await inbox(erin))['nodes']!.map(({ confirm }) => confirm!['id'])).toEqual([late]);
    expect(await inbox(principal('erin', { tenantId: 'two' }))).toMatchObject({ nodes: [], waiting: 0 });
  });

  test('an order of sequential approvers waits for one after the other', async () => {
    const [x, y] = [principal('x'), principal('y')];
    const id = await rig.open(alice, {
      approvers: [{ subject: 'x' }, { subject: 'y' }],
      quorum: { kind: 'SEQUENTIAL' },
    });
    expect((await inbox(y))['nodes']).toEqual([]);
    await rig.decide(x, id, 'APPROVED');
    expect((await inbox(y))['nodes']!.length).toBe(1);
    expect(await rig.decide(y, id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  });

  test('what begins and ceases to wait is told to whom it concerns', async () => {
    const zoe = principal('zoe');
    const id = await rig.open(alice, { approvers: [{ subject: 'zoe' }], title: 'Look' });
    await rig.decide(zoe, id, 'APPROVED');
    expect(await rig.replay(zoe, 'approvalsWaiting', {})).toMatchObject([
      { kind: 'WAITING', confirmId: id, title: 'Look', state: 'WAITING' },
      { kind: 'SETTLED', confirmId: id, state: 'DECIDED' },
    ]);
    expect(await rig.replay(carol, 'approvalsWaiting', {})).toEqual([]);
    const updates = await rig.replay(zoe, 'approvalUpdates', { confirmId: id });
    expect(updates.map(({ type }) => type)).toEqual([
      'confirm.created',
      'confirm.step.started',
      'confirm.decided',
      'confirm.step.completed',
      'confirm.resolved',
    ]);
    await expect(
      rig.replay(principal('zoe', { tenantId: 'two' }), 'approvalUpdates', { confirmId: id }),
    ).rejects.toThrow('no such confirm');
  });
});

describe('approvals that other modules ask for', () => {
  test('each event opens one confirm, and the outcome goes back with the reference', async () => {
    const started = await rig.service.start();
    const event = await rig.tell('dialog', 'approval.requested', request());
    await rig.tell('context', 'approval.requested', request({ title: 'From the context', approvers: ['carol'] }));
    await consumed(bob, 'Make her a lead');
    await consumed(carol, 'From the context');
    const [item] = (await inbox(bob))['nodes']!.filter(
      ({ confirm }) => String(confirm!['title']) === 'Make her a lead',
    );
    const id = String(item!['confirm']!['id']);
    expect((await inbox(carol))['nodes']!.map(({ confirm }) => confirm!['title'])).toEqual(['From the context']);

    // Told again, by a consumer that lost its place.
    await rig.service.requests.open(event);
    await Promise.all([rig.service.requests.open(event), rig.service.requests.open(event)]);
    const [count] =
      await rig.sql`SELECT count(*)::int AS n FROM confirm.confirm WHERE request_event_id = ${event.eventId}`;
    expect(count).toEqual({ n: 1 });

    expect(await rig.decide(alice, id, 'APPROVED')).toMatchObject({
      userErrors: [{ code: 'SELF_APPROVAL_FORBIDDEN' }],
    });
    await rig.decide(bob, id, 'APPROVED');
    expect((await rig.stream(id)).at(-1)).toMatchObject({
      type: 'confirm.resolved',
      data: {
        confirm: {
          status: 'approved',
          targetType: 'other',
          targetId: (event.data['approval'] as { targetId: string }).targetId,
          confirmationType: 'role_assignment',
          reference: { assignmentId: 'a-1' },
        },
      },
    });
    await started.close();
  });

  test('what makes no sense stops nothing behind it', async () => {
    const started = await rig.service.start();
    await rig.tell('dialog', 'approval.requested', { approval: { targetType: 'nothing' } });
    await rig.tell('dialog', 'approval.requested', request({ approvers: ['alice'] }));
    await rig.tell('dialog', 'approval.requested', request({ title: 'Behind', approvers: ['yan'] }));
    await consumed(principal('yan'), 'Behind');
    expect((await inbox(principal('yan')))['nodes']).toMatchObject([{ confirm: { title: 'Behind' } }]);
    await started.close();
  });

  test('metrics of another are for administrators', async () => {
    const ask = 'query { approvalMetrics(approverId: "zoe") { decided approved waiting meanDecisionMs } }';
    expect((await rig.run(bob, ask)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect((await rig.ask(admin, ask))['approvalMetrics']).toMatchObject({ decided: 1, approved: 1, waiting: 0 });
  });
});
