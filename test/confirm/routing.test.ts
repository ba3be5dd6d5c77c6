import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import type { Json } from './rig.ts';

const errors = 'userErrors { code message }';
const createRole = `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } ${errors} } }`;
const assignRole = `mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id status } ${errors} } }`;
const createApproval = `mutation ($input: CreateApprovalInput!) {
  createApproval(input: $input) { confirm { id status approvers { subject role state } } ${errors} }
}`;

describe.each(modes)('approvers by role, %s', (mode) => {
  let platform: Platform;
  let admin: string;
  const names = { lead: '', head: '', plain: '' };
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    admin = await platform.token({ tenant: 'one', subject: 'boss', roles: ['admin'] });
    names.lead = await role('lead');
    names.head = await role('head', { parents: [{ roleId: names.lead }] });
    await assign(names.lead, 'linda');
    // Head inherits lead: who holds it may do what a lead may.
    await assign(names.head, 'hugo');
  });
  afterAll(() => platform?.close());

  async function ask(document: string, variables: Readonly<Record<string, unknown>> = {}, token = admin) {
    const answer = await platform.query<Record<string, unknown>>(document, variables, { token });
    expect(answer.errors).toEqual([]);
    return answer.data as unknown as Json;
  }

  /** A mutation that is expected to be done. */
  async function change(document: string, input: object): Promise<Json> {
    const payload = Object.values(await ask(document, { input }))[0] as unknown as Json;
    expect(payload['userErrors']).toEqual([]);
    return payload;
  }

  const role = async (name: string, more: object = {}) =>
    String((await change(createRole, { name, ...more }))['role']!['id']);
  const assign = async (roleId: string, subjectId: string, more: object = {}) =>
    (await change(assignRole, { roleId, subjectId, ...more }))['assignment']!;

  const context = async (title: string) =>
    String(
      (
        await change(
          `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
          { title, root: { domain: 'd', environment: 'e' } },
        )
      )['context']!['id'],
    );

  const approvalBy = (targetId: string, approvers: readonly object[]) =>
    change(createApproval, {
      targetType: 'CONTEXT',
      targetId,
      confirmationType: 'RISK_ACCEPTANCE',
      title: 'May we?',
      approvers,
    });

  async function until<T>(look: () => Promise<T | null | undefined>): Promise<T> {
    for (const endMs = Date.now() + 10_000; Date.now() < endMs; await sleep(50)) {
      const found = await look();
      if (found != null) return found;
    }
    throw new Error('it did not come to pass within ten seconds');
  }

  const approversIn = (payload: Json) =>
    payload['confirm']!['approvers']!.map((approver) => [String(approver['subject']), String(approver['role'])]);

  test('whoever holds the role named, or one that inherits it, is asked', async () => {
    const contextId = await context('by name');
    const byName = approversIn(await approvalBy(contextId, [{ role: 'lead' }]));
    expect(byName).toEqual([
      ['hugo', 'lead'],
      ['linda', 'lead'],
    ]);
    const other = await context('by id');
    expect(approversIn(await approvalBy(other, [{ role: names.head }]))).toEqual([['hugo', names.head]]);
  });

  test('by hierarchy who holds the role itself is asked before who holds one that inherits it', async () => {
    const selected = async (title: string, approvers: readonly object[]) =>
      approversIn(
        await change(createApproval, {
          ...{ targetType: 'CONTEXT', targetId: await context(title), confirmationType: 'RISK_ACCEPTANCE', title: '?' },
          workflow: { type: 'SEQUENTIAL', steps: [{ approvers, approverSelection: 'ROLE_HIERARCHY' }] },
        }),
      ).map(([subject]) => subject);
    expect(await selected('the nearest', [{ role: 'lead' }])).toEqual(['linda']);
    const low = await role('low');
    await role('middle', { parents: [{ roleId: low }] });
    const high = await role('high', { parents: [{ roleId: low }] });
    await assign(high, 'hanna');
    expect(await selected('from above', [{ role: 'low' }])).toEqual(['hanna']);
  });

  test('who holds a role in one context is asked for what lies in it alone', async () => {
    const roleId = await role('steward');
    const [here, there] = [await context('here'), await context('there')];
    await assign(roleId, 'stella', { contextId: here });
    expect(approversIn(await approvalBy(here, [{ role: 'steward' }]))).toEqual([['stella', 'steward']]);
    const refused = await ask(createApproval, {
      input: {
        targetType: 'CONTEXT',
        targetId: there,
        confirmationType: 'RISK_ACCEPTANCE',
        title: 'May we?',
        approvers: [{ role: 'steward' }],
      },
    });
    expect(refused['createApproval']!['userErrors']).toMatchObject([{ code: 'NO_ELIGIBLE_APPROVER' }]);
  });

  test('the right to decide may come from a role of the module', async () => {
    const roleId = await role('judge', {
      permissions: [{ resourceType: 'confirm', actions: ['read', 'approve'] }],
    });
    const contextId = await context('judged');
    const token = await platform.token({ tenant: 'one', subject: 'judy', roles: [], scopes: ['role:read'] });
    const approve = (id: string) =>
      platform.query<Record<string, Json>>(
        `mutation ($id: ID!) { approveConfirm(confirmId: $id, rationale: "yes") { confirm { status } ${errors} } }`,
        { id },
        { token },
      );
    const confirmId = String(
      (await approvalBy(contextId, [{ subject: 'judy' }, { subject: 'linda' }]))['confirm']!['id'],
    );
    expect((await approve(confirmId)).errors).toMatchObject([{ extensions: { code: 'PERMISSION_DENIED' } }]);
    await assign(roleId, 'judy');
    const answer = await until(async () => {
      const given = await approve(confirmId);
      return given.errors.length === 0 ? given : null;
    });
    expect(answer.data?.['approveConfirm']).toEqual({ confirm: { status: 'APPROVED' }, userErrors: [] });
  });

  const waitingFor = (token: string, targetId: string) =>
    until(async () => {
      const { approvalsInbox } = await ask('{ approvalsInbox { nodes { confirm { id targetId } } } }', {}, token);
      const item = approvalsInbox!
        ['nodes']!.filter(({ confirm }) => String(confirm!['targetId']) === targetId)
        .map(({ confirm }) => String(confirm!['id']))[0];
      return item;
    });

  test.each([
    ['approveConfirm', 'rationale', 'ACTIVE'],
    ['rejectConfirm', 'reason', 'REVOKED'],
  ])('an assignment that needs an approval ends its waiting by %s', async (mutation, argument, status) => {
    const gate = await role(`gate_${mutation}`);
    await assign(gate, 'gatekeeper');
    const guarded = await role(`guarded_${mutation}`, {
      assignmentRules: [{ action: 'REQUIRE_APPROVAL', approverRoles: [`gate_${mutation}`] }],
    });
    const { id, status: first } = await assign(guarded, 'newcomer');
    expect(first).toBe('PENDING');
    const token = await platform.token({ tenant: 'one', subject: 'gatekeeper', roles: ['member'] });
    const confirmId = await waitingFor(token, String(id));
    const decided = await ask(
      `mutation ($id: ID!) { ${mutation}(confirmId: $id, ${argument}: "so be it") { confirm { status } ${errors} } }`,
      { id: confirmId },
      token,
    );
    expect(decided[mutation]!['userErrors']).toEqual([]);
    const standing = await until(async () => {
      const { userRoles } = await ask(
        'query ($id: ID!) { userRoles(subjectId: $id, first: 50) { nodes { id status approval { confirmId confirm { id status } } statusReason } } }',
        { id: 'newcomer' },
      );
      return userRoles!
        ['nodes']!.filter((one) => one['id'] === id && String(one['status']) !== 'PENDING')
        .map((one) => one)[0];
    });
    expect(standing).toMatchObject({ status, approval: { confirmId, confirm: { id: confirmId } } });
    if (status === 'REVOKED') expect(standing['statusReason']).toContain('so be it');
  });

  test('an assignment that nobody can approve ends with the reason of the refusal', async () => {
    await role('vacant');
    const guarded = await role('guarded_by_nobody', {
      assignmentRules: [{ action: 'REQUIRE_APPROVAL', approverRoles: ['vacant'] }],
    });
    const { id } = await assign(guarded, 'candidate');
    const standing = await until(async () => {
      const { userRoles } = await ask(
        'query ($id: ID!) { userRoles(subjectId: $id, first: 50) { nodes { id status statusReason approval { required status } } } }',
        { id: 'candidate' },
      );
      return userRoles!
        ['nodes']!.filter((one) => one['id'] === id && String(one['status']) !== 'PENDING')
        .map((one) => one)[0];
    });
    expect(standing).toMatchObject({
      status: 'REVOKED',
      statusReason: 'nobody may decide the step approval; who asks cannot',
      approval: { required: true, status: 'REJECTED' },
    });
    const { confirms } = await ask('query ($id: ID!) { confirms(filter: { targetId: $id }) { totalCount } }', { id });
    expect(confirms).toEqual({ totalCount: 0 });
  });
});
