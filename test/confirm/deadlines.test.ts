import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admin, alice, bob, type ConfirmRig, carol, codesOf, dave, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const timeout = (action: string, duration = 1, unit = 'HOURS') => ({ duration, unit, action });
const step = (action: string, more: object = {}) => ({
  type: 'ESCALATION',
  steps: [
    {
      id: 'lead',
      approvers: [{ subject: 'bob' }],
      timeout: timeout(action),
      escalation: [
        { subject: 'carol', timeoutHours: 1 },
        { role: 'vp', timeoutHours: 1 },
      ],
      ...more,
    },
  ],
});
const process = (afterMs: number, limit = 1_000) =>
  rig.service.escalations.process({ tenantId: 'one', nowMs: Date.now() + afterMs, limit });
const read = async (id: string) =>
  (
    await rig.ask(
      alice,
      `query ($id: ID!) { confirm(id: $id) { status phase resolution steps { level status reason dueAt } approvers { subject state level } decisions { outcome approver rationale } } }`,
      { id },
    )
  )['confirm']!;

describe('timeouts', () => {
  test.each([
    ['AUTO_APPROVE', 'APPROVED'],
    ['AUTO_REJECT', 'REJECTED'],
  ])('%s decides', async (action, status) => {
    const id = await rig.open(alice, { workflow: step(action) });
    expect((await process(hour / 2)).autoDecided).not.toContain(id);
    expect((await process(hour + 1_000)).autoDecided).toContain(id);
    expect(await read(id)).toMatchObject({
      status,
      decisions: [{ outcome: status, approver: 'system:confirm', rationale: 'timeout' }],
    });
    expect(codesOf(await rig.decide(bob, id, 'APPROVED'))).toEqual(['STEP_NOT_ACTIVE']);
  });

  test('EXTEND gives it its time again', async () => {
    const id = await rig.open(alice, { workflow: step('EXTEND') });
    expect((await process(hour + 1_000)).extended).toContain(id);
    expect((await process(hour + 2_000)).extended).not.toContain(id);
    expect((await process(3 * hour)).extended).toContain(id);
    await rig.decide(bob, id, 'APPROVED');
  });

  test('ESCALATE goes level by level, to people, and past the last it expires', async () => {
    rig.roles.current = new Map([['vp', ['alice', 'dave']]]);
    const id = await rig.open(alice, { workflow: step('ESCALATE') });
    expect((await process(hour + 1_000)).escalated).toEqual([{ confirmId: id, stepId: 'lead', level: 1 }]);
    expect(await read(id)).toMatchObject({
      phase: 'ESCALATED',
      steps: [{ level: 1, status: 'ACTIVE' }],
      approvers: [
        { subject: 'bob', state: 'ESCALATED' },
        { subject: 'carol', state: 'WAITING', level: 1 },
      ],
    });
    expect(codesOf(await rig.decide(bob, id, 'APPROVED'))).toEqual(['NOT_AN_APPROVER']);
    expect((await process(hour + 2_000)).escalated).toEqual([]);
    expect((await process(3 * hour)).escalated).toEqual([{ confirmId: id, stepId: 'lead', level: 2 }]);
    // Who asked holds the role too, and is passed over.
    expect((await read(id))['approvers']!.filter(({ state }) => String(state) === 'WAITING')).toMatchObject([
      { subject: 'dave', level: 2 },
    ]);
    expect((await process(6 * hour)).expired).toEqual([id]);
    expect(await read(id)).toMatchObject({ status: 'CANCELLED', phase: 'EXPIRED', resolution: 'expired' });
  });

  test('people of a level with a delay are told after it, once, and may decide before', async () => {
    const escalation = [{ subject: 'carol', timeoutHours: 4, notificationDelayMinutes: 90 }];
    const told = async () =>
      (await rig.replay(carol, 'approvalsWaiting', {})).filter(({ confirmId }) => ids.has(String(confirmId)));
    const ids = new Set<string>();
    const open = async () => {
      const id = await rig.open(alice, { workflow: step('ESCALATE', { escalation }) });
      ids.add(id);
      return id;
    };
    const [slow, quick] = [await open(), await open()];
    expect((await process(hour + 1_000)).escalated).toHaveLength(2);
    expect(await told()).toEqual([]);
    const inbox = await rig.ask(carol, '{ approvalsInbox { nodes { confirm { id } waitingSince } } }');
    expect(inbox['approvalsInbox']!['nodes']!.filter(({ confirm }) => ids.has(String(confirm!['id'])))).toMatchObject([
      { waitingSince: null },
      { waitingSince: null },
    ]);
    expect(await rig.decide(carol, quick, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    // Who was never told that it waits is not told either that it does so no more.
    expect(await told()).toEqual([]);
    // The step was escalated an hour from now: its people are told after one and a half more.
    expect((await process(2.4 * hour)).notified).toEqual([]);
    expect((await process(2.6 * hour)).notified).toEqual([slow]);
    expect((await process(2.7 * hour)).notified).toEqual([]);
    expect(await told()).toMatchObject([{ kind: 'WAITING', confirmId: slow }]);
    expect((await rig.stream(slow)).filter(({ type }) => type === 'confirm.notified')).toMatchObject([
      { data: { stepId: 'lead', subjects: ['carol'] } },
    ]);
    expect((await process(6 * hour)).expired).toContain(slow);
    expect((await told()).map(({ kind }) => String(kind))).toEqual(['WAITING', 'SETTLED']);
    const late = [{ subject: 'carol', timeoutHours: 1, notificationDelayMinutes: 60 }];
    expect(codesOf(await rig.create(alice, { workflow: step('ESCALATE', { escalation: late }) }))).toEqual([
      'VALIDATION_FAILED',
    ]);
  });

  test('a decision without a time of its own is late after 72 hours, and with the whole where that ends sooner', async () => {
    const dueIn = async (input: Readonly<Record<string, unknown>>) => {
      const id = await rig.open(alice, input);
      const { steps, requestedAt } = (
        await rig.ask(alice, 'query ($id: ID!) { confirm(id: $id) { requestedAt steps { dueAt } } }', { id })
      )['confirm']!;
      return (Date.parse(String(steps!.map(({ dueAt }) => dueAt)[0])) - Date.parse(String(requestedAt))) / hour;
    };
    expect(await dueIn({})).toBe(72);
    const workflow = { type: 'SINGLE_APPROVER', steps: [{ approvers: [{ subject: 'bob' }] }] };
    expect(await dueIn({ workflow: { ...workflow, globalTimeoutMs: 720 * hour } })).toBe(72);
    expect(await dueIn({ workflow: { ...workflow, globalTimeoutMs: 5 * hour } })).toBe(5);
    expect(await dueIn({ timeout: timeout('AUTO_REJECT', 100) })).toBe(100);
  });

  test('after 168 hours the whole expires, reminded at 24, 48 and 72 before, and may be decided while it is late', async () => {
    const [id, decided] = [await rig.open(alice), await rig.open(alice)];
    for (const hours of [24, 48, 72]) {
      expect((await process(hours * hour - 60_000)).reminded).not.toContain(id);
      expect((await process(hours * hour + 1_000)).reminded).toContain(id);
      expect((await process(hours * hour + 2_000)).reminded).not.toContain(id);
    }
    // Its time is over, and nothing is due but its end.
    expect((await process(73 * hour)).reminded).not.toContain(id);
    expect(await rig.decide(bob, decided, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    expect((await process(167 * hour)).expired).not.toContain(id);
    expect((await process(168 * hour + 1_000)).expired).toContain(id);
    expect((await rig.stream(id)).filter(({ type }) => type === 'confirm.reminded')).toHaveLength(3);
  });

  test('reminds those whose turn it is, where what waits for them is told', async () => {
    const [eve, frank] = ['eve', 'frank'].map((subject) => principal(subject));
    const id = await rig.open(alice, {
      approvers: [{ subject: 'eve' }, { subject: 'frank' }],
      quorum: { kind: 'SEQUENTIAL' },
    });
    const kinds = async (who: typeof bob) =>
      (await rig.replay(who, 'approvalsWaiting', {})).map(({ kind, confirmId }) => [String(kind), String(confirmId)]);
    await process(25 * hour);
    expect(await kinds(eve!)).toEqual([
      ['WAITING', id],
      ['REMINDED', id],
    ]);
    expect(await kinds(frank!)).toEqual([]);
    const [told] = (await rig.stream(id)).filter(({ type }) => type === 'confirm.reminded');
    expect(told!.data).toMatchObject({ subjects: ['eve'] });
    await rig.decide(eve!, id, 'APPROVED');
    await process(49 * hour);
    expect(await kinds(eve!)).toEqual([
      ['WAITING', id],
      ['REMINDED', id],
      ['SETTLED', id],
    ]);
    expect(await kinds(frank!)).toEqual([
      ['WAITING', id],
      ['REMINDED', id],
    ]);
  });

  test('workers at the same time do each thing once', async () => {
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        rig.open(alice, { workflow: step(index % 2 === 0 ? 'ESCALATE' : 'AUTO_REJECT') }),
      ),
    );
    const reports = await Promise.all(Array.from({ length: 6 }, () => process(hour + 1_000, 15)));
    const more = await process(hour + 1_000);
    const all = [...reports, more];
    const touched = all.flatMap(({ escalated, autoDecided }) => [
      ...escalated.map(({ confirmId }) => confirmId),
      ...autoDecided,
    ]);
    expect(touched.toSorted()).toEqual(ids.toSorted());
    const rows = await rig.sql`
      SELECT confirm_id, count(*)::int AS n FROM confirm.decision WHERE confirm_id = ANY(${ids}) GROUP BY confirm_id`;
    expect(rows).toHaveLength(ids.length);
    expect(rows.every(({ n }) => n === 1)).toBe(true);
    for (const id of ids) await rig.service.escalations.meetOne('one', id);
    expect((await process(hour + 1_000)).examined).toBe(0);
  });

  test('a worker that died with its claim is replaced when the lease ends', async () => {
    const id = await rig.open(alice, { workflow: step('AUTO_REJECT') });
    await rig.sql`UPDATE confirm.confirm SET claimed_until = clock_timestamp() + interval '30 seconds' WHERE id = ${id}`;
    expect((await process(hour + 1_000)).autoDecided).toEqual([]);
    await rig.sql`UPDATE confirm.confirm SET claimed_until = clock_timestamp() - interval '1 second' WHERE id = ${id}`;
    expect((await process(hour + 1_000)).autoDecided).toEqual([id]);
  });
});

describe('by hand', () => {
  const escalate = async (who: typeof bob, id: string) =>
    rig.run(who, `mutation ($id: ID!) { escalateApproval(confirmId: $id, reason: "slow") { ${rig.selection} } }`, {
      id,
    });

  test('who asked, who is to decide or an administrator escalates', async () => {
    const id = await rig.open(alice, { workflow: step('AUTO_REJECT') });
    expect((await escalate(dave, id)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect((await escalate(alice, id)).data).toMatchObject({
      escalateApproval: {
        nextApprovers: [{ subject: 'carol' }],
        confirm: { decisions: [{ outcome: 'ESCALATED', approver: 'alice' }] },
      },
    });
    rig.roles.current = new Map();
    expect((await escalate(carol, id)).data).toMatchObject({
      escalateApproval: { userErrors: [{ code: 'INVALID_STATE' }] },
    });
    expect(await rig.decide(carol, id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  });

  test('processEscalations is for administrators, of their tenant, and never ahead of the clock', async () => {
    const run = (who: typeof bob, now: string | null) =>
      rig.run(
        who,
        'mutation ($now: DateTime) { processEscalations(now: $now) { examined expired nextDueAt userErrors { code } } }',
        { now },
      );
    expect((await run(bob, null)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect((await run(admin, '2999-01-01T00:00:00.000Z')).data).toMatchObject({
      processEscalations: { userErrors: [{ code: 'VALIDATION_FAILED' }] },
    });
    const id = await rig.open(alice);
    await rig.sql`UPDATE confirm.confirm SET expires_at = now() - interval '1 second', next_deadline_at = now() - interval '1 second' WHERE id = ${id}`;
    expect((await run(principal('root', { tenantId: 'two', scopes: ['*'] }), null)).data).toMatchObject({
      processEscalations: { examined: 0 },
    });
    expect((await run(admin, null)).data).toMatchObject({ processEscalations: { examined: 1, expired: [id] } });
  });
});

describe('timers', () => {
  const until = async (id: string, status: string) => {
    for (let tries = 0; tries < 100; tries += 1) {
      if (String((await read(id))['status']) === status) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await read(id)).toMatchObject({ status });
  };
  const soon = {
    ...step('AUTO_APPROVE'),
    steps: [{ ...step('AUTO_APPROVE').steps[0], timeout: timeout('AUTO_APPROVE', 0.017, 'MINUTES') }],
  };

  test('meet what becomes due, and after a restart what became due meanwhile', async () => {
    const before = await rig.open(alice, { workflow: soon });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await read(before)).toMatchObject({ status: 'PENDING' });
    const first = await rig.service.start();
    await until(before, 'APPROVED');
    await first.close();
    const meanwhile = await rig.open(alice, { workflow: soon });
    const second = await rig.service.start();
    await until(meanwhile, 'APPROVED');
    await second.close();
  });

  test('stand in the rows alone: a sweep meets what no process was there for', async () => {
    const info = { attempt: 1, jobId: '1', signal: AbortSignal.timeout(10_000) };
    const id = await rig.open(alice, { workflow: step('AUTO_APPROVE') });
    expect(await rig.sql`SELECT FROM graphile_worker.jobs WHERE key = ${`confirm.deadline:${id}`}`).toHaveLength(0);
    // A job that an earlier version left.
    await rig.service.jobs()['deadline']!({ tenantId: 'one', confirmId: id }, info);
    await rig.service.jobs()['sweep']!({}, info);
    expect(await read(id)).toMatchObject({ status: 'PENDING' });
    await rig.sql`UPDATE confirm.confirm SET next_deadline_at = now() - interval '1 second',
      steps = jsonb_set(steps, '{0,dueAt}', to_jsonb(to_char(now() - interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) WHERE id = ${id}`;
    await rig.service.jobs()['sweep']!({}, info);
    expect(await read(id)).toMatchObject({ status: 'APPROVED' });
  });
});
