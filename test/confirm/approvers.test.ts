import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, bob, type ConfirmRig, carol, codesOf, dave, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const one = (step: object) => ({
  type: 'ESCALATION',
  steps: [{ id: 'lead', approvers: [{ subject: 'bob' }], ...step }],
});

describe('a rejection that goes to the next level', () => {
  const escalation = [
    { role: 'head', timeoutHours: 1 },
    { subject: 'dave', timeoutHours: 1 },
  ];
  const workflow = one({ onRejection: 'ESCALATE', escalation });

  test('is decided there, level by level, and stands past the last one', async () => {
    rig.roles.current = new Map([['head', ['alice', 'carol']]]);
    const id = await rig.open(alice, { workflow });
    expect(await rig.decide(bob, id, 'REJECTED', { rationale: 'not by me' })).toMatchObject({
      confirm: {
        status: 'PENDING',
        phase: 'ESCALATED',
        steps: [{ status: 'ACTIVE', level: 1 }],
        // Who asked holds the role too, and is passed over.
        approvers: [
          { subject: 'bob', state: 'DECIDED', level: 0 },
          { subject: 'carol', state: 'WAITING', level: 1 },
        ],
        decisions: [
          { outcome: 'REJECTED', approver: 'bob' },
          { outcome: 'ESCALATED', approver: 'system:confirm', rationale: 'not by me' },
        ],
      },
      nextApprovers: [{ subject: 'carol' }],
    });
    expect(await rig.decide(carol, id, 'REJECTED', { idempotencyKey: 'carol' })).toMatchObject({
      confirm: { status: 'PENDING', steps: [{ level: 2 }] },
    });
    const after = await rig.stored(id);
    expect(codesOf(await rig.decide(carol, id, 'REJECTED', { idempotencyKey: 'carol' }))).toEqual([]);
    expect(codesOf(await rig.decide(carol, id, 'REJECTED'))).toEqual(['ALREADY_DECIDED']);
    expect(await rig.stored(id)).toBe(after);
    expect(await rig.decide(dave, id, 'REJECTED', { rationale: 'nor by me' })).toMatchObject({
      confirm: { status: 'REJECTED', reason: 'nor by me' },
    });
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: true });
  });

  test('may be approved there; a request for changes goes back at once', async () => {
    const approved = await rig.open(alice, { workflow });
    await rig.decide(bob, approved, 'REJECTED');
    expect(await rig.decide(carol, approved, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    const sentBack = await rig.open(alice, { workflow });
    expect(await rig.decide(bob, sentBack, 'CHANGES_REQUESTED', { rationale: 'redo' })).toMatchObject({
      confirm: { status: 'REJECTED', resolution: 'redo' },
    });
    // A level without anybody is passed over; without any the rejection stands.
    rig.roles.current = new Map();
    const empty = await rig.open(alice, { workflow: one({ onRejection: 'ESCALATE' }) });
    expect(await rig.decide(bob, empty, 'REJECTED')).toMatchObject({ confirm: { status: 'REJECTED' } });
  });
});

describe('fallback approvers', () => {
  const asked = async (step: object) =>
    (await rig.create(alice, { workflow: one(step) }))['nextApprovers']?.map(({ subject }) => String(subject));

  test('are asked where those named are too few, and only then', async () => {
    rig.roles.current = new Map([
      ['owner', ['alice']],
      ['board', ['carol', 'dave']],
    ]);
    const fallbackApprovers = [{ role: 'board' }];
    expect((await asked({ approvers: [{ role: 'owner' }], fallbackApprovers }))!.toSorted()).toEqual(['carol', 'dave']);
    expect(await asked({ approvers: [{ subject: 'bob' }], fallbackApprovers })).toEqual(['bob']);
    const quorum = { kind: 'AT_LEAST', required: 2 };
    expect((await asked({ quorum, fallbackApprovers }))!.toSorted()).toEqual(['bob', 'carol', 'dave']);
    const none = await rig.create(alice, {
      workflow: one({ approvers: [{ role: 'owner' }], fallbackApprovers: [{ subject: 'alice' }] }),
    });
    expect(codesOf(none)).toEqual(['NO_ELIGIBLE_APPROVER']);
    rig.roles.current = new Map();
  });
});

