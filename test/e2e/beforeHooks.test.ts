import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

interface Refusal {
  readonly code: string;
  readonly message: string;
}

type Payload = Readonly<Record<string, unknown>> & { readonly userErrors: readonly Refusal[] };

/** Refuses whatever names Mallory or what is forbidden, changes the rest, and does not come back from what is endless. */
const bundle = `
const refuses = (payload) => /mallory|forbidden/.test(JSON.stringify(payload));
export const Main = {
  sent({ payload }) {
    if (refuses(payload)) return { veto: 'not said here' };
    if (payload.content.text === 'endless') for (;;) {}
    if (payload.content.text === 'empty') return { payload: { ...payload, content: {} } };
    return { payload: { ...payload, dialogId: 'another', content: { text: payload.content.text.replace('secret', '[taken out] #seen') } } };
  },
  joined({ payload }) {
    return refuses(payload) ? { veto: 'not with us' } : { payload: { ...payload, agentId: 'mallory', displayName: 'Seen ' + payload.agentId } };
  },
  assigned({ payload }) {
    return refuses(payload) ? { veto: 'not this role' } : { payload: { ...payload, subjectId: 'mallory', reason: 'seen' } };
  },
  executed({ payload }) {
    return refuses(payload) ? { veto: 'not run' } : { payload: { ...payload, maxConcurrentTasks: 1 } };
  },
  silent: () => null,
};`;
const methods = {
  sent: 'dialog.message_sent',
  joined: 'context.participant_joined',
  assigned: 'role.before_assignment',
  executed: 'plan.before_execution',
} as const;

