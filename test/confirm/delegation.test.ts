import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { alice, bob, type ConfirmRig, carol, codesOf, dave, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
let started: { close(): Promise<void> };
beforeAll(async () => {
  rig = await openConfirmRig();
  started = await rig.service.start();
});
afterAll(async () => {
  await started.close();
  await rig[Symbol.asyncDispose]();
});
beforeEach(() => {
  rig.rights.denied.clear();
  grant('bob', 'carol', 'dave');
});

const grant = (...subjects: string[]) => rig.rights.granted.set('plan:approve', subjects);
const scopes = ['confirm:read', 'confirm:create', 'confirm:approve', 'plan:read', 'plan:update', 'context:read'];
/** One whose token would grant it as well: at the door, and nowhere else. */
const able = (subject: string) => principal(subject, { scopes: [...scopes, 'plan:approve'] });
const pass = (who: string, id: string, to: string) => rig.decide(able(who), id, 'DELEGATED', { delegateTo: to });

/** A confirm about a plan that waits for one alone. */
async function open(more: Readonly<Record<string, unknown>> = {}, holder = 'bob'): Promise<string> {
  grant(holder);
  const payload = await rig.mutate(alice, 'createApproval', 'CreateApprovalInput', {
    ...{ targetType: 'PLAN', targetId: rig.openTarget(), contextId: rig.openTarget() },
    ...{ confirmationType: 'PLAN_APPROVAL', title: 'May we?', ...more },
  });
  expect(payload['userErrors']).toEqual([]);
  grant('bob', 'carol', 'dave');
  return String(payload['confirm']!['id']);
}

const partsOf = async (id: string): Promise<Readonly<Record<string, string>>> => {
  const rows =
    (await rig.sql`SELECT subject, state FROM confirm.approver WHERE confirm_id = ${id} ORDER BY subject`) as unknown as {
      subject: string;
      state: string;
    }[];
  return Object.fromEntries(rows.map(({ subject, state }) => [subject, state]));
};

const inboxOf = async (who: ReturnType<typeof principal>): Promise<readonly string[]> =>
  (await rig.ask(who, '{ approvalsInbox(first: 100) { nodes { confirm { id } } } }'))['approvalsInbox']!['nodes']!.map(
    ({ confirm }) => String(confirm!['id']),
  );

/** Takes the right, tells so and waits until the parts stand as expected. */
async function lose(id: string, left: readonly string[], expected: Readonly<Record<string, string>>): Promise<void> {
  grant(...left);
  await rig.tell('role', 'role.revoked', { subjectId: 'somebody' });
  await vi.waitFor(
    async () => {
      await rig.service.catchUp();
      expect(await partsOf(id)).toEqual(expected);
    },
    { timeout: 15_000, interval: 100 },
  );
}

/** Has a part of one's own come back from another, while nobody else has the right. */
async function returned(from: string, to: string): Promise<void> {
  const id = await open({}, from);
  grant(from, to);
  expect(codesOf(await pass(from, id, to))).toEqual([]);
  await lose(id, [from], { [from]: 'waiting', [to]: 'closed' });
}

describe('passing a part on', () => {
  test('to one without plan:approve is refused at once, and nothing is stored', async () => {
    const id = await open();
    const before = await rig.stored(id);
    const refused = await pass('bob', id, 'friend');
    expect(refused['userErrors']).toMatchObject([{ code: 'DELEGATION_FORBIDDEN', path: ['input', 'delegateTo'] }]);
    const { delegateConfirm } = await rig.ask(
      able('bob'),
      'mutation ($id: ID!) { delegateConfirm(confirmId: $id, delegateTo: "friend") { userErrors { code } } }',
      { id },
    );
    expect(codesOf(delegateConfirm!)).toEqual(['DELEGATION_FORBIDDEN']);
    expect(await rig.stored(id)).toBe(before);
    expect(codesOf(await pass('bob', id, 'carol'))).toEqual([]);
    expect(await partsOf(id)).toEqual({ bob: 'delegated', carol: 'waiting' });
  });

  test('of any confirm to one whom a role denies confirm:approve is refused too', async () => {
    const id = await rig.open(alice);
    rig.rights.denied.set('confirm:approve', ['carol']);
    expect(codesOf(await rig.decide(bob, id, 'DELEGATED', { delegateTo: 'carol' }))).toEqual(['DELEGATION_FORBIDDEN']);
    expect(await partsOf(id)).toEqual({ bob: 'waiting' });
    expect(codesOf(await rig.decide(bob, id, 'DELEGATED', { delegateTo: 'dave' }))).toEqual([]);
  });

  test('to the author of the plan is refused, with the right or without', async () => {
    const targetId = rig.openTarget();
    rig.authors.set(targetId, 'carol');
    const id = await open({ targetId });
    expect(codesOf(await pass('bob', id, 'carol'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
    expect(codesOf(await pass('bob', id, 'alice'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
  });

  test('to one who loses the right while it is passed on comes back', async () => {
    const id = await open();
    const { standings } = rig.directory;
    // What is asked of carol before the commit is answered as of then; the right is gone when it is committed.
    rig.directory.standings = async (...args) => {
      const found = await standings(...args);
      grant('bob', 'dave');
      return found;
    };
    try {
      expect(codesOf(await pass('bob', id, 'carol'))).toEqual([]);
    } finally {
      rig.directory.standings = standings;
    }
    expect(await partsOf(id)).toEqual({ bob: 'waiting', carol: 'closed' });
  });
});

describe('a delegate that has lost the right', () => {
  test('gives the part back to the nearest one who passed it on and has it', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    await pass('carol', id, 'dave');
    expect(await inboxOf(dave)).toContain(id);
    const untouched = await open();
    await pass('bob', untouched, 'carol');
    const [{ version }] = (await rig.sql`SELECT version FROM confirm.confirm WHERE id = ${untouched}`) as unknown as [
      { version: number },
    ];
    await lose(id, ['bob', 'carol'], { bob: 'delegated', carol: 'waiting', dave: 'closed' });
    expect(await inboxOf(carol)).toContain(id);
    expect(await inboxOf(dave)).not.toContain(id);
    expect(await rig.sql`SELECT version FROM confirm.confirm WHERE id = ${untouched}`).toEqual([{ version }]);
    expect((await rig.stream(id)).filter(({ type }) => type === 'confirm.returned')).toMatchObject([
      { actor: 'system:confirm', data: { subject: 'dave', returnedTo: 'carol', stepId: 'approval' } },
    ]);
    const updates = await rig.replay(able('carol'), 'approvalUpdates', { confirmId: id });
    expect(updates.at(-1)).toMatchObject({ type: 'confirm.returned', status: 'PENDING', stepId: 'approval' });
    // Who has it and who has it no more hear of it.
    const last = async (subject: string) => {
      const told = await rig.replay(able(subject), 'approvalsWaiting', {});
      return told.filter(({ confirm }) => String(confirm!['id']) === id).at(-1);
    };
    expect(await last('carol')).toMatchObject({ kind: 'WAITING' });
    expect(await last('dave')).toMatchObject({ kind: 'SETTLED' });
    expect(codesOf(await rig.decide(able('dave'), id, 'APPROVED'))).toEqual(['NOT_AN_APPROVER']);
    // Carol's right goes as well: now it is bob's again, who passes it on or decides.
    await lose(id, ['bob'], { bob: 'waiting', carol: 'closed', dave: 'closed' });
    expect(codesOf(await pass('bob', id, 'dave'))).toEqual(['DELEGATION_FORBIDDEN']);
    grant('bob', 'dave');
    expect(codesOf(await pass('bob', id, 'dave'))).toEqual([]);
    expect(await partsOf(id)).toEqual({ bob: 'delegated', carol: 'closed', dave: 'waiting' });
    expect(await rig.decide(able('dave'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: true });
  });

  test('passes over one who passed it on and has lost it too', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    await pass('carol', id, 'dave');
    await lose(id, ['bob'], { bob: 'waiting', carol: 'closed', dave: 'closed' });
    expect(await rig.decide(able('bob'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  });

  test('and tries to decide gives it back at once, though nobody told', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    grant('bob');
    const { data, errors } = await rig.run(
      carol,
      'mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { userErrors { code } } }',
      { input: { confirmId: id, decision: 'APPROVED' } },
    );
    expect(errors[0]?.code ?? codesOf(data['processApproval']!)[0]).toBe('PERMISSION_DENIED');
    expect(await partsOf(id)).toEqual({ bob: 'waiting', carol: 'closed' });
    expect(await inboxOf(bob)).toContain(id);
  });

  test('has the step go to its next level where nobody who passed it on may decide', async () => {
    const workflow = {
      type: 'SEQUENTIAL',
      steps: [
        {
          id: 'board',
          approvers: [{ subject: 'bob' }],
          escalation: [{ role: 'chair', timeoutHours: 24 }],
        },
      ],
    };
    await rig.ask(
      principal('root', { scopes: ['*'], roles: ['admin'] }),
      'mutation ($input: CreateWorkflowTemplateInput!) { createWorkflowTemplate(input: $input) { userErrors { code } } }',
      { input: { name: 'board', triggers: { confirmationTypes: ['PLAN_APPROVAL'] }, workflow } },
    );
    rig.roles.current = new Map([['chair', ['erin', 'fay']]]);
    const id = await open();
    await pass('bob', id, 'carol');
    // Of the level those are asked who have the right.
    await lose(id, ['erin'], { bob: 'delegated', carol: 'escalated', erin: 'waiting' });
    expect(await rig.decide(able('erin'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    await rig.sql`UPDATE confirm.template SET active = false`;
  });

  test('of a step without another level waits, and decides once it has the right again', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    // What is told after it comes back, so this one was looked at.
    await returned('dave', 'erin');
    await returned('dave', 'erin');
    expect(await partsOf(id)).toEqual({ bob: 'delegated', carol: 'waiting' });
    grant('carol');
    expect(await rig.decide(able('carol'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  });

  test('leaves alone what governance has locked', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    await rig.sql`UPDATE confirm.confirm SET governance = '{"locked": true}' WHERE id = ${id}`;
    await returned('bob', 'dave');
    await returned('bob', 'dave');
    expect(await partsOf(id)).toEqual({ bob: 'delegated', carol: 'waiting' });
  });
});

describe('a delegate that time has taken the right from, which nobody tells', () => {
  const workflowOf = async (id: string) =>
    (
      await rig.ask(
        able('alice'),
        'query ($id: ID!) { approvalWorkflow(confirmId: $id) { nextApprovers { subject } tallies { remaining participation share } } }',
        { id },
      )
    )['approvalWorkflow']!;
  /** Whether it stands in the subject's list, as other modules lead to it. */
  const hasPart = async (who: string, id: string) => {
    const { _entities: found } = await rig.ask(
      able(who),
      'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Subject { pendingApprovals(first: 100) { nodes { confirm { id } } } } } }',
      { r: [{ __typename: 'Subject', id: who }] },
    );
    const [{ pendingApprovals } = {}] = found as unknown as {
      pendingApprovals?: { nodes: { confirm: { id: string } }[] };
    }[];
    return pendingApprovals!.nodes.some(({ confirm }) => confirm.id === id);
  };

  test('gives the part back by the timer, of every tenant', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    const info = { attempt: 1, jobId: '1', signal: AbortSignal.timeout(60_000) };
    const run = () => rig.service.jobs()['returns']!({}, info);
    await run();
    expect(await partsOf(id)).toEqual({ bob: 'delegated', carol: 'waiting' });
    grant('bob');
    await run();
    await run();
    expect(await partsOf(id)).toEqual({ bob: 'waiting', carol: 'closed' });
    expect((await rig.stream(id)).filter(({ type }) => type === 'confirm.returned')).toMatchObject([
      { actor: 'system:confirm', data: { subject: 'carol', returnedTo: 'bob' } },
    ]);
  });

  test('does not find it in its inbox, where it was passed on', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    expect(await inboxOf(able('carol'))).toContain(id);
    grant('bob');
    expect(await inboxOf(able('carol'))).not.toContain(id);
    expect(await partsOf(id)).toEqual({ bob: 'waiting', carol: 'closed' });
    expect(await inboxOf(able('bob'))).toContain(id);
  });

  test('is nobody whose decision is waited for, nor one that the quorum counts', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    const before = await workflowOf(id);
    expect(before).toMatchObject({ nextApprovers: [{ subject: 'carol' }] });
    grant('bob');
    const after = await workflowOf(id);
    expect(after).toEqual({ ...before, nextApprovers: [{ subject: 'bob' }] });
    // Who watches it has caused what was due, and no more.
    expect(await workflowOf(id)).toEqual(after);
    expect((await rig.stream(id)).filter(({ type }) => type === 'confirm.returned')).toHaveLength(1);
  });

  test('that nobody else can stand in for is shown nowhere, and back where it has the right again', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    const before = await workflowOf(id);
    expect(await hasPart('carol', id)).toBe(true);
    grant();
    expect(await inboxOf(able('carol'))).not.toContain(id);
    expect(await hasPart('carol', id)).toBe(false);
    expect((await workflowOf(id))['nextApprovers']).toEqual([]);
    expect((await workflowOf(id))['tallies']).not.toEqual(before['tallies']);
    expect(await partsOf(id)).toEqual({ bob: 'delegated', carol: 'waiting' });
    grant('carol');
    expect(await inboxOf(able('carol'))).toContain(id);
    expect(await hasPart('carol', id)).toBe(true);
    expect(await workflowOf(id)).toEqual(before);
  });

  test('is shown as before while nobody can be asked', async () => {
    const id = await open();
    await pass('bob', id, 'carol');
    const { standings } = rig.directory;
    rig.directory.standings = () => Promise.reject(new Error('away'));
    try {
      expect(await inboxOf(able('carol'))).toContain(id);
      expect(await workflowOf(id)).toMatchObject({ nextApprovers: [{ subject: 'carol' }] });
    } finally {
      rig.directory.standings = standings;
    }
  });
});
