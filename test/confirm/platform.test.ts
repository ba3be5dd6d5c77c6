import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCursor } from '#shared/cursor.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

interface Waiting {
  readonly approvalsWaiting: {
    readonly kind: string;
    readonly title: string;
    readonly cursor: string;
    readonly confirm: { readonly status: string; readonly context: { readonly title: string } | null };
  };
}

interface Update {
  readonly approvalUpdates: { readonly type: string; readonly status: string; readonly sequence: number };
}

interface Vote {
  readonly consensusUpdates: {
    readonly cursor: string;
    readonly sequence: number;
    readonly type: string;
    readonly status: string;
    readonly vote: { readonly participant: string; readonly optionId: string | null } | null;
  };
}

const waitingText = `subscription ($after: String) {
  approvalsWaiting(after: $after) { kind title cursor confirm { status context { title } } }
}`;
const errors = 'userErrors { code message }';

describe.each(modes)('confirms over the gateway, %s', (mode) => {
  let platform: Platform;
  let tokens: Record<'alice' | 'bob', string>;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    const of = (subject: string, roles: string[]) => platform.token({ tenant: 'one', subject, roles });
    tokens = { alice: await of('alice', ['admin']), bob: await of('bob', ['member']) };
  });
  afterAll(() => platform.close());

  async function ask(who: 'alice' | 'bob', document: string, variables: Readonly<Record<string, unknown>> = {}) {
    const answer = await platform.query<Record<string, unknown>>(document, variables, {
      token: tokens[who],
    });
    expect(answer.errors).toEqual([]);
    return answer.data as unknown as Json;
  }

  async function createContext(): Promise<string> {
    const { createContext } = await ask(
      'alice',
      'mutation { createContext(input: { title: "A room", root: { domain: "d", environment: "e" } }) { context { id } } }',
    );
    return String(createContext!['context']!['id']);
  }

  const approvalOf = (targetId: string, type = 'RISK_ACCEPTANCE') =>
    ask(
      'alice',
      `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id target { ... on Context { title } } } ${errors} } }`,
      {
        input: {
          targetType: 'CONTEXT',
          targetId,
          confirmationType: type,
          title: 'May we?',
          approvers: [{ subject: 'bob' }],
        },
      },
    );

  test('leads to the roles it names, by id or by name, and to the trace in which it is told', async () => {
    const contextId = await createContext();
    const name = `reviewer_${randomUUID().slice(0, 8)}`;
    const { createRole } = await ask(
      'alice',
      `mutation ($name: String!) { createRole(input: { name: $name }) { role { id } ${errors} } }`,
      { name },
    );
    const roleId = String(createRole!['role']!['id']);
    const { createApproval } = await ask(
      'alice',
      `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id requestingRole { id name } } ${errors} } }`,
      {
        input: {
          targetType: 'CONTEXT',
          targetId: contextId,
          confirmationType: 'RISK_ACCEPTANCE',
          title: 'Who asks?',
          requestedByRole: name,
          approvers: [{ subject: 'bob', role: roleId }],
        },
      },
    );
    expect(createApproval).toMatchObject({ userErrors: [], confirm: { requestingRole: { id: roleId, name } } });
    const id = String(createApproval!['confirm']!['id']);
    await ask(
      'bob',
      `mutation ($id: ID!) { approveConfirm(confirmId: $id, rationale: "seen ${name}") { ${errors} } }`,
      {
        id,
      },
    );
    const { searchDecisions } = await ask(
      'alice',
      'query ($query: String) { searchDecisions(query: $query) { nodes { decidedByRole decidingRole { name } confirm { id requestingRole { id } } } } }',
      { query: name },
    );
    expect(searchDecisions!['nodes']).toEqual([
      { decidedByRole: roleId, decidingRole: { name }, confirm: { id, requestingRole: { id: roleId } } },
    ]);
    await expect
      .poll(
        async () =>
          (await ask('alice', 'query ($id: ID!) { confirm(id: $id) { trace { id contextId } } }', { id }))['confirm'],
        {
          timeout: 20_000,
          interval: 200,
        },
      )
      .toMatchObject({ trace: { contextId } });
  });

  test('from the request over the inbox to the outcome, in one graph', async () => {
    const contextId = await createContext();
    const waiting = subscribe<Waiting>({ url: platform.url, query: waitingText, token: tokens.bob });
    const mine = subscribe<Waiting>({ url: platform.url, query: waitingText, token: tokens.alice });
    // The stream is live once the socket has been answered something: the first event is awaited below by its replay.
    const { createApproval } = await approvalOf(contextId);
    expect(createApproval).toMatchObject({ userErrors: [], confirm: { target: { title: 'A room' } } });
    const id = String(createApproval!['confirm']!['id']);
    const updates = subscribe<Update>({
      url: platform.url,
      query:
        'subscription ($id: ID!, $after: String) { approvalUpdates(confirmId: $id, after: $after) { type status sequence } }',
      variables: { id },
      token: tokens.bob,
    });
    const { approvalsInbox } = await ask(
      'bob',
      '{ approvalsInbox { nodes { confirm { id context { title } } } waiting } }',
    );
    expect(approvalsInbox!['nodes']).toMatchObject([{ confirm: { id, context: { title: 'A room' } } }]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { approveConfirm } = await ask(
      'bob',
      `mutation ($id: ID!) { approveConfirm(confirmId: $id, rationale: "yes") { confirm { status } ${errors} } }`,
      { id },
    );
    expect(approveConfirm).toMatchObject({ confirm: { status: 'APPROVED' }, userErrors: [] });
    await updates.until((payloads) =>
      payloads.some(({ approvalUpdates }) => approvalUpdates.type === 'confirm.resolved'),
    );
    await waiting.until((payloads) => payloads.some(({ approvalsWaiting }) => approvalsWaiting.kind === 'SETTLED'));
    expect(waiting.payloads.at(-1)?.approvalsWaiting).toMatchObject({
      title: 'May we?',
      confirm: { status: 'APPROVED', context: { title: 'A room' } },
    });
    expect(mine.payloads).toEqual([]);
    expect([...waiting.errors, ...mine.errors, ...updates.errors]).toEqual([]);
    await Promise.all([waiting.close(), mine.close(), updates.close()]);

    // The inbox is empty at once, however it was kept before.
    expect((await ask('bob', '{ approvalsInbox { nodes { confirm { id } } waiting } }'))['approvalsInbox']).toEqual({
      nodes: [],
      waiting: 0,
    });
    const { context } = await ask(
      'alice',
      'query ($id: ID!) { context(contextId: $id) { confirms { nodes { id status decisions { approver } } totalCount } } }',
      { id: contextId },
    );
    expect(context!['confirms']).toMatchObject({
      nodes: [{ id, status: 'APPROVED', decisions: [{ approver: 'bob' }] }],
      totalCount: 1,
    });
  });

  test('a target that is not there is refused, and an approved confirm opens a lock', async () => {
    expect((await approvalOf('6f9619ff-8b86-4011-b42d-00cf4fc964ff'))['createApproval']!['userErrors']).toMatchObject([
      { code: 'TARGET_NOT_FOUND' },
    ]);
    const contextId = await createContext();
    await ask(
      'alice',
      `mutation ($id: ID!) { updateContext(contextId: $id, patch: { governance: { locked: true } }) { ${errors} } }`,
      {
        id: contextId,
      },
    );
    const { createApproval } = await approvalOf(contextId);
    const confirmId = String(createApproval!['confirm']!['id']);
    const rename = async () =>
      (
        await ask(
          'alice',
          `mutation ($id: ID!, $confirmId: ID!) { updateContext(contextId: $id, patch: { title: "New" }, override: { confirmId: $confirmId }) { context { title } ${errors} } }`,
          { id: contextId, confirmId },
        )
      )['updateContext'];
    expect(await rename()).toMatchObject({ userErrors: [{ code: 'CONFIRM_NOT_APPROVED' }] });
    await ask('bob', `mutation ($id: ID!) { approveConfirm(confirmId: $id) { ${errors} } }`, { id: confirmId });
    expect(await rename()).toMatchObject({ context: { title: 'New' }, userErrors: [] });
  });

  const refusalsOf = async (input: object) =>
    (
      (
        await ask('alice', `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { ${errors} } }`, {
          input: {
            confirmationType: 'TASK_APPROVAL',
            title: 'Is it there?',
            approvers: [{ subject: 'bob' }],
            ...input,
          },
        })
      )['createApproval']!['userErrors'] as unknown as { code: string }[]
    ).map(({ code }) => code);

  test('the existence of a target is asked of the module that owns its kind', async () => {
    const contextId = await createContext();
    const { createPlan } = await ask(
      'alice',
      'mutation ($id: ID!) { createPlan(input: { contextId: $id, title: "p", objective: "o", steps: [{ description: "s" }] }) { plan { id } } }',
      { id: contextId },
    );
    const { createTrace } = await ask(
      'alice',
      'mutation ($id: ID!) { createTrace(input: { contextId: $id, name: "t" }) { trace { id } } }',
      { id: contextId },
    );
    const extensionId = randomUUID();
    const object = {
      meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
      extension_id: extensionId,
      context_id: contextId,
      name: 'targeted',
      extension_type: 'other',
      version: '1.0.0',
      status: 'registered',
    };
    const { importProtocolObject } = await ask(
      'alice',
      'mutation ($object: JSON!) { importProtocolObject(module: EXTENSION, object: $object) { ok errors { path message } } }',
      { object },
    );
    expect(importProtocolObject).toEqual({ ok: true, errors: [] });
    const there = {
      EXTENSION: extensionId,
      CONTEXT: contextId,
      PLAN: String(createPlan!['plan']!['id']),
      TRACE: String(createTrace!['trace']!['id']),
    };
    for (const [targetType, targetId] of Object.entries(there)) {
      expect(await refusalsOf({ targetType, targetId })).toEqual([]);
      expect(await refusalsOf({ targetType, targetId: randomUUID() })).toEqual(['TARGET_NOT_FOUND']);
      // An id of another kind is none of this one.
      const [other] = Object.values(there).filter((id) => id !== targetId);
      expect(await refusalsOf({ targetType, targetId: other })).toEqual(['TARGET_NOT_FOUND']);
    }
    expect(await refusalsOf({ targetType: 'OTHER', targetId: randomUUID(), contextId })).toEqual([]);
    expect(await refusalsOf({ targetType: 'OTHER', targetId: randomUUID(), contextId: randomUUID() })).toEqual([
      'TARGET_NOT_FOUND',
    ]);
  });

  test('what waits for a subject whose id is no UUID is read over the graph', async () => {
    const contextId = await createContext();
    const id = String((await approvalOf(contextId, 'MILESTONE_CONFIRMATION'))['createApproval']!['confirm']!['id']);
    const text =
      'query ($id: ID!) { subject(id: $id) { id pendingApprovals(first: 100) { waiting nodes { stepId confirm { id title } } } } }';
    await ask('alice', `mutation { updateSubject(subjectId: "bob", patch: { type: HUMAN }) { ${errors} } }`);
    const { subject } = await ask('bob', text, { id: 'bob' });
    expect(subject!['id']).toBe('bob');
    expect(subject!['pendingApprovals']!['nodes']!.map(({ confirm }) => confirm!['id'])).toContain(id);
    // Another's are for administrators.
    const foreign = await platform.query(text, { id: 'alice' }, { token: tokens.bob });
    expect(foreign.errors.map(({ extensions }) => extensions.code)).toContain('PERMISSION_DENIED');
    const seen = (await ask('alice', text, { id: 'bob' }))['subject']!['pendingApprovals']!;
    expect(seen['nodes']!.map(({ confirm }) => confirm!['id'])).toContain(id);
  });

  test('a vote is followed over a socket, and from a cursor on after it was cut', async () => {
    const contextId = await createContext();
    const { createConsensusProcess } = await ask(
      'alice',
      `mutation ($input: CreateConsensusProcessInput!) { createConsensusProcess(input: $input) { consensus { id } ${errors} } }`,
      {
        input: {
          targetType: 'CONTEXT',
          targetId: contextId,
          title: 'Which?',
          options: [
            { id: 'a', label: 'A' },
            { id: 'b', label: 'B' },
          ],
          participants: [{ subject: 'alice' }, { subject: 'bob' }],
          rules: { algorithm: 'UNANIMOUS' },
        },
      },
    );
    const id = String(createConsensusProcess!['consensus']!['id']);
    const follow = (after: string | null) =>
      subscribe<Vote>({
        url: platform.url,
        query:
          'subscription ($id: ID!, $after: String) { consensusUpdates(consensusId: $id, after: $after) { cursor sequence type status participation vote { participant optionId } standings { optionId votes } result { optionId } } }',
        variables: { id, after },
        token: tokens.bob,
      });
    const vote = async (who: 'alice' | 'bob') =>
      expect(
        (
          await ask(who, `mutation ($id: ID!) { castVote(input: { consensusId: $id, optionId: "b" }) { ${errors} } }`, {
            id,
          })
        )['castVote'],
      ).toEqual({ userErrors: [] });
    const seen = (updates: readonly Vote[]) => updates.map(({ consensusUpdates }) => consensusUpdates);

    const start = encodeCursor(id, 0);
    const first = follow(start);
    await first.until((payloads) => payloads.length === 1);
    await vote('alice');
    await first.until((payloads) => payloads.length === 2);
    expect(seen(first.payloads)).toMatchObject([
      { type: 'confirm.created', status: 'OPEN', vote: null, result: null },
      {
        type: 'confirm.decided',
        status: 'OPEN',
        participation: 0.5,
        vote: { participant: 'alice', optionId: 'b' },
        standings: [
          { optionId: 'a', votes: 0 },
          { optionId: 'b', votes: 1 },
        ],
      },
    ]);
    await first.close();
    // Cast while nobody listens.
    await vote('bob');
    const second = follow(seen(first.payloads)[1]!.cursor);
    await second.until((payloads) => payloads.length === 2);
    expect(seen(second.payloads)).toMatchObject([
      { type: 'confirm.decided', vote: { participant: 'bob' }, participation: 1 },
      { type: 'confirm.resolved', status: 'DECIDED', result: { optionId: 'b' } },
    ]);
    const whole = follow(start);
    await whole.until((payloads) => payloads.length === 4);
    expect(seen(whole.payloads)).toEqual([...seen(first.payloads), ...seen(second.payloads)]);
    expect([...first.errors, ...second.errors, ...whole.errors]).toEqual([]);
    await Promise.all([second.close(), whole.close()]);
  });
});