describe('delegation', () => {
  const pass = (who: typeof bob, id: string, to: string) => rig.decide(who, id, 'DELEGATED', { delegateTo: to });
  const chains = async (id: string) =>
    (
      await rig.ask(
        alice,
        'query ($id: ID!) { confirm(id: $id) { steps { maxDelegations } approvers { subject state delegationChain } } }',
        { id },
      )
    )['confirm']!;

  test('names whose part it was, link by link, and never closes a ring', async () => {
    const id = await rig.open(alice, { workflow: one({}) });
    await pass(bob, id, 'carol');
    expect(codesOf(await pass(carol, id, 'bob'))).toEqual(['DELEGATION_FORBIDDEN']);
    await pass(carol, id, 'dave');
    await pass(dave, id, 'erin');
    expect(await chains(id)).toEqual({
      steps: [{ maxDelegations: 3 }],
      approvers: [
        { subject: 'bob', state: 'DELEGATED', delegationChain: [] },
        { subject: 'carol', state: 'DELEGATED', delegationChain: ['bob'] },
        { subject: 'dave', state: 'DELEGATED', delegationChain: ['bob', 'carol'] },
        { subject: 'erin', state: 'WAITING', delegationChain: ['bob', 'carol', 'dave'] },
      ],
    });
    expect(codesOf(await pass(principal('erin'), id, 'frank'))).toEqual(['DELEGATION_FORBIDDEN']);
    expect(await rig.decide(principal('erin'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  });

  test('stops where the step says', async () => {
    const once = await rig.open(alice, { workflow: one({ maxDelegations: 1 }) });
    expect(codesOf(await pass(bob, once, 'carol'))).toEqual([]);
    expect(codesOf(await pass(carol, once, 'dave'))).toEqual(['DELEGATION_FORBIDDEN']);
    const never = await rig.open(alice, { workflow: one({ delegationAllowed: false }) });
    expect(codesOf(await pass(bob, never, 'carol'))).toEqual(['DELEGATION_FORBIDDEN']);
    expect((await chains(never))['steps']).toEqual([{ maxDelegations: 0 }]);
    expect(codesOf(await rig.create(alice, { workflow: one({ maxDelegations: 4 }) }))).toEqual(['VALIDATION_FAILED']);
  });
});

describe('many decisions in one call', () => {
  const batch = async (who: typeof bob, inputs: readonly object[]) =>
    (
      await rig.ask(
        who,
        `mutation ($inputs: [ApprovalDecisionInput!]!) { processApprovals(inputs: $inputs) { results { confirm { id status } userErrors { code } } userErrors { code } } }`,
        { inputs },
      )
    )['processApprovals']!;

  test('each stands by itself', async () => {
    const [one, two, three] = [await rig.open(alice), await rig.open(alice), await rig.open(alice)];
    const missing = newId();
    const decisions = [
      { confirmId: one, decision: 'APPROVED', idempotencyKey: 'b1' },
      { confirmId: missing, decision: 'APPROVED' },
      { confirmId: two, decision: 'REJECTED' },
      { confirmId: three, decision: 'REJECTED', rationale: 'no' },
    ];
    expect(await batch(bob, decisions)).toEqual({
      results: [
        { confirm: { id: one, status: 'APPROVED' }, userErrors: [] },
        { confirm: null, userErrors: [{ code: 'NOT_FOUND' }] },
        { confirm: null, userErrors: [{ code: 'RATIONALE_REQUIRED' }] },
        { confirm: { id: three, status: 'REJECTED' }, userErrors: [] },
      ],
      userErrors: [],
    });
    const after = await rig.stored(one);
    expect((await batch(bob, decisions.slice(0, 1)))['results']).toMatchObject([{ confirm: { id: one } }]);
    expect(await rig.stored(one)).toBe(after);
    expect(await batch(bob, [])).toMatchObject({ results: null, userErrors: [{ code: 'VALIDATION_FAILED' }] });
    const many = Array.from({ length: 101 }, () => ({ confirmId: two, decision: 'APPROVED' }));
    expect(await batch(bob, many)).toMatchObject({ results: null, userErrors: [{ code: 'VALIDATION_FAILED' }] });
  });
});

test('the answer to a request says when it is likely to end', async () => {
  const { createApproval } = await rig.ask(
    alice,
    'mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { estimatedCompletion confirm { expiresAt requestedAt } } }',
    {
      input: {
        targetType: 'CONTEXT',
        targetId: rig.openTarget(),
        confirmationType: 'TASK_APPROVAL',
        title: 'When?',
        approvers: [{ subject: 'bob' }],
        timeout: { duration: 2, unit: 'HOURS', action: 'AUTO_REJECT' },
      },
    },
  );
  const asked = Date.parse(String(createApproval!['confirm']!['requestedAt']));
  expect(Date.parse(String(createApproval!['estimatedCompletion']))).toBe(asked + 2 * 3_600_000);
});
