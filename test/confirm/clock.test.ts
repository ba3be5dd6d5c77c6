import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, alice, bob, type ConfirmRig, codesOf, type Json, openConfirmRig } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterEach(() => vi.useRealTimers());
afterAll(() => rig[Symbol.asyncDispose]());

const dayMs = 86_400_000;
/** The process's clock alone: timers and the database go on as they are. */
const jump = (ms: number) =>
  vi.useFakeTimers({ toFake: ['Date'], now: performance.timeOrigin + performance.now() + ms });
const jumps = [40 * dayMs, -40 * dayMs, 3_650 * dayMs];
const info = { attempt: 1, jobId: '1', signal: AbortSignal.timeout(60_000) };

type Action = 'AUTO_APPROVE' | 'AUTO_REJECT' | 'ESCALATE' | 'EXTEND';
const workflow = (action: Action, minutes: number) => ({
  type: 'ESCALATION',
  steps: [
    {
      id: 'lead',
      approvers: [{ subject: 'bob' }],
      timeout: { duration: minutes, unit: 'MINUTES', action },
      ...(action === 'ESCALATE' ? { escalation: [{ subject: 'carol', timeoutHours: 1 }] } : {}),
    },
  ],
});
const actions: readonly Action[] = ['AUTO_APPROVE', 'AUTO_REJECT', 'ESCALATE', 'EXTEND'];
const statusOf = async (id: string) =>
  ((await rig.sql`SELECT status FROM confirm.confirm WHERE id = ${id}`) as unknown as { status: string }[])[0]!.status;
/** How far times of the confirm lie from the database's, ms. */
const awayOf = async (id: string) =>
  (
    (await rig.sql`
      SELECT (extract(epoch FROM clock_timestamp() - c.requested_at) * 1000)::float8 AS requested,
             (extract(epoch FROM c.next_deadline_at - c.requested_at) * 1000)::float8 AS due,
             (SELECT max(abs(extract(epoch FROM clock_timestamp() - d.decided_at)) * 1000)::float8 FROM confirm.decision d WHERE d.confirm_id = c.id) AS decided
      FROM confirm.confirm c WHERE c.id = ${id}`) as unknown as {
      requested: number;
      due: number;
      decided: number | null;
    }[]
  )[0]!;
const escalations = (now: string | null) =>
  rig.ask(
    admin,
    'mutation ($now: DateTime) { processEscalations(now: $now) { examined expired autoDecided userErrors { code } } }',
    { now },
  );

test('a process whose clock has jumped does nothing early: sweep, job, timers and by hand', async () => {
  const ids = await Promise.all(actions.map((action) => rig.open(alice, { workflow: workflow(action, 60) })));
  const before = await Promise.all(ids.map(rig.stored));
  for (const ms of jumps) {
    jump(ms);
    await rig.service.jobs()['sweep']!({}, info);
    for (const id of ids) await rig.service.jobs()['deadline']!({ tenantId: 'one', confirmId: id }, info);
    expect(await escalations(null)).toMatchObject({ processEscalations: { examined: 0, userErrors: [] } });
    // What is due a second from now is met by the same timers: they have looked by then.
    const soon = await rig.open(alice, { workflow: workflow('AUTO_APPROVE', 0.017) });
    const timers = await rig.service.start();
    await vi.waitFor(async () => expect(await statusOf(soon)).toBe('approved'), { timeout: 20_000, interval: 50 });
    await timers.close();
    expect(await Promise.all(ids.map(rig.stored))).toEqual(before);
    const inbox = await rig.ask(
      bob,
      '{ approvalsInbox { nodes { isOverdue confirm { id } } } late: approvalsInbox(filter: { overdue: true }) { nodes { confirm { id } } } }',
    );
    expect(inbox['approvalsInbox']!['nodes']!.map(({ isOverdue }) => isOverdue)).toEqual(ids.map(() => false));
    expect(inbox['late']!['nodes']).toEqual([]);
  }
  jump(40 * dayMs);
  // What has come by the process's clock alone has not come.
  expect(await escalations(new Date().toISOString())).toMatchObject({
    processEscalations: { examined: null, userErrors: [{ code: 'VALIDATION_FAILED' }] },
  });
  expect(await Promise.all(ids.map(rig.stored))).toEqual(before);
}, 90_000);

