import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { giveAttributes } from '#shared/rights.ts';
import { admin, alice, bob, type ConfirmRig, codesOf, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());
beforeEach(async () => {
  grant('bob', 'carol');
  rig.roles.current = new Map();
  await rig.sql`UPDATE confirm.template SET active = false`;
});

const scopes = ['confirm:read', 'confirm:create', 'confirm:approve', 'plan:read', 'plan:update', 'context:read'];
/** One whose token would grant it: at the door, and nowhere else. */
const able = (subject: string) => principal(subject, { scopes: [...scopes, 'plan:approve'] });
const grant = (...subjects: string[]) => rig.rights.granted.set('plan:approve', subjects);

/** Asks for the approval of a plan of its own. */
function ask(who: ReturnType<typeof principal>, input: Readonly<Record<string, unknown>> = {}) {
  const { author = 'alice', ...more } = input;
  const targetId = rig.openTarget();
  rig.authors.set(targetId, String(author));
  return rig.mutate(who, 'createApproval', 'CreateApprovalInput', {
    ...{
      targetType: 'PLAN',
      targetId,
      contextId: rig.openTarget(),
      confirmationType: 'PLAN_APPROVAL',
      title: 'May we?',
    },
    ...more,
  });
}

async function open(who: ReturnType<typeof principal>, input: Readonly<Record<string, unknown>> = {}) {
  const payload = await ask(who, input);
  expect(payload['userErrors']).toEqual([]);
  return String(payload['confirm']!['id']);
}

const waitingOf = (payload: Awaited<ReturnType<typeof ask>>) =>
  payload['nextApprovers']!.map(({ subject, stepId }) => `${String(stepId)}/${String(subject)}`).sort();

/** How a decision is answered: the error's code, null where it was taken. */
async function codeOf(
  who: ReturnType<typeof principal>,
  confirmId: string,
  decision: string,
  delegateTo: string | null = null,
): Promise<string | null> {
  const { data, errors } = await rig.run(
    who,
    'mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { userErrors { code } } }',
    { input: { confirmId, decision, rationale: 'because', delegateTo } },
  );
  return String(errors[0]?.code ?? codesOf(data['processApproval']!)[0] ?? '') || null;
}

async function bind(triggers: object, workflow: object): Promise<string> {
  const { createWorkflowTemplate } = await rig.ask(
    admin,
    'mutation ($input: CreateWorkflowTemplateInput!) { createWorkflowTemplate(input: $input) { template { id triggers { contextIds } } userErrors { code message } } }',
    { input: { name: newId(), triggers, workflow } },
  );
  expect(createWorkflowTemplate!['userErrors']).toEqual([]);
  return String(createWorkflowTemplate!['template']!['id']);
}

const board = { type: 'SEQUENTIAL', steps: [{ id: 'board', approvers: [{ subject: 'bob' }] }] };

