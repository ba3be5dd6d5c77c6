import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
});
