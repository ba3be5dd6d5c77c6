import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, alice, bob, type ConfirmRig, carol, codesOf, dave, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const sequential = (...subjects: string[]) => ({
  type: 'SEQUENTIAL',
  steps: subjects.map((subject) => ({ id: subject, approvers: [{ subject }] })),
});

describe('createApproval', () => {
  test('opens a confirm that waits for its approver', async () => {
    const payload = await rig.create(alice, { reference: { ticket: 7 } });
    expect(payload).toMatchObject({
      confirm: {
        status: 'PENDING',
        phase: 'UNDER_REVIEW',
        version: 1,
        steps: [{ id: 'approval', status: 'ACTIVE' }],
        approvers: [{ subject: 'bob', state: 'WAITING' }],
        decisions: [],
      },
      nextApprovers: [{ subject: 'bob' }],
      userErrors: [],
    });
    const [event] = await rig.stream(String(payload['confirm']!['id']));
    expect(event).toMatchObject({
      type: 'confirm.created',
      data: { confirm: { status: 'pending', targetType: 'context', reference: { ticket: 7 } } },
    });
  });

  test('refuses what makes no sense, with nothing stored', async () => {
    const count = async () => (await rig.sql`SELECT count(*)::int AS n FROM confirm.confirm`)[0]!['n'] as number;
    const before = await count();
    const codes = async (input: object) => codesOf(await rig.create(alice, { ...input }));
    expect(await codes({ targetId: newId() })).toEqual(['TARGET_NOT_FOUND']);
    expect(await codes({ targetId: rig.openTarget('two') })).toEqual(['TARGET_NOT_FOUND']);
    expect(await codes({ approvers: [{ subject: 'alice' }] })).toEqual(['NO_ELIGIBLE_APPROVER']);
    expect(await codes({ approvers: [{ role: 'nobody has it' }] })).toEqual(['NO_ELIGIBLE_APPROVER']);
    expect(await codes({ approvers: [{ weight: 1 }] })).toEqual(['VALIDATION_FAILED']);
    expect(await codes({ approvers: [] })).toEqual(['VALIDATION_FAILED']);
    expect(await codes({ targetId: 'x' })).toEqual(['VALIDATION_FAILED']);
    expect(await codes({ title: 'a\0b' })).toEqual(['VALIDATION_FAILED']);
    expect(await codes({ templateId: newId() })).toEqual(['NOT_FOUND']);
    const step = (id: string, dependsOn: string[]) => ({ id, dependsOn, approvers: [{ subject: 'bob' }] });
    expect(await codes({ workflow: { type: 'PARALLEL', steps: [step('a', ['b']), step('b', ['a'])] } })).toEqual([
      'INVALID_WORKFLOW',
    ]);
    expect(
      await codes({ workflow: { type: 'PARALLEL', steps: [{ ...step('a', []), condition: 'constructor(' }] } }),
    ).toEqual(['INVALID_WORKFLOW']);
    expect(await count()).toBe(before);
  });

  test('a target has one open confirm of a type, also when asked at once', async () => {
    const targetId = rig.openTarget();
    const all = await Promise.all(Array.from({ length: 8 }, () => rig.create(alice, { targetId })));
    const open = all.filter((payload) => codesOf(payload).length === 0);
    expect(open).toHaveLength(1);
    expect(all.flatMap(codesOf)).toEqual(Array.from({ length: 7 }, () => 'DUPLICATE_REQUEST'));
    expect(codesOf(await rig.create(alice, { targetId, confirmationType: 'PLAN_APPROVAL' }))).toEqual([]);
    await rig.decide(bob, String(open[0]!['confirm']!['id']), 'APPROVED');
    expect(codesOf(await rig.create(alice, { targetId }))).toEqual([]);
  });

  test('the same key answers the same confirm; another input is refused', async () => {
    const targetId = rig.openTarget();
    const first = await rig.create(alice, { targetId, idempotencyKey: 'k1' });
    const again = await rig.create(alice, { targetId, idempotencyKey: 'k1' });
    expect(again['confirm']!['id']).toBe(first['confirm']!['id']);
    expect(codesOf(await rig.create(alice, { targetId, idempotencyKey: 'k1', title: 'other' }))).toEqual([
      'IDEMPOTENCY_MISMATCH',
    ]);
  });

  test('roles are people: those who hold them, without who asks', async () => {
    rig.roles.current = new Map([['lead', ['alice', 'bob', 'carol']]]);
    const payload = await rig.create(alice, { approvers: [{ role: 'lead' }] });
    // Carol first: more waits for bob.
    expect(payload['confirm']!['approvers']!.map(({ subject }) => subject)).toEqual(['carol', 'bob']);
    // Where nobody keeps roles only who was named with one stands for it.
    rig.roles.current = null;
    const named = await rig.create(alice, { approvers: [{ role: 'lead' }, { role: 'lead', subject: 'dave' }] });
    expect(named['confirm']!['approvers']!.map(({ subject }) => subject)).toEqual(['dave']);
    rig.roles.current = new Map();
  });
});