describe.each(modes)('before a point extensions are asked, %s', (mode) => {
  let platform: Platform;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    tokens['boss'] = await platform.token({ tenant: 'hooks', subject: 'boss', roles: ['admin'] });
    for (const subject of ['ann', 'mallory'])
      tokens[subject] = await platform.token({ tenant: 'hooks', subject, roles: ['member'] });
  });
  afterAll(() => platform?.close());

  async function act(
    who: string,
    field: string,
    args: Readonly<Record<string, readonly [type: string, value: unknown]>>,
    selection = '',
  ): Promise<Payload> {
    const names = Object.entries(args);
    const answer = await platform.query<Record<string, Payload>>(
      `mutation (${names.map(([name, [type]]) => `$${name}: ${type}`).join(', ')}) {
        ${field}(${names.map(([name]) => `${name}: $${name}`).join(', ')}) { ${selection} userErrors { code message } }
      }`,
      Object.fromEntries(names.map(([name, [, value]]) => [name, value])),
      { token: tokens[who]! },
    );
    expect([field, answer.errors]).toEqual([field, []]);
    return answer.data![field]!;
  }
  const withInput = (field: string, type: string, input: object, selection = '') =>
    act('boss', field, { input: [`${type}!`, input] }, selection);
  const idIn = (payload: Payload, name: string): string => {
    expect(payload.userErrors).toEqual([]);
    return (payload[name] as { id: string }).id;
  };

  async function openContext(): Promise<string> {
    const root = { domain: 'hooks', environment: 'test' };
    return idIn(
      await withInput('createContext', 'CreateContextInput', { title: 'Hooks', root }, 'context { id }'),
      'context',
    );
  }
  async function openDialog(contextId: string): Promise<string> {
    return idIn(
      await withInput('createDialog', 'CreateDialogInput', { contextId, name: 'Talk' }, 'dialog { id }'),
      'dialog',
    );
  }
  /** An extension that runs and listens before these points. */
  async function listen(contextId: string, points: Partial<typeof methods>, required = false): Promise<string> {
    const hooks = Object.entries(points).map(([method, point]) => ({ point, phase: 'before', method, required }));
    const release = {
      manifest: {
        entry_point: 'main.js',
        main_class: 'Main',
        capabilities: [
          { name: 'silent', interfaces: [{ interface_name: 'silent', methods: [{ method_name: 'silent' }] }] },
        ],
        hooks,
      },
      bundle,
      checksum: createHash('sha256').update(bundle).digest('hex'),
    };
    const extensionId = idIn(
      await withInput(
        'registerExtension',
        'RegisterExtensionInput',
        {
          contextId,
          name: `hooks-${crypto.randomUUID().slice(0, 8)}`,
          extensionType: 'POLICY',
          version: '1.0.0',
          release,
        },
        'extension { id }',
      ),
      'extension',
    );
    for (const [field, type] of [
      ['installExtension', 'InstallExtensionInput'],
      ['loadExtension', 'LoadExtensionInput'],
    ] as const)
      expect((await withInput(field, type, { extensionId })).userErrors).toEqual([]);
    return extensionId;
  }
  const send = (dialogId: string, text: string, more: object = {}) =>
    withInput(
      'sendMessage',
      'SendMessageInput',
      { dialogId, content: { text }, ...more },
      'message { content { text hashtags } }',
    );
  const codes = (payload: Payload) => payload.userErrors.map(({ code }) => code);
  /** Modules hear of an extension by its events, a moment after it runs. */
  const heard = (ask: () => Promise<Payload>, code = 'HOOK_VETOED') =>
    expect.poll(async () => codes(await ask()), { timeout: 15_000, interval: 200 }).toEqual([code]);

  it('messages: changed in their content alone, refused with the reason, sent where a hook fails', async () => {
    const [contextId, other] = await Promise.all([openContext(), openContext()]);
    const [dialogId, elsewhere] = await Promise.all([openDialog(contextId), openDialog(other)]);
    const extensionId = await listen(contextId, { sent: methods.sent });
    await heard(() => send(dialogId, 'forbidden at first'));
    expect((await send(dialogId, 'forbidden')).userErrors).toEqual([
      { code: 'HOOK_VETOED', message: 'an extension refuses: not said here' },
    ]);
    const said = { clientMessageId: 'one' };
    const sent = await send(dialogId, 'a secret', said);
    expect(sent).toMatchObject({
      userErrors: [],
      message: { content: { text: 'a [taken out] #seen', hashtags: ['seen'] } },
    });
    // A repeat is what its sender said, not what became of it.
    expect(await send(dialogId, 'a secret', said)).toEqual(sent);
    expect(codes(await send(dialogId, 'another secret', said))).toEqual(['DUPLICATE_MESSAGE']);
    for (const text of ['endless', 'empty'])
      expect(await send(dialogId, text)).toMatchObject({ userErrors: [], message: { content: { text } } });
    expect(await send(elsewhere, 'forbidden')).toMatchObject({
      userErrors: [],
      message: { content: { text: 'forbidden' } },
    });
    const { data } = await platform.query<{
      dialog: { messages: { nodes: { content: { text: string } }[] } };
    }>(
      'query ($id: ID!) { dialog(id: $id) { messages(first: 100) { nodes { content { text } } } } }',
      { id: dialogId },
      { token: tokens['boss']! },
    );
    expect(data!.dialog.messages.nodes.map(({ content }) => content.text)).not.toContain('forbidden');
    await act('boss', 'deactivateExtension', { extensionId: ['ID!', extensionId] });
    await expect.poll(async () => codes(await send(dialogId, 'forbidden')), { timeout: 15_000 }).toEqual([]);
  }, 120_000);

  it('what a required hook does not answer does not happen', async () => {
    const contextId = await openContext();
    const dialogId = await openDialog(contextId);
    await listen(contextId, { sent: methods.sent }, true);
    await heard(() => send(dialogId, 'forbidden at first'));
    for (const text of ['endless', 'empty']) {
      const { errors } = await platform.query(
        'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code } } }',
        { input: { dialogId, content: { text } } },
        { token: tokens['boss']! },
      );
      expect(errors.map(({ extensions }) => [extensions.code, extensions['retryable']])).toEqual([
        ['UNAVAILABLE', true],
      ]);
    }
    expect(codes(await send(dialogId, 'something else'))).toEqual([]);
  }, 120_000);

  it('participants: added and joining, also into a private context by its token', async () => {
    const accessControl = { visibility: 'PRIVATE', joinPolicy: 'INVITATION_ONLY' };
    const created = await withInput(
      'createContext',
      'CreateContextInput',
      { title: 'Hooks', root: { domain: 'hooks', environment: 'test' }, accessControl },
      'context { id } accessInfo { joinToken }',
    );
    const contextId = idIn(created, 'context');
    await listen(contextId, { joined: methods.joined }, true);
    const join = (who: string) =>
      act(
        who,
        'joinContext',
        {
          contextId: ['ID!', contextId],
          joinToken: ['String!', (created['accessInfo'] as { joinToken: string }).joinToken],
        },
        'participant { agentId displayName }',
      );
    const add = (agentId: string) =>
      withInput(
        'addParticipant',
        'AddParticipantInput',
        { contextId, agentId },
        'participant { agentId displayName status }',
      );
    await heard(() => add('mallory'));
    expect(await add('bob')).toMatchObject({
      userErrors: [],
      participant: { agentId: 'bob', displayName: 'Seen bob', status: 'ACTIVE' },
    });
    // Neither sees the context yet: the extensions of its owner are asked all the same.
    expect(codes(await join('mallory'))).toEqual(['HOOK_VETOED']);
    expect(await join('ann')).toMatchObject({
      userErrors: [],
      participant: { agentId: 'ann', displayName: 'Seen ann' },
    });
  }, 120_000);

  it('assignments and executions, whoever asks for them', async () => {
    const contextId = await openContext();
    await listen(contextId, { assigned: methods.assigned, executed: methods.executed });
    const roleId = idIn(
      await withInput(
        'createRole',
        'CreateRoleInput',
        { name: `helper-${crypto.randomUUID().slice(0, 8)}` },
        'role { id }',
      ),
      'role',
    );
    const assign = (subjectId: string, more: object = { contextId }) =>
      withInput(
        'assignRole',
        'AssignRoleInput',
        { roleId, subjectId, reason: 'asked for', ...more },
        'assignment { reason subjectId status }',
      );
    await heard(() => assign('mallory'));
    expect(await assign('bob')).toMatchObject({
      userErrors: [],
      assignment: { subjectId: 'bob', reason: 'seen', status: 'ACTIVE' },
    });
    // Extensions lie in contexts: nobody is asked for an assignment everywhere.
    expect(codes(await assign('mallory', {}))).toEqual([]);

    const plan = async (title: string) => {
      const planId = idIn(
        await withInput(
          'createPlan',
          'CreatePlanInput',
          { contextId, title, objective: 'O', steps: [{ id: crypto.randomUUID(), description: 'one' }] },
          'plan { id }',
        ),
        'plan',
      );
      expect((await act('boss', 'approvePlan', { planId: ['ID!', planId] })).userErrors).toEqual([]);
      return planId;
    };
    const execute = (planId: string, more: object = {}) =>
      withInput(
        'executePlan',
        'ExecutePlanInput',
        { planId, maxConcurrentTasks: 5, ...more },
        'plan { status } execution { id maxConcurrentTasks }',
      );
    const [refused, allowed] = [await plan('forbidden'), await plan('allowed')];
    await heard(() => execute(refused));
    expect((await execute(refused)).userErrors[0]!.message).toContain('not run');
    expect(codes(await execute(refused, { dryRun: true }))).toEqual([]);
    expect(await execute(allowed)).toMatchObject({
      userErrors: [],
      plan: { status: 'IN_PROGRESS' },
      execution: { maxConcurrentTasks: 1 },
    });
  }, 120_000);
});
