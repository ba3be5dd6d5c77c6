import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import type { Json } from './rig.ts';

const errors = 'userErrors { code message }';
const people = { alice: ['admin'], bob: ['member'], carol: ['member'], dave: ['member'], robot: ['agent'] };
type Person = keyof typeof people;

describe.each(modes)('approval of plans, %s', (mode) => {
  let platform: Platform;
  const tokens = {} as Record<Person, string>;
  let contextId: string;
  let planner: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const [subject, roles] of Object.entries(people))
      tokens[subject as Person] = await platform.token({ tenant: 'one', subject, roles });
    const created = await field(
      'alice',
      `mutation { createContext(input: { title: "A room", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
    );
    contextId = String(created['context']!['id']);
    const role = await field(
      'alice',
      `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } ${errors} } }`,
      { input: { name: 'planner', permissions: [{ resourceType: 'plan', actions: ['read', 'approve'] }] } },
    );
    planner = String(role['role']!['id']);
    for (const subjectId of ['bob', 'carol']) await assign(subjectId);
  });
  afterAll(() => platform.close());

  /** One field of an operation that is expected to succeed. */
  async function field(who: Person, document: string, variables: Readonly<Record<string, unknown>> = {}) {
    const answer = await platform.query<Record<string, unknown>>(document, variables, { token: tokens[who] });
    expect(answer.errors).toEqual([]);
    const payload = Object.values(answer.data as unknown as Json)[0] as Json;
    if (payload?.['userErrors'] !== undefined) expect(payload['userErrors']).toEqual([]);
    return payload;
  }

  /** Gives somebody the role of those who approve plans. */
  async function assign(subjectId: string): Promise<string> {
    const { assignment } = await field(
      'alice',
      `mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } ${errors} } }`,
      { input: { roleId: planner, subjectId } },
    );
    return String(assignment!['id']);
  }

  const createPlan = async (input: Readonly<Record<string, unknown>> = {}) => {
    const { plan } = await field(
      'alice',
      `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
      {
        input: {
          contextId,
          title: 'A plan',
          objective: 'To be done',
          steps: [{ description: 'first', durationMs: 1_000 }],
          ...input,
        },
      },
    );
    return String(plan!['id']);
  };
  const propose = (id: string, approval: unknown = null) =>
    field(
      'alice',
      `mutation ($id: ID!, $approval: PlanApprovalInput) { proposePlan(planId: $id, approval: $approval) { plan { status } ${errors} } }`,
      { id, approval },
    );
  const plan = (id: string) =>
    field('alice', 'query ($id: ID!) { plan(planId: $id) { id status statusReason confirmId } }', { id });
  const inbox = async (who: Person, planId: string): Promise<string[]> => {
    const { nodes } = await field(who, '{ approvalsInbox { nodes { confirm { id planId } } } }');
    return nodes!
      .map(({ confirm }) => confirm!)
      .flatMap((confirm) => (String(confirm['planId']) === planId ? [String(confirm['id'])] : []));
  };
  const approve = (who: Person, id: string) =>
    field(
      who,
      `mutation ($id: ID!) { approveConfirm(confirmId: $id, rationale: "yes") { confirm { status } ${errors} } }`,
      { id },
    );
  const reject = (who: Person, id: string, reason: string) =>
    field(
      who,
      `mutation ($id: ID!, $reason: String!) { rejectConfirm(confirmId: $id, reason: $reason) { confirm { status } ${errors} } }`,
      { id, reason },
    );
  const eventually = <T>(read: () => Promise<T>, check: (value: T) => void) =>
    expect.poll(read, { timeout: 15_000, interval: 100 }).toSatisfy((value: T) => {
      try {
        check(value);
        return true;
      } catch {
        return false;
      }
    });
  /** The confirm that waits for somebody about a plan. */
  async function waiting(who: Person, planId: string): Promise<string> {
    await eventually(
      () => inbox(who, planId),
      (ids) => expect(ids).toHaveLength(1),
    );
    return (await inbox(who, planId))[0]!;
  }
  const becomes = (id: string, expected: Readonly<Record<string, unknown>>) =>
    eventually(
      () => plan(id),
      (value) => expect(value).toMatchObject(expected),
    );

  test('rejected with a reason, proposed again, and approved by its quorum of role holders', async () => {
    const id = await createPlan({
      requiresApproval: true,
      approval: { approverRoles: ['planner'], quorum: 'AT_LEAST', required: 2 },
    });
    expect(await propose(id)).toMatchObject({ plan: { status: 'PROPOSED' } });
    const first = await waiting('bob', id);
    await becomes(id, { status: 'PROPOSED', confirmId: first });
    expect(await waiting('carol', id)).toBe(first);
    expect(await inbox('robot', id)).toEqual([]);
    const byHand = await platform.query<Record<string, { userErrors: unknown }>>(
      `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`,
      { id },
      { token: tokens.alice },
    );
    expect(byHand.data!['approvePlan']!.userErrors).toMatchObject([{ code: 'CONFIRM_PENDING' }]);
    await reject('bob', first, 'too dear');
    await becomes(id, { status: 'DRAFT', confirmId: null });
    expect(String((await plan(id))['statusReason'])).toContain('too dear');

    await propose(id);
    const second = await waiting('bob', id);
    expect(second).not.toBe(first);
    await becomes(id, { status: 'PROPOSED', confirmId: second });
    expect(await approve('bob', second)).toMatchObject({ confirm: { status: 'PENDING' } });
    expect(await plan(id)).toMatchObject({ status: 'PROPOSED' });
    expect(await approve('carol', second)).toMatchObject({ confirm: { status: 'APPROVED' } });
    await becomes(id, { status: 'APPROVED', confirmId: null });
  });

  test('a proposal may name more approvers; one who cannot approve sends it back with the reason', async () => {
    const id = await createPlan({ requiresApproval: true });
    // Its author, and one to whom no role grants plan:approve.
    for (const [subject, reason] of [
      ['alice', 'alice asked for the approval or wrote the plan'],
      ['robot', 'no role grants plan:approve here to robot'],
    ]) {
      await propose(id, { approvers: [subject] });
      await becomes(id, { status: 'DRAFT', confirmId: null });
      expect(String((await plan(id))['statusReason'])).toContain(reason);
    }
    await propose(id, { approvers: ['bob'] });
    // Named or not, those who hold the right are asked.
    await waiting('carol', id);
    await approve('bob', await waiting('bob', id));
    await becomes(id, { status: 'APPROVED', confirmId: null });
  });

  test('a part is passed on to one with the right alone, and comes back once that is lost', async () => {
    const id = await createPlan({ requiresApproval: true });
    await propose(id);
    const confirmId = await waiting('bob', id);
    const pass = async (to: string) => {
      const document = `mutation ($id: ID!, $to: String!) { delegateConfirm(confirmId: $id, delegateTo: $to) { ${errors} } }`;
      const { data } = await platform.query<Json>(document, { id: confirmId, to }, { token: tokens.bob });
      return data!['delegateConfirm']!['userErrors']!.map(({ code }) => code);
    };
    expect(await pass('robot')).toEqual(['DELEGATION_FORBIDDEN']);
    const assignmentId = await assign('dave');
    expect(await pass('dave')).toEqual([]);
    expect(await waiting('dave', id)).toBe(confirmId);
    expect(await inbox('bob', id)).toEqual([]);
    await field('alice', `mutation ($id: ID!) { revokeRole(assignmentId: $id) { ${errors} } }`, { id: assignmentId });
    expect(await waiting('bob', id)).toBe(confirmId);
    expect(await inbox('dave', id)).toEqual([]);
    await approve('bob', confirmId);
    await becomes(id, { status: 'APPROVED', confirmId: null });
  });

  test('an approval asked for about a draft moves it to proposed, and its outcome on', async () => {
    const id = await createPlan();
    const { confirm } = await field(
      'alice',
      `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id plan { id title } } ${errors} } }`,
      {
        input: {
          targetType: 'PLAN',
          targetId: id,
          confirmationType: 'PLAN_APPROVAL',
          title: 'May we?',
          approvers: [{ subject: 'bob' }],
        },
      },
    );
    expect(confirm!['plan']).toEqual({ id, title: 'A plan' });
    const confirmId = String(confirm!['id']);
    await becomes(id, { status: 'PROPOSED', confirmId });
    await approve('bob', confirmId);
    await becomes(id, { status: 'APPROVED', confirmId: null });
  });

  test('what is asked about a risk of a plan leaves its status alone', async () => {
    const id = await createPlan();
    const ask = async (confirmationType: string) => {
      const input = {
        targetType: 'PLAN',
        targetId: id,
        confirmationType,
        title: 'Well?',
        approvers: [{ subject: 'bob' }],
      };
      const { confirm } = await field(
        'alice',
        `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id } ${errors} } }`,
        { input },
      );
      return String(confirm!['id']);
    };
    await approve('bob', await ask('RISK_ACCEPTANCE'));
    // Heard after the other one, in the order in which they were told.
    const confirmId = await ask('PLAN_APPROVAL');
    await becomes(id, { status: 'PROPOSED', confirmId });
  });

  test('a plan to whose approval a template is bound is approved by its people, though its author needs none', async () => {
    const { context } = await field(
      'alice',
      `mutation { createContext(input: { title: "A bank", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
    );
    const bank = String(context!['id']);
    const triggers = { confirmationTypes: ['PLAN_APPROVAL'], contextIds: [bank] };
    const workflow = { type: 'SINGLE_APPROVER', steps: [{ id: 'board', approvers: [{ subject: 'carol' }] }] };
    await field(
      'alice',
      `mutation ($input: CreateWorkflowTemplateInput!) { createWorkflowTemplate(input: $input) { template { id } ${errors} } }`,
      { input: { name: `bank ${mode}`, triggers, workflow } },
    );
    const byHand = async () => {
      const id = await createPlan({ contextId: bank, requiresApproval: false });
      const { data } = await platform.query<Record<string, { userErrors: { code: string }[] }>>(
        `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`,
        { id },
        { token: tokens.alice },
      );
      return data!['approvePlan']!.userErrors[0]?.code ?? null;
    };
    // The plan module hears of it.
    await eventually(byHand, (code) => expect(code).toBe('CONFIRM_PENDING'));
    const id = await createPlan({ contextId: bank, requiresApproval: false });
    await propose(id);
    await approve('carol', await waiting('carol', id));
    await becomes(id, { status: 'APPROVED', confirmId: null });
  });

  test('asking for the approval of a plan takes the right to propose it, and is done once', async () => {
    const id = await createPlan({ requiresApproval: true, approval: { approvers: ['bob'] } });
    const ask = async (token: string, confirmationType: string) => {
      const input = {
        targetType: 'PLAN',
        targetId: id,
        confirmationType,
        title: 'Well?',
        approvers: [{ subject: 'carol' }],
      };
      const document = `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { status } ${errors} } }`;
      const { data, errors: refused } = await platform.query<Json>(document, { input }, { token });
      return refused[0]?.extensions.code ?? data!['createApproval']!['userErrors']![0]?.['code'] ?? null;
    };
    const reader = await platform.token({
      ...{ tenant: 'one', subject: 'dora', roles: [] },
      scopes: ['confirm:read', 'confirm:create', 'plan:read', 'context:read'],
    });
    expect(await ask(reader, 'PLAN_APPROVAL')).toBe('PERMISSION_DENIED');
    expect(await ask(reader, 'RISK_ACCEPTANCE')).toBeNull();
    expect(await plan(id)).toMatchObject({ status: 'DRAFT' });
    await propose(id);
    const confirmId = await waiting('bob', id);
    expect(await ask(tokens.alice, 'PLAN_APPROVAL')).toBe('DUPLICATE_REQUEST');
    await approve('bob', confirmId);
    await becomes(id, { status: 'APPROVED', confirmId: null });
  });

  test('a step that nothing else mends asks for a decision; approved means retry', async () => {
    const id = await createPlan({ failureResolver: { strategies: ['MANUAL_INTERVENTION'] } });
    await field('bob', `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id });
    const { execution } = await field(
      'bob',
      `mutation ($id: ID!) { executePlan(input: { planId: $id }) { execution { id } ${errors} } }`,
      { id },
    );
    const executionId = String(execution!['id']);
    const claim = async () =>
      (
        await field(
          'robot',
          `mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch } ${errors} } }`,
          { id: executionId },
        )
      )['lease'];
    const lease = await claim();
    await field(
      'robot',
      `mutation ($lease: StepLeaseInput!) { failStep(lease: $lease, error: { message: "out of paper" }) { step { status } ${errors} } }`,
      { lease },
    );
    expect(await claim()).toBeNull();
    const confirmId = await waiting('bob', id);
    // It decides about a step, not about the plan.
    expect(await plan(id)).toMatchObject({ status: 'IN_PROGRESS', confirmId: null });
    await approve('bob', confirmId);
    const run = () =>
      field(
        'bob',
        'query ($id: ID!) { planExecution(executionId: $id) { status taskProgress { status ready failures } } }',
        { id: executionId },
      );
    await eventually(run, (value) =>
      expect(value).toMatchObject({ status: 'RUNNING', taskProgress: [{ status: 'PENDING', ready: true }] }),
    );
    const again = await claim();
    await field(
      'robot',
      `mutation ($lease: StepLeaseInput!) { completeStep(lease: $lease) { step { status } ${errors} } }`,
      { lease: again },
    );
    await becomes(id, { status: 'COMPLETED' });
  });

  test('a step that somebody decides about by hand waits for nobody any more', async () => {
    const id = await createPlan({ failureResolver: { strategies: ['MANUAL_INTERVENTION'] } });
    await field('bob', `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id });
    const { execution } = await field(
      'bob',
      `mutation ($id: ID!) { executePlan(input: { planId: $id }) { execution { id } ${errors} } }`,
      { id },
    );
    const executionId = String(execution!['id']);
    const { lease } = await field(
      'robot',
      `mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch } ${errors} } }`,
      { id: executionId },
    );
    await field(
      'robot',
      `mutation ($lease: StepLeaseInput!) { failStep(lease: $lease, error: { message: "out of paper" }) { step { status } ${errors} } }`,
      { lease },
    );
    const confirmId = await waiting('bob', id);
    await field(
      'carol',
      `mutation ($e: ID!, $s: ID!) { resolveStep(executionId: $e, stepId: $s, resolution: RETRY) { step { status } ${errors} } }`,
      { e: executionId, s: lease!['stepId'] },
    );
    await eventually(
      () => field('bob', 'query ($id: ID!) { confirm(id: $id) { status resolution } }', { id: confirmId }),
      (value) => expect(value).toMatchObject({ status: 'CANCELLED', resolution: 'the step is tried again' }),
    );
    expect(await inbox('bob', id)).toEqual([]);
  });
});