test('what is due is met also by a process whose clock lags', async () => {
  const ids = await Promise.all(actions.map((action) => rig.open(alice, { workflow: workflow(action, 60) })));
  await rig.sql`UPDATE confirm.confirm SET next_deadline_at = now() - interval '1 second',
    steps = jsonb_set(steps, '{0,dueAt}', to_jsonb(to_char(now() - interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) WHERE id = ANY(${ids})`;
  jump(-40 * dayMs);
  await rig.service.jobs()['sweep']!({}, info);
  const rows = (await rig.sql`
    SELECT c.status, c.phase, (c.steps->0->>'level')::int AS level, (c.steps->0->>'extensions')::int AS extensions, c.next_deadline_at > now() AS later
    FROM unnest(${ids}::uuid[]) WITH ORDINALITY AS k(id, ord) JOIN confirm.confirm c ON c.id = k.id ORDER BY k.ord`) as unknown as object[];
  expect(rows).toMatchObject([
    { status: 'approved' },
    { status: 'rejected' },
    { status: 'pending', phase: 'escalated', level: 1, later: true },
    { status: 'pending', extensions: 1, later: true },
  ]);
});

test.each(jumps)('what is opened and decided by a clock that is %d ms away has the database’s times', async (ms) => {
  jump(ms);
  const id = await rig.open(alice, { workflow: workflow('AUTO_APPROVE', 60) });
  expect(await rig.decide(bob, id, 'DEFERRED')).toMatchObject({ userErrors: [] });
  const { requested, due, decided } = await awayOf(id);
  expect(due).toBe(3_600_000);
  for (const away of [requested, decided!]) expect(Math.abs(away)).toBeLessThan(dayMs / 2);
  // A condition has to be met in a time to come, by the database's clock.
  const conditional = (days: number) =>
    rig.decide(bob, id, 'CONDITIONAL_APPROVAL', {
      rationale: 'if',
      conditions: [{ text: 'c', dueDate: new Date(Date.now() - ms + days * dayMs).toISOString() }],
    });
  expect(codesOf(await conditional(-1))).toEqual(['VALIDATION_FAILED']);
  expect(codesOf(await conditional(31))).toEqual(['VALIDATION_FAILED']);
  expect(codesOf(await conditional(1))).toEqual([]);
});

test.each(jumps)(
  'templates are as old as the database says, made and changed by a clock that is %d ms away',
  async (ms) => {
    const triggers = { confirmationTypes: ['RISK_ACCEPTANCE'], contextIds: [newId()] };
    const create = async (name: string) =>
      (
        await rig.ask(
          admin,
          'mutation ($input: CreateWorkflowTemplateInput!) { createWorkflowTemplate(input: $input) { template { id createdAt updatedAt } userErrors { code } } }',
          { input: { name, triggers, workflow: workflow('AUTO_APPROVE', 60) } },
        )
      )['createWorkflowTemplate']!['template']!;
    const first = await create(`first ${ms}`);
    jump(ms);
    const second = await create(`second ${ms}`);
    const { template: changed } = (
      await rig.ask(
        admin,
        'mutation ($id: ID!) { updateWorkflowTemplate(templateId: $id, patch: { description: "d" }) { template { updatedAt } userErrors { code } } }',
        { id: String(first['id']) },
      )
    )['updateWorkflowTemplate']! as Json;
    const [row] = (await rig.sql`
    SELECT (extract(epoch FROM clock_timestamp() - ${String(second['createdAt'])}::timestamptz) * 1000)::float8 AS made,
           (extract(epoch FROM clock_timestamp() - ${String(changed!['updatedAt'])}::timestamptz) * 1000)::float8 AS changed`) as unknown as {
      made: number;
      changed: number;
    }[];
    for (const away of [row!.made, row!.changed]) expect(Math.abs(away)).toBeLessThan(dayMs / 2);
    // Of equals the oldest, whatever the clock said when the other was made.
    const found = await rig.service.templates.match('one', {
      ...{ confirmationType: 'risk_acceptance', contextId: triggers.contextIds[0]!, amount: null, department: null },
    });
    expect(found?.id).toBe(String(first['id']));
  },
);