describe('processApproval', () => {
  test('self-approval, strangers, double decisions: refused, and nothing changes', async () => {
    const id = await rig.open(alice, { workflow: sequential('bob', 'carol') });
    const before = await rig.stored(id);
    expect(codesOf(await rig.decide(alice, id, 'APPROVED'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
    expect(codesOf(await rig.decide(dave, id, 'APPROVED'))).toEqual(['NOT_AN_APPROVER']);
    expect(codesOf(await rig.decide(carol, id, 'APPROVED'))).toEqual(['STEP_NOT_ACTIVE']);
    expect(codesOf(await rig.decide(bob, id, 'REJECTED', { rationale: '  ' }))).toEqual(['RATIONALE_REQUIRED']);
    expect(codesOf(await rig.decide(bob, id, 'APPROVED', { expectedVersion: 9 }))).toEqual(['VERSION_CONFLICT']);
    expect(codesOf(await rig.decide(bob, id, 'APPROVED', { stepId: 'none' }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await rig.decide(bob, newId(), 'APPROVED'))).toEqual(['NOT_FOUND']);
    expect(codesOf(await rig.decide(principal('bob', { tenantId: 'two' }), id, 'APPROVED'))).toEqual(['NOT_FOUND']);
    const { errors } = await rig.run(
      principal('bob', { scopes: ['confirm:read'] }),
      'mutation ($id: ID!) { approveConfirm(confirmId: $id) { userErrors { code } } }',
      { id },
    );
    expect(errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect(await rig.stored(id)).toBe(before);

    const first = await rig.decide(bob, id, 'APPROVED', { idempotencyKey: 'once' });
    expect(first).toMatchObject({ confirm: { phase: 'IN_PROGRESS' }, nextApprovers: [{ subject: 'carol' }] });
    const after = await rig.stored(id);
    expect(codesOf(await rig.decide(bob, id, 'APPROVED'))).toEqual(['ALREADY_DECIDED']);
    expect(codesOf(await rig.decide(bob, id, 'APPROVED', { idempotencyKey: 'once' }))).toEqual([]);
    expect(await rig.stored(id)).toBe(after);

    expect(await rig.decide(carol, id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
    expect((await rig.stream(id)).at(-1)).toMatchObject({
      type: 'confirm.resolved',
      data: { confirm: { status: 'approved' } },
    });
    expect(codesOf(await rig.decide(carol, id, 'REJECTED'))).toEqual(['ALREADY_DECIDED']);
    expect(codesOf(await rig.decide(dave, id, 'REJECTED'))).toEqual(['STEP_NOT_ACTIVE']);
  });

  test('of many concurrent decisions of one approver one stands', async () => {
    const id = await rig.open(alice, {
      approvers: [{ subject: 'bob' }, { subject: 'carol' }],
      quorum: { kind: 'UNANIMOUS' },
    });
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, index) => rig.decide(bob, id, index % 2 === 0 ? 'APPROVED' : 'ABSTAINED')),
    );
    expect(all.filter((payload) => codesOf(payload).length === 0)).toHaveLength(1);
    const rows = await rig.sql`SELECT approver FROM confirm.decision WHERE confirm_id = ${id} AND vote IS NOT NULL`;
    expect(rows).toHaveLength(1);
  });

  test('a rejection ends it with its reason; a conditional approval counts', async () => {
    const id = await rig.open(alice);
    expect(await rig.decide(bob, id, 'REJECTED', { rationale: 'too dear' })).toMatchObject({
      confirm: { status: 'REJECTED', reason: 'too dear', resolution: 'too dear', phase: 'COMPLETED' },
    });
    const other = await rig.open(alice);
    await rig.decide(bob, other, 'CONDITIONAL_APPROVAL', { conditions: [{ text: 'cheaper', required: false }] });
    const { confirm } = await rig.ask(
      alice,
      'query ($id: ID!) { confirm(id: $id) { status decisions { outcome conditions { text required status } } document } }',
      { id: other },
    );
    expect(confirm).toMatchObject({
      status: 'APPROVED',
      decisions: [{ outcome: 'CONDITIONAL_APPROVAL', conditions: [{ text: 'cheaper', required: false }] }],
      document: { status: 'approved', decisions: [{ status: 'approved', decided_by_role: 'member' }] },
    });
    const changes = await rig.open(alice, {
      approvers: [{ subject: 'bob' }, { subject: 'carol' }],
      quorum: { kind: 'MAJORITY' },
    });
    expect(await rig.decide(bob, changes, 'CHANGES_REQUESTED', { rationale: 'rewrite it' })).toMatchObject({
      confirm: { status: 'REJECTED', resolution: 'rewrite it' },
    });
  });

  test('delegation moves the part, three times at most, never to who asked', async () => {
    const id = await rig.open(alice);
    const pass = (who: typeof bob, to: string) => rig.decide(who, id, 'DELEGATED', { delegateTo: to });
    expect(codesOf(await pass(bob, 'alice'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
    expect(codesOf(await pass(bob, 'bob'))).toEqual(['DELEGATION_FORBIDDEN']);
    expect(await pass(bob, 'carol')).toMatchObject({ nextApprovers: [{ subject: 'carol' }] });
    expect(codesOf(await rig.decide(bob, id, 'APPROVED'))).toEqual(['NOT_AN_APPROVER']);
    expect(codesOf(await pass(carol, 'dave'))).toEqual([]);
    expect(codesOf(await pass(dave, 'erin'))).toEqual([]);
    expect(codesOf(await pass(principal('erin'), 'frank'))).toEqual(['DELEGATION_FORBIDDEN']);
    expect(await rig.decide(principal('erin'), id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  });

  test('a deferral keeps the part open', async () => {
    const id = await rig.open(alice);
    expect(await rig.decide(bob, id, 'DEFERRED')).toMatchObject({ confirm: { phase: 'DEFERRED', status: 'PENDING' } });
    expect(await rig.decide(bob, id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  });

  test('who asked cancels it, or an administrator', async () => {
    const cancel = (who: typeof bob, id: string) =>
      rig.run(
        who,
        'mutation ($id: ID!) { cancelConfirm(confirmId: $id, reason: "moot") { confirm { status } userErrors { code } } }',
        { id },
      );
    const id = await rig.open(alice);
    expect((await cancel(bob, id)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect((await cancel(alice, id)).data).toMatchObject({ cancelConfirm: { confirm: { status: 'CANCELLED' } } });
    expect((await cancel(alice, id)).data).toMatchObject({
      cancelConfirm: { userErrors: [{ code: 'INVALID_STATE' }] },
    });
    expect((await cancel(admin, await rig.open(alice))).data).toMatchObject({
      cancelConfirm: { confirm: { status: 'CANCELLED' } },
    });
  });
});

describe('workflows', () => {
  test('conditions skip, checks decide, all in one call', async () => {
    const workflow = {
      type: 'CONDITIONAL',
      steps: [
        { id: 'budget', kind: 'AUTOMATED_VALIDATION', check: 'resource.amount <= 1000' },
        { id: 'lead', dependsOn: ['budget'], approvers: [{ subject: 'bob' }] },
        { id: 'board', dependsOn: ['lead'], condition: 'resource.amount > 500', approvers: [{ role: 'nobody' }] },
      ],
    };
    const small = await rig.open(alice, { workflow, subject: { amount: 10 } }).catch((error: Error) => error.message);
    // The board's step is not skipped before the lead has decided: it needs somebody.
    expect(small).toContain('NO_ELIGIBLE_APPROVER');
    rig.roles.current = new Map([['nobody', ['carol']]]);
    const id = await rig.open(alice, { workflow, subject: { amount: 10 } });
    expect(await rig.decide(bob, id, 'APPROVED')).toMatchObject({
      confirm: { status: 'APPROVED', steps: [{ status: 'APPROVED' }, { status: 'APPROVED' }, { status: 'SKIPPED' }] },
    });
    const told = await rig.stream(id);
    expect(told.map(({ type }) => type)).toEqual([
      'confirm.created',
      'confirm.decided',
      'confirm.step.started',
      'confirm.decided',
      'confirm.step.completed',
      'confirm.steps.skipped',
      'confirm.resolved',
    ]);
    expect(told[1]).toMatchObject({ data: { decision: { approver: 'system:confirm', outcome: 'approved' } } });
    expect(told[5]).toMatchObject({ data: { stepIds: ['board'] } });
    expect(await rig.create(alice, { workflow, subject: { amount: 5000 } })).toMatchObject({
      confirm: { status: 'REJECTED', decisions: [{ approver: 'system:confirm', outcome: 'REJECTED' }] },
    });
    rig.roles.current = new Map();
  });

  test('templates: versions, triggers, and what runs keeps its version', async () => {
    const made = await rig.ask(
      admin,
      'mutation ($input: CreateWorkflowTemplateInput!) { createWorkflowTemplate(input: $input) { template { id version type steps { id kind quorum { kind } rules { approvers { subject } approverSelection onRejection maxDelegations timeout { action } escalation { timeoutMs } } } } userErrors { code } } }',
      {
        input: {
          name: 'Emergencies',
          triggers: { confirmationTypes: ['EMERGENCY_APPROVAL'] },
          workflow: sequential('bob', 'carol'),
        },
      },
    );
    const template = made['createWorkflowTemplate']!['template']!;
    expect(template).toMatchObject({ version: 1, type: 'SEQUENTIAL' });
    expect(template['steps']![0]).toMatchObject({
      kind: 'HUMAN_APPROVAL',
      rules: {
        approvers: [{ subject: 'bob' }],
        approverSelection: 'ROLE_BASED',
        onRejection: 'REJECT',
        escalation: [],
      },
    });
    const running = await rig.open(alice, { confirmationType: 'EMERGENCY_APPROVAL', approvers: null });
    const update = (expectedVersion: number) =>
      rig.ask(
        admin,
        'mutation ($id: ID!, $patch: WorkflowTemplatePatch!, $v: Int) { updateWorkflowTemplate(templateId: $id, patch: $patch, expectedVersion: $v) { template { version } userErrors { code } } }',
        { id: template['id'], patch: { workflow: sequential('dave') }, v: expectedVersion },
      );
    expect(await update(1)).toMatchObject({ updateWorkflowTemplate: { template: { version: 2 } } });
    expect(await update(1)).toMatchObject({ updateWorkflowTemplate: { userErrors: [{ code: 'VERSION_CONFLICT' }] } });
    const { approvalWorkflow } = await rig.ask(
      alice,
      'query ($id: ID!) { approvalWorkflow(confirmId: $id) { type progress activeSteps { id rules { approvers { subject } minimumRationale } } nextApprovers { subject } tallies { stepId remaining } predictedCompletion confirm { templateVersion } } }',
      { id: running },
    );
    expect(approvalWorkflow).toMatchObject({
      type: 'SEQUENTIAL',
      progress: 0,
      activeSteps: [{ id: 'bob' }],
      nextApprovers: [{ subject: 'bob' }],
      tallies: [{ stepId: 'bob', remaining: 1 }],
      predictedCompletion: expect.any(String) as string,
      confirm: { templateVersion: 1 },
    });
    const started = await rig.ask(
      alice,
      `mutation ($id: ID!, $input: CreateApprovalInput!) { startApprovalWorkflow(templateId: $id, input: $input) { ${rig.selection} } }`,
      {
        id: template['id'],
        input: {
          targetType: 'CONTEXT',
          targetId: rig.openTarget(),
          confirmationType: 'EMERGENCY_APPROVAL',
          title: 'now',
        },
      },
    );
    expect(started['startApprovalWorkflow']).toMatchObject({ nextApprovers: [{ subject: 'dave' }], userErrors: [] });
    const { workflowTemplates } = await rig.ask(alice, '{ workflowTemplates { nodes { name version steps { id } } } }');
    expect(workflowTemplates).toMatchObject({ nodes: [{ name: 'Emergencies', version: 2 }] });
  });
});

describe('lists', () => {
  test('confirms by filter, pages by keyset, tenants apart', async () => {
    const targetId = rig.openTarget();
    const [first, second] = [
      await rig.open(alice, { targetId }),
      await rig.open(alice, { targetId, confirmationType: 'PLAN_APPROVAL' }),
    ];
    const page = async (after: string | null, who = alice) =>
      (
        await rig.ask(
          who,
          'query ($filter: ConfirmFilter, $after: String) { confirms(filter: $filter, first: 1, after: $after) { nodes { id context { id } target { ... on Context { id } } } pageInfo { hasNextPage endCursor } totalCount } }',
          { filter: { contextId: targetId }, after },
        )
      )['confirms']!;
    const newest = await page(null);
    expect(newest).toMatchObject({
      nodes: [{ id: second, context: { id: targetId }, target: { id: targetId } }],
      totalCount: 2,
    });
    expect(await page(String(newest['pageInfo']!['endCursor']))).toMatchObject({
      nodes: [{ id: first }],
      pageInfo: { hasNextPage: false },
    });
    expect(await page(null, principal('alice', { tenantId: 'two' }))).toMatchObject({ nodes: [], totalCount: 0 });
    const figures = await rig.ask(
      alice,
      'query ($filter: ConfirmFilter) { confirmStatistics(filter: $filter) { total byStatus { key count } approvalRate } approvalMetrics { waiting } }',
      { filter: { contextId: targetId } },
    );
    expect(figures).toMatchObject({
      confirmStatistics: { total: 2, byStatus: [{ key: 'pending', count: 2 }], approvalRate: null },
      approvalMetrics: { waiting: 0 },
    });
    const overdue = async () => {
      const { confirmStatistics } = await rig.ask(
        alice,
        'query ($filter: ConfirmFilter) { confirmStatistics(filter: $filter) { overdue } }',
        { filter: { contextId: targetId } },
      );
      return confirmStatistics!['overdue'];
    };
    // That a reminder is due makes nobody late.
    await rig.sql`UPDATE confirm.confirm SET next_deadline_at = now() - interval '1 second' WHERE id = ${first}`;
    expect(await overdue()).toBe(0);
    await rig.sql`UPDATE confirm.approver SET due_at = now() - interval '1 second' WHERE confirm_id = ${first}`;
    expect(await overdue()).toBe(1);
  });

  test('fields of contexts, plans and subjects', async () => {
    const contextId = rig.openTarget();
    const id = await rig.open(alice, { targetId: contextId, approvers: [{ subject: 'erin' }] });
    const entities = (who: typeof alice) =>
      rig.run(
        who,
        'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Context { confirms(status: [PENDING]) { nodes { id } } } ... on Subject { pendingApprovals { waiting nodes { confirm { id } } } } ... on Confirm { status } } }',
        {
          r: [
            { __typename: 'Context', id: contextId },
            { __typename: 'Subject', id: 'erin' },
            { __typename: 'Confirm', id },
          ],
        },
      );
    expect((await entities(admin)).data['_entities']).toEqual([
      { confirms: { nodes: [{ id }] } },
      { pendingApprovals: { waiting: 1, nodes: [{ confirm: { id } }] } },
      { status: 'PENDING' },
    ]);
    expect((await entities(alice)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  });
});
