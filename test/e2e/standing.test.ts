import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;
const tenant = 'standing';

interface World {
  readonly context: string;
  readonly dialog: string;
  readonly plan: string;
  readonly trace: string;
  /** On the context, asked for by the boss. */
  readonly confirm: string;
  /** A run whose only step the boss has claimed. */
  readonly lease: Json;
  /** From the boss to somebody else, in the context. */
  readonly delegation: string;
}

let platform: Platform;
const tokens = new Map<string, string>();
/** The roles of `local` and of `gagged` are bound to the first. */
const worlds: World[] = [];
const administered = ['context', 'dialog', 'plan', 'role', 'confirm'].map((resourceType) => ({
  resourceType,
  actions: ['admin'],
}));
/** Who administers a dialog is one of three that see it. */
const denied = [...administered, { resourceType: 'dialog', actions: ['moderate', 'observe'] }];
const errors = 'userErrors { code message }';
const idOf = (value: unknown) => (value as { id: string }).id;

const ask = (subject: string, document: string, variables: Json = {}) =>
  platform.query<Record<string, Json | null>>(document, variables, { token: tokens.get(subject)! });

async function done(field: string, type: string, selection: string, input: Json): Promise<Json> {
  const document = `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} ${errors} } }`;
  const answer = await ask('boss', document, { input });
  expect(answer.errors, document).toEqual([]);
  const payload = answer.data![field]!;
  expect(payload['userErrors'], document).toEqual([]);
  return payload;
}