describe('without a template', () => {
  test('whoever has plan:approve is asked, but neither who asks nor the author', async () => {
    grant('alice', 'bob', 'carol', 'ed');
    expect(waitingOf(await ask(alice, { author: 'carol' }))).toEqual(['approval/bob', 'approval/ed']);
    grant('alice', 'carol');
    expect(codesOf(await ask(alice, { author: 'carol' }))).toEqual(['NO_ELIGIBLE_APPROVER']);
  });

  test('a friend without the right is refused, and nothing is stored', async () => {
    const before = await rig.sql`SELECT count(*)::int AS n FROM confirm.confirm`;
    expect(codesOf(await ask(alice, { approvers: [{ subject: 'friend' }] }))).toEqual(['NO_ELIGIBLE_APPROVER']);
    // Nor in company of one who has it, nor behind a role.
    const both = [{ subject: 'bob' }, { subject: 'friend' }];
    expect(codesOf(await ask(alice, { approvers: both }))).toEqual(['NO_ELIGIBLE_APPROVER']);
    rig.roles.current = new Map([['gang', ['friend']]]);
    const required = [{ role: 'gang', required: true }];
    expect(codesOf(await ask(alice, { approvers: required }))).toEqual(['NO_ELIGIBLE_APPROVER']);
    for (const subject of ['alice', 'wanda'])
      expect(codesOf(await ask(alice, { author: 'wanda', approvers: [{ subject }] }))).toEqual([
        'SELF_APPROVAL_FORBIDDEN',
      ]);
    expect(await rig.sql`SELECT count(*)::int AS n FROM confirm.confirm`).toEqual(before);
    // Of the holders of a role those are asked who have the right.
    rig.roles.current = new Map([['gang', ['friend', 'fay']]]);
    grant('bob', 'fay');
    expect(waitingOf(await ask(alice, { approvers: [{ role: 'gang' }] }))).toEqual(['approval/bob', 'approval/fay']);
  });

  test('a friend with the right is asked beside the others, who may decide as before', async () => {
    grant('bob', 'carol', 'friend');
    const payload = await ask(alice, { approvers: [{ subject: 'friend' }] });
    expect(waitingOf(payload)).toEqual(['approval/bob', 'approval/carol', 'approval/friend']);
    const id = String(payload['confirm']!['id']);
    expect(await rig.decide(able('bob'), id, 'REJECTED')).toMatchObject({ confirm: { status: 'REJECTED' } });
    expect(codesOf(await rig.decide(able('friend'), id, 'APPROVED'))).toEqual(['STEP_NOT_ACTIVE']);
  });

  test('the quorum can be raised, by heads', async () => {
    const id = await open(alice, { quorum: { kind: 'UNANIMOUS' } });
    expect(await rig.decide(able('bob'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'PENDING' } });
    expect(await rig.decide(able('carol'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    // One approval in spite of a rejection is no raise.
    const one = await open(alice, { quorum: { kind: 'AT_LEAST', required: 1 } });
    expect(await rig.decide(able('bob'), one, 'REJECTED')).toMatchObject({ confirm: { status: 'REJECTED' } });
    for (const kind of ['WEIGHTED', 'CONSENSUS'])
      expect(codesOf(await ask(alice, { quorum: { kind, threshold: 0.01 } }))).toEqual(['VALIDATION_FAILED']);
    const timeout = { duration: 1, unit: 'MINUTES', action: 'AUTO_APPROVE' };
    expect(codesOf(await ask(alice, { timeout }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await ask(alice, { workflow: board }))).toEqual(['VALIDATION_FAILED']);
  });

  test('the right is asked for again with the decision', async () => {
    const id = await open(alice);
    const after = await rig.stored(id);
    expect(await codeOf(bob, id, 'APPROVED')).toBe('PERMISSION_DENIED');
    expect(codesOf(await rig.decide(able('alice'), id, 'APPROVED'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
    expect(codesOf(await rig.decide(able('eve'), id, 'APPROVED'))).toEqual(['NOT_AN_APPROVER']);
    expect(await rig.stored(id)).toBe(after);
    const written = await open(alice, { author: 'wanda' });
    expect(codesOf(await rig.decide(able('wanda'), written, 'APPROVED'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
  });
});

describe('with a template bound to the approval of plans', () => {
  test('who is proposed decides before those whom it names, not in their place', async () => {
    const templateId = await bind({ confirmationTypes: ['PLAN_APPROVAL'] }, board);
    grant('bob', 'friend');
    expect(waitingOf(await ask(alice))).toEqual(['board/bob']);
    const id = await open(alice, { approvers: [{ subject: 'friend' }], templateId });
    expect(await rig.decide(able('friend'), id, 'APPROVED')).toMatchObject({
      confirm: { status: 'PENDING' },
      nextApprovers: [{ subject: 'bob', stepId: 'board' }],
    });
    expect(await rig.decide(able('bob'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    // The next one of the same version is as the template says.
    expect(waitingOf(await ask(alice))).toEqual(['board/bob']);
  });

  test('another template cannot be chosen, and one who is required cannot be left out', async () => {
    const lax = await bind({ confirmationTypes: ['RISK_ACCEPTANCE'] }, board);
    expect(codesOf(await ask(alice, { templateId: lax }))).toEqual(['VALIDATION_FAILED']);
    const approvers = [{ subject: 'bob', required: true }, { subject: 'carol' }];
    await bind({ confirmationTypes: ['PLAN_APPROVAL'] }, { type: 'PARALLEL', steps: [{ id: 'both', approvers }] });
    expect(codesOf(await ask(alice, { templateId: lax }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await ask(alice, { author: 'bob' }))).toEqual(['NO_ELIGIBLE_APPROVER']);
    grant('carol');
    expect(codesOf(await ask(alice))).toEqual(['NO_ELIGIBLE_APPROVER']);
  });

  test('one that is bound to a context holds there', async () => {
    const contextId = rig.openTarget();
    await bind(
      { confirmationTypes: ['PLAN_APPROVAL'], contextIds: [contextId] },
      {
        type: 'PARALLEL',
        steps: [
          {
            id: 'two',
            approvers: [{ permission: 'plan:approve' }],
            quorum: { kind: 'AT_LEAST', required: 2 },
          },
        ],
      },
    );
    await bind({ confirmationTypes: ['PLAN_APPROVAL'] }, board);
    expect(waitingOf(await ask(alice, { contextId }))).toEqual(['two/bob', 'two/carol']);
    expect(waitingOf(await ask(alice))).toEqual(['board/bob']);
    const mixed = { type: 'PARALLEL', steps: [{ approvers: [{ subject: 'bob', permission: 'plan:approve' }] }] };
    const { createWorkflowTemplate: refused } = await rig.ask(
      admin,
      'mutation ($input: CreateWorkflowTemplateInput!) { createWorkflowTemplate(input: $input) { userErrors { code } } }',
      { input: { name: newId(), workflow: mixed } },
    );
    expect(codesOf(refused!)).toEqual(['VALIDATION_FAILED']);
  });

  test('a draft, and what is asked for again, goes by the rules of that moment', async () => {
    grant('bob', 'carol', 'friend');
    const draft = await open(alice, { draft: true, approvers: [{ subject: 'friend' }] });
    await bind({ confirmationTypes: ['PLAN_APPROVAL'] }, board);
    const submitted = (
      await rig.ask(alice, `mutation ($id: ID!) { submitApproval(confirmId: $id) { ${rig.selection} } }`, { id: draft })
    )['submitApproval']!;
    expect(waitingOf(submitted)).toEqual(['proposed/friend']);
    expect(await rig.decide(able('friend'), draft, 'REJECTED')).toMatchObject({ confirm: { status: 'REJECTED' } });
    const again = await rig.mutate(alice, 'resubmitApproval', 'ApprovalRevisionInput', {
      confirmId: draft,
      approvers: [],
    });
    expect(waitingOf(again)).toEqual(['board/bob']);
    // With the right lost it is not asked for again.
    await rig.decide(able('bob'), String(again['confirm']!['id']), 'REJECTED');
    grant('carol');
    const third = await rig.mutate(alice, 'resubmitApproval', 'ApprovalRevisionInput', {
      confirmId: again['confirm']!['id'],
    });
    expect(codesOf(third)).toEqual(['NO_ELIGIBLE_APPROVER']);
  });
});

test('what the plan module asks for goes by the same rules, its author left out', async () => {
  const requestOf = (more: object) => ({
    approval: {
      ...{ targetType: 'plan', targetId: newId(), contextId: newId(), confirmationType: 'plan_approval' },
      ...{ requestedBy: 'alice', author: 'carol', approvers: [], approverRoles: [], ...more },
    },
  });
  const opened = await rig.tell('plan', 'approval.requested', requestOf({}));
  await rig.service.requests.open(opened);
  const found = await rig.sql`
    SELECT a.subject FROM confirm.approver a JOIN confirm.confirm c ON c.id = a.confirm_id WHERE c.request_event_id = ${opened.eventId}`;
  expect(found.map(({ subject }) => subject)).toEqual(['bob']);
  for (const [approvers, code] of [
    [['friend'], 'NO_ELIGIBLE_APPROVER'],
    [['carol'], 'SELF_APPROVAL_FORBIDDEN'],
  ] as const) {
    const event = await rig.tell('plan', 'approval.requested', requestOf({ approvers }));
    await expect(rig.service.requests.open(event)).rejects.toMatchObject({ code });
  }
});

describe('what is approved', () => {
  const people = ['p0', 'p1', 'p2', 'p3', 'p4'];
  const scenario = fc.record({
    holders: fc.oneof(fc.constant(people.slice(1)), fc.subarray(people, { minLength: 2 })),
    author: fc.constantFrom('p0', 'wanda'),
    requester: fc.constantFrom('p1', 'wanda', 'xaver'),
    /** Named by whoever asks, with or without the right. */
    proposed: fc.oneof(fc.subarray(people, { maxLength: 0 }), fc.subarray(people, { maxLength: 2 })),
    kind: fc.constantFrom('SINGLE', 'AT_LEAST', 'MAJORITY', 'UNANIMOUS', 'SEQUENTIAL'),
    required: fc.integer({ min: 1, max: 3 }),
    /** Quorum of a template's step over two of the people; null where none is bound. */
    template: fc.option(
      fc.record({
        names: fc.subarray(people, { minLength: 1, maxLength: 3 }),
        kind: fc.constantFrom('SINGLE', 'UNANIMOUS', 'MAJORITY'),
      }),
    ),
    casts: fc.array(
      fc.record({
        who: fc.constantFrom(...people),
        choice: fc.constantFrom(...['APPROVED', 'APPROVED', 'DELEGATED', 'DELEGATED'], 'REJECTED', 'ABSTAINED'),
        /** Whom the part is passed on to, where it is. */
        to: fc.constantFrom(...people),
        /** Whether the token has the right too. */
        isAble: fc.nat(3).map((n) => n > 0),
      }),
      { minLength: 5, maxLength: 25 },
    ),
  });

  test('was approved by as many as the rules ask for, all of whom have the right, whatever was proposed', async () => {
    let [approvedOnes, delegations] = [0, 0];
    await fc.assert(
      fc.asyncProperty(scenario, async ({ holders, author, requester, proposed, kind, required, template, casts }) => {
        grant(...holders);
        await rig.sql`UPDATE confirm.template SET active = false`;
        if (template !== null)
          await bind(
            { confirmationTypes: ['PLAN_APPROVAL'] },
            {
              type: 'PARALLEL',
              steps: [
                {
                  id: 'board',
                  approvers: template.names.map((subject) => ({ subject })),
                  quorum: { kind: template.kind },
                },
              ],
            },
          );
        const barred: readonly string[] = [author, requester];
        const payload = await ask(able(requester), {
          author,
          approvers: proposed.map((subject) => ({ subject })),
          quorum: { kind, ...(kind === 'AT_LEAST' ? { required } : {}) },
        });
        const may = (subject: string) => holders.includes(subject) && !barred.includes(subject);
        if (codesOf(payload).length > 0) {
          for (const code of codesOf(payload))
            expect(['NO_ELIGIBLE_APPROVER', 'SELF_APPROVAL_FORBIDDEN']).toContain(code);
          return;
        }
        expect(proposed.every(may)).toBe(true);
        const id = String(payload['confirm']!['id']);
        const tokens = new Set<string>();
        for (const { who, choice, to, isAble } of casts) {
          const isPassed = choice === 'DELEGATED';
          const code = await codeOf(isAble ? able(who) : principal(who), id, choice, isPassed ? to : null);
          if (code !== null) continue;
          tokens.add(`${who}/${isAble}`);
          if (!isPassed) continue;
          expect(may(to)).toBe(true);
          delegations += 1;
        }
        expect([...tokens].filter((token) => token.endsWith('/false'))).toEqual([]);
        const votes = (await rig.sql`
          SELECT step_id, approver, vote FROM confirm.decision WHERE confirm_id = ${id} AND vote IS NOT NULL`) as unknown as {
          step_id: string;
          approver: string;
          vote: string;
        }[];
        for (const { approver } of votes) expect(may(approver)).toBe(true);
        const [row] = (await rig.sql`SELECT status FROM confirm.confirm WHERE id = ${id}`) as unknown as [
          { status: string },
        ];
        if (row.status !== 'approved') return;
        approvedOnes += 1;
        const saidIn = (step: string, vote: string) =>
          votes.filter((entry) => entry.step_id === step && entry.vote === vote).length;
        const isMet = (step: string, members: number, rule: string, least: number) => {
          const [yes, no, none] = [saidIn(step, 'approve'), saidIn(step, 'reject'), saidIn(step, 'abstain')];
          if (rule === 'SINGLE') return yes === 1 && no === 0;
          if (rule === 'MAJORITY') return 2 * yes > members;
          if (rule === 'AT_LEAST') return yes >= least;
          return yes >= 1 && no === 0 && yes + none === members;
        };
        const isSingle = kind === 'SINGLE' || (kind === 'AT_LEAST' && required < 2);
        const quorum = isSingle ? 'SINGLE' : kind;
        if (template === null) {
          expect(isMet('approval', people.filter(may).length, quorum, required)).toBe(true);
          return;
        }
        const named = template.names.filter(may);
        expect(isMet('board', named.length, template.kind, 1)).toBe(true);
        if (proposed.length > 0)
          expect(isMet('proposed', proposed.length, kind === 'AT_LEAST' ? kind : quorum, required)).toBe(true);
      }),
      { numRuns: 200 },
    );
    expect(approvedOnes).toBeGreaterThan(5);
    expect(delegations).toBeGreaterThan(0);
  }, 120_000);
});

describe('what templates are picked by', () => {
  test('of a plan with costs the amount is at least what it costs, whatever is said', async () => {
    grant('bob', 'carol');
    const dear = await bind({ confirmationTypes: ['PLAN_APPROVAL'], minimumAmount: 1_000 }, board);
    const asks = async (cost: number | null, amount: number | null, draft = false) => {
      const targetId = rig.openTarget();
      if (cost !== null) rig.costs.set(targetId, cost);
      return rig.mutate(alice, 'createApproval', 'CreateApprovalInput', {
        ...{
          targetType: 'PLAN',
          targetId,
          contextId: rig.openTarget(),
          confirmationType: 'PLAN_APPROVAL',
          title: 'T',
          draft,
        },
        ...(amount === null ? {} : { subject: { amount } }),
      });
    };
    const templateOf = async (payload: Awaited<ReturnType<typeof asks>>) => {
      const id = String(payload['confirm']!['id']);
      const [row] = (await rig.sql`SELECT template_id, subject FROM confirm.confirm WHERE id = ${id}`) as unknown as {
        template_id: string | null;
        subject: { amount?: number } | null;
      }[];
      return [row!.template_id, row!.subject?.amount ?? null];
    };
    expect(await templateOf(await asks(5_000, 1))).toEqual([dear, 5_000]);
    expect(await templateOf(await asks(5_000, null))).toEqual([dear, 5_000]);
    expect(await templateOf(await asks(1, 2_000))).toEqual([dear, 2_000]);
    expect(await templateOf(await asks(null, 1))).toEqual([null, 1]);
    // A draft is looked at when it is asked for.
    const draft = String((await asks(5_000, 1, true))['confirm']!['id']);
    const { submitApproval } = await rig.ask(
      alice,
      'mutation ($id: ID!) { submitApproval(confirmId: $id) { confirm { id } userErrors { code } } }',
      { id: draft },
    );
    expect(await templateOf(submitApproval!)).toEqual([dear, 5_000]);
  });

  test('the department that is recorded of who asks counts, not the one it names', async () => {
    grant('bob', 'carol');
    const it = await bind({ confirmationTypes: ['PLAN_APPROVAL'], departments: ['it'] }, board);
    const templateOf = async (who: ReturnType<typeof principal>, department: string) => {
      const id = await open(who, { department, author: who.subject });
      const [row] = await rig.sql<
        { template: string | null; department: string }[]
      >`SELECT template_id AS template, requester->>'department' AS department FROM confirm.confirm WHERE id = ${id}`;
      return row;
    };
    const recorded = principal('rita', { scopes });
    giveAttributes(recorded, () => () => ({ department: 'it' }));
    expect(await templateOf(recorded, 'sales')).toEqual({ template: it, department: 'it' });
    expect(await templateOf(principal('nina', { scopes }), 'sales')).toEqual({ template: null, department: 'sales' });
  });
});