async function furnish(): Promise<World> {
  const context = idOf(
    (
      await done('createContext', 'CreateContextInput', 'context { id }', {
        title: 'Closed',
        root: { domain: 'd', environment: 'e' },
        accessControl: { visibility: 'PRIVATE' },
      })
    )['context'],
  );
  const dialog = idOf(
    (
      await done('createDialog', 'CreateDialogInput', 'dialog { id }', {
        contextId: context,
        name: 'D',
        configuration: { visibility: 'PARTICIPANTS' },
      })
    )['dialog'],
  );
  const create = async () =>
    idOf(
      (
        await done('createPlan', 'CreatePlanInput', 'plan { id }', {
          contextId: context,
          title: 'P',
          objective: 'O',
          steps: [{ id: newId(), description: 'one' }],
        })
      )['plan'],
    );
  const running = await create();
  await ask('boss', `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id: running });
  const { execution } = await done('executePlan', 'ExecutePlanInput', 'execution { id }', { planId: running });
  const claimed = await ask(
    'boss',
    `mutation ($id: ID!) { claimStep(executionId: $id) { lease { stepId epoch } ${errors} } }`,
    { id: idOf(execution) },
  );
  const { stepId, epoch } = claimed.data!['claimStep']!['lease'] as Json;
  const delegated = await done('delegate', 'DelegateInput', 'delegation { id }', {
    delegateId: 'somebody',
    permissions: ['trace:read'],
    contextId: context,
    endsAt: new Date(Date.now() + 3_600_000).toISOString(),
  });
  const trace = await done('createTrace', 'CreateTraceInput', 'trace { id }', { contextId: context, name: 'T' });
  const approval = await done('createApproval', 'CreateApprovalInput', 'confirm { id }', {
    targetType: 'CONTEXT',
    targetId: context,
    contextId: context,
    confirmationType: 'PLAN_APPROVAL',
    title: 'C',
    approvers: [{ subject: 'somebody' }],
  });
  return {
    context,
    confirm: idOf(approval['confirm']),
    dialog,
    plan: await create(),
    trace: idOf(trace['trace']),
    lease: { executionId: idOf(execution), stepId, epoch },
    delegation: idOf(delegated['delegation']),
  };
}

beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  tokens.set('boss', await platform.token({ tenant, subject: 'boss', roles: ['admin'] }));
  tokens.set('gagged', await platform.token({ tenant, subject: 'gagged', roles: ['admin'] }));
  for (const subject of ['local', 'plain'])
    tokens.set(subject, await platform.token({ tenant, subject, roles: ['agent'] }));
  // The boss holds by a role what it delegates.
  const [ruler, gag, tracer] = await Promise.all(
    [
      { name: 'ruler', permissions: administered },
      { name: 'gag', permissions: denied.map((permission) => ({ ...permission, effect: 'DENY' })) },
      { name: 'tracer', permissions: [{ resourceType: 'trace', actions: ['read'] }] },
    ].map(async (input) => idOf((await done('createRole', 'CreateRoleInput', 'role { id }', input))['role'])),
  );
  await done('assignRole', 'AssignRoleInput', 'assignment { id }', { roleId: tracer, subjectId: 'boss' });
  worlds.push(await furnish(), await furnish());
  for (const [roleId, subjectId] of [
    [ruler, 'local'],
    [gag, 'gagged'],
  ])
    await done('assignRole', 'AssignRoleInput', 'assignment { id }', {
      roleId,
      subjectId,
      contextId: worlds[0]!.context,
    });
}, 120_000);
afterAll(() => platform?.close());

/** What the rule behind the door says of an object: whether it is there, or whether it may be changed. */
type Question = (subject: string, world: World) => Promise<boolean>;

const isThere =
  (document: string, id: (world: World) => string): Question =>
  async (subject, world) => {
    const { data, errors: failed } = await ask(subject, document, { id: id(world) });
    expect(failed).toEqual([]);
    return Object.values(data!)[0] !== null;
  };
const isListed =
  (document: string, id: (world: World) => string): Question =>
  async (subject, world) => {
    const { data, errors: failed } = await ask(subject, document);
    expect(failed).toEqual([]);
    const { nodes } = Object.values(data!)[0] as { nodes: readonly { id: string }[] };
    return nodes.some((node) => node.id === id(world));
  };
const isAllowed =
  (document: string, variables: (world: World) => Json): Question =>
  async (subject, world) => {
    const { data, errors: failed } = await ask(subject, document, variables(world));
    const [refused] = (Object.values(data ?? {})[0]?.['userErrors'] ?? []) as { code: string }[];
    const code = failed[0]?.extensions.code ?? refused?.code;
    if (code === undefined) return true;
    expect([document, code]).toEqual([document, expect.stringMatching(/^(NOT_FOUND|PERMISSION_DENIED)$/)]);
    return false;
  };

const context = ({ context: id }: World) => id;
const dialog = ({ dialog: id }: World) => id;
const plan = ({ plan: id }: World) => id;
const trace = ({ trace: id }: World) => id;
const questions: Readonly<Record<string, Question>> = {
  'reads a private context': isThere('query ($id: ID!) { context(contextId: $id) { id } }', context),
  'lists a private context': isListed('query { contexts(first: 50) { nodes { id } } }', context),
  'changes who sees a context': isAllowed(
    `mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { ${errors} } }`,
    (world) => ({ id: world.context }),
  ),
  'reads a dialog of others': isThere('query ($id: ID!) { dialog(id: $id) { id } }', dialog),
  'lists a dialog of others': isListed('query { dialogs(first: 50) { nodes { id } } }', dialog),
  'changes a dialog of others': isAllowed(
    `mutation ($id: ID!, $name: String!) { updateDialog(dialogId: $id, patch: { name: $name }) { ${errors} } }`,
    (world) => ({ id: world.dialog, name: newId() }),
  ),
  'says something as the system': isAllowed(
    `mutation ($id: ID!) { sendMessage(input: { dialogId: $id, type: SYSTEM, content: { text: "hear" } }) { ${errors} } }`,
    (world) => ({ id: world.dialog }),
  ),
  'finds what was said': async (subject, world) => {
    const { data, errors: failed } = await ask(
      subject,
      'query { searchMessages(query: "words", first: 50) { nodes { dialogId } } }',
    );
    expect(failed).toEqual([]);
    const { nodes } = data!['searchMessages'] as unknown as { nodes: readonly { dialogId: string }[] };
    return nodes.some(({ dialogId }) => dialogId === world.dialog);
  },
  'reads a plan in a private context': isThere('query ($id: ID!) { plan(planId: $id) { id } }', plan),
  'lists a plan in a private context': isListed('query { plans(first: 50) { nodes { id } } }', plan),
  'reads a trace in a private context': isThere('query ($id: ID!) { trace(traceId: $id) { id } }', trace),
  'lists a trace in a private context': isListed('query { traces(first: 50) { nodes { id } } }', trace),
  'works under the lease of another': isAllowed(
    `mutation ($lease: StepLeaseInput!) { reportStepProgress(lease: $lease, progress: 0.5) { ${errors} } }`,
    (world) => ({ lease: world.lease }),
  ),
};

/** Each ends what it is about: for one who may, the object of one context only. */
const endings: Readonly<Record<string, Question>> = {
  'cancels a plan of another': isAllowed(`mutation ($id: ID!) { cancelPlan(planId: $id) { ${errors} } }`, (world) => ({
    id: world.plan,
  })),
  'revokes a delegation of others': isAllowed(
    `mutation ($id: ID!) { revokeDelegation(delegationId: $id) { ${errors} } }`,
    (world) => ({ id: world.delegation }),
  ),
  'cancels a confirm of another': isAllowed(
    `mutation ($id: ID!) { cancelConfirm(confirmId: $id) { ${errors} } }`,
    (world) => ({ id: world.confirm }),
  ),
  'cancels a dialog of another': isAllowed(
    `mutation ($id: ID!) { endDialog(dialogId: $id, outcome: CANCELLED) { ${errors} } }`,
    (world) => ({ id: world.dialog }),
  ),
};

describe('rules behind the door', () => {
  beforeAll(async () => {
    for (const world of worlds) {
      const { data } = await ask(
        'boss',
        `mutation ($id: ID!) { sendMessage(input: { dialogId: $id, type: SYSTEM, content: { text: "words" } }) { ${errors} } }`,
        { id: world.dialog },
      );
      expect(data!['sendMessage']!['userErrors']).toEqual([]);
    }
  });

  it.each(Object.keys(questions))('%s: by a role in its context, not where a role denies it', async (name) => {
    const said: Record<string, boolean[]> = {};
    for (const subject of ['plain', 'local', 'gagged'])
      said[subject] = [await questions[name]!(subject, worlds[0]!), await questions[name]!(subject, worlds[1]!)];
    expect(said).toEqual({ plain: [false, false], local: [true, false], gagged: [false, true] });
  });

  it.each(Object.keys(endings))('%s: by a role in its context, not where a role denies it', async (name) => {
    const end = endings[name]!;
    const [here, there] = worlds as [World, World];
    expect([await end('plain', here), await end('gagged', here), await end('local', there)]).toEqual([
      false,
      false,
      false,
    ]);
    expect([await end('local', here), await end('gagged', there)]).toEqual([true, true]);
  });
});
