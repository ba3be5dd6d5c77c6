import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;
type Kind = 'context' | 'plan' | 'confirm' | 'trace' | 'dialog';

/** One query by id, one list and one mutation of each module, about an object of a context. */
const asked: Readonly<Record<Kind, { readonly read: string; readonly list: string; readonly change: string }>> = {
  context: {
    read: 'query ($id: ID!) { context(contextId: $id) { id participants(first: 1) { nodes { id } } } }',
    list: 'query { contexts(first: 50) { nodes { id } edges { node { id } } } }',
    change:
      'mutation ($id: ID!) { setMetadata(contextId: $id, entries: [{ key: "k", value: 1 }]) { userErrors { code } } }',
  },
  plan: {
    read: 'query ($id: ID!) { plan(planId: $id) { id status steps { id } context { id } } }',
    list: 'query { plans(first: 50) { nodes { id } edges { node { id } } } }',
    change:
      'mutation ($id: ID!) { updatePlan(planId: $id, patch: { title: "Anew" }) { plan { id } userErrors { code } } }',
  },
  confirm: {
    read: 'query ($id: ID!) { confirm(id: $id) { id status approvers { subject } } }',
    list: 'query { confirms(first: 50) { nodes { id } edges { node { id } } } }',
    change: 'mutation ($id: ID!) { approveConfirm(confirmId: $id) { userErrors { code } } }',
  },
  trace: {
    read: 'query ($id: ID!) { trace(traceId: $id) { id status spans { spanId } } }',
    list: 'query { traces(first: 50) { nodes { id } edges { node { id } } } }',
    change:
      'mutation ($id: ID!) { addSpan(traceId: $id, span: { spanId: "00000000000000aa", name: "s", service: "x", startTimeUnixNano: "1767225600000000000" }) { userErrors { code } } }',
  },
  dialog: {
    read: 'query ($id: ID!) { dialog(id: $id) { id status participants(first: 5) { nodes { id } } } }',
    list: 'query { dialogs(first: 50) { nodes { id } edges { node { id } } } }',
    change: 'mutation ($id: ID!) { updateDialog(dialogId: $id, patch: { name: "Anew" }) { userErrors { code } } }',
  },
};
const kinds = Object.keys(asked) as Kind[];
const permissions = ['context', 'plan', 'confirm', 'trace', 'dialog'].map((resourceType) => ({
  resourceType,
  actions: ['*'],
}));

describe.each(modes)('rights bound to a context, %s', (mode) => {
  let platform: Platform;
  const tokens = new Map<string, string>();
  /** By context, the object of each kind in it. */
  const worlds: Record<Kind, string>[] = [];
  let foreign: Record<Kind, string>;
  let grant: string;
  let denial: string;

  async function ask(subject: string, document: string, variables: Json = {}) {
    return platform.query<Record<string, Json | null>>(document, variables, { token: tokens.get(subject)! });
  }
  async function done(subject: string, document: string, variables: Json): Promise<Json> {
    const { data, errors } = await ask(subject, document, variables);
    expect(errors, document).toEqual([]);
    const payload = Object.values(data!)[0]!;
    expect(payload['userErrors'], document).toEqual([]);
    return payload;
  }
  const idOf = (value: unknown) => (value as { id: string }).id;

  async function furnish(by: string): Promise<Record<Kind, string>> {
    const errors = 'userErrors { code message path }';
    const context = idOf(
      (
        await done(
          by,
          `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
          { input: { title: 'A place', root: { domain: 'd', environment: 'e' } } },
        )
      )['context'],
    );
    const plan = idOf(
      (
        await done(by, `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`, {
          input: { contextId: context, title: 'P', objective: 'O', steps: [{ description: 'one' }] },
        })
      )['plan'],
    );
    const confirm = idOf(
      (
        await done(
          by,
          `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id } ${errors} } }`,
          {
            input: {
              targetType: 'CONTEXT',
              targetId: context,
              contextId: context,
              confirmationType: 'RISK_ACCEPTANCE',
              title: 'May we?',
              approvers: [{ subject: 'nobody' }],
            },
          },
        )
      )['confirm'],
    );
    const trace = idOf(
      (
        await done(
          by,
          `mutation ($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
          {
            input: { contextId: context, name: 'T' },
          },
        )
      )['trace'],
    );
    const dialog = idOf(
      (
        await done(
          by,
          `mutation ($input: CreateDialogInput!) { createDialog(input: $input) { dialog { id } ${errors} } }`,
          {
            input: { contextId: context, name: 'D', configuration: { visibility: 'TENANT' } },
          },
        )
      )['dialog'],
    );
    return { context, plan, confirm, trace, dialog };
  }

  async function role(name: string, input: Json): Promise<string> {
    const payload = await done(
      'olivia',
      'mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code } } }',
      { input: { name, ...input } },
    );
    return idOf(payload['role']);
  }
  async function assign(roleId: string, subjectId: string, contextId: string): Promise<string> {
    const payload = await done(
      'olivia',
      'mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } userErrors { code } } }',
      { input: { roleId, subjectId, contextId } },
    );
    return idOf(payload['assignment']);
  }

  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    const tenant = 'door';
    tokens.set('olivia', await platform.token({ tenant, subject: 'olivia', roles: ['admin'] }));
    for (const subject of ['wide', 'gagged', 'muted']) tokens.set(subject, await platform.token({ tenant, subject }));
    for (const subject of ['local', 'bare']) tokens.set(subject, await platform.token({ tenant, subject, roles: [] }));
    tokens.set('stranger', await platform.token({ tenant: 'elsewhere', subject: 'stranger', roles: ['admin'] }));
    worlds.push(await furnish('olivia'), await furnish('olivia'));
    foreign = await furnish('stranger');
    grant = await role('worker', { permissions });
    denial = await role('gag', {
      permissions: permissions.map((permission) => ({ ...permission, effect: 'DENY' })),
    });
    await assign(grant, 'local', worlds[0]!.context);
    await assign(denial, 'gagged', worlds[0]!.context);
    const mute = await role('mute', {
      permissions: [{ resourceType: 'confirm', actions: ['create'], effect: 'DENY' }],
    });
    await assign(mute, 'muted', worlds[0]!.context);
    // On every instance: the last of the changes is known.
    await settle('local', 'open');
    await settle('gagged', 'PERMISSION_DENIED');
  }, 120_000);
  afterAll(() => platform?.close());

  async function settle(subject: string, expected: 'open' | 'PERMISSION_DENIED') {
    for (const untilMs = Date.now() + 5_000; Date.now() < untilMs; await sleep(50)) {
      const said = await Promise.all(
        kinds.map(async (kind) => door(await ask(subject, asked[kind].read, { id: worlds[0]![kind] }))),
      );
      if (said.every((one) => (one === 'PERMISSION_DENIED') === (expected === 'PERMISSION_DENIED'))) return;
    }
    expect.fail(`${subject} is not ${expected} yet`);
  }

  /** What the door said: `open` whatever came behind it. */
  function door({ data, errors }: Awaited<ReturnType<typeof ask>>): string {
    const code = errors[0]?.extensions.code;
    if (code !== undefined) return code;
    const value = Object.values(data!)[0];
    if (value === null) return 'null';
    const [refused] = (value?.['userErrors'] ?? []) as { code: string }[];
    return refused?.code === 'NOT_FOUND' ? 'NOT_FOUND' : 'open';
  }

  /** What each subject gets of: its context, another context, another tenant, an unknown id. */
  const table: Readonly<Record<string, { readonly read: readonly string[]; readonly change: readonly string[] }>> = {
    wide: { read: ['open', 'open', 'null', 'null'], change: ['open', 'open', 'NOT_FOUND', 'NOT_FOUND'] },
    local: {
      read: ['open', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED'],
      change: ['open', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED'],
    },
    gagged: {
      read: ['PERMISSION_DENIED', 'open', 'null', 'null'],
      change: ['PERMISSION_DENIED', 'open', 'NOT_FOUND', 'NOT_FOUND'],
    },
    bare: {
      read: ['PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED'],
      change: ['PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED'],
    },
  };

  it.each(kinds.flatMap((kind) => Object.keys(table).map((subject) => [kind, subject] as const)))(
    'decides about a %s for %s',
    async (kind, subject) => {
      const unknown = randomUUID();
      const ids = [worlds[0]![kind], worlds[1]![kind], foreign[kind], unknown];
      // Twice: the second time the cache could answer.
      for (const _time of [1, 2]) {
        const read = await Promise.all(ids.map(async (id) => door(await ask(subject, asked[kind].read, { id }))));
        expect(read).toEqual(table[subject]!.read);
      }
      const change: string[] = [];
      for (const id of ids) change.push(door(await ask(subject, asked[kind].change, { id })));
      // A dialog is changed by who moderates it: behind the door, not at it.
      if (kind === 'dialog' && subject !== 'local')
        expect(change.map((code, at) => (code === 'PERMISSION_DENIED' && at < 2 ? 'refused' : code))).toEqual(
          table[subject]!.change.map((code, at) => (at < 2 ? 'refused' : code)),
        );
      else if (kind === 'dialog') expect(change.slice(1)).toEqual(table[subject]!.change.slice(1));
      else expect(change).toEqual(table[subject]!.change);
    },
  );

  it.each(kinds)('leaves what is denied out of lists of a %s, for nobody else', async (kind) => {
    const [here, there] = [worlds[0]![kind], worlds[1]![kind]];
    for (const subject of ['wide', 'gagged', 'wide', 'gagged']) {
      const { data, errors } = await ask(subject, asked[kind].list);
      expect(errors).toEqual([]);
      const { nodes, edges } = Object.values(data!)[0] as {
        nodes: { id: string }[];
        edges: { node: { id: string } }[];
      };
      const ids = nodes.map(({ id }) => id);
      expect(edges.map(({ node }) => node.id)).toEqual(ids);
      expect([subject, ids.includes(here), ids.includes(there)]).toEqual([subject, subject === 'wide', true]);
    }
    expect(door(await ask('local', asked[kind].list))).toBe('PERMISSION_DENIED');
  });

  it('asks about an approval in the context of its target, named or not', async () => {
    const create = async (subject: string, targetType: 'CONTEXT' | 'PLAN', at: number, named?: number) => {
      const world = worlds[at]!;
      const { data, errors } = await ask(
        subject,
        'mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { contextId } userErrors { code } } }',
        {
          input: {
            targetType,
            targetId: targetType === 'PLAN' ? world.plan : world.context,
            ...(named === undefined ? {} : { contextId: worlds[named]!.context }),
            confirmationType: 'RISK_ACCEPTANCE',
            title: `${subject} ${targetType} ${at}`,
            approvers: [{ subject: 'nobody' }],
          },
        },
      );
      const payload = data?.['createApproval'] as
        | { confirm: { contextId: string } | null; userErrors: { code: string }[] }
        | undefined;
      return errors[0]?.extensions.code ?? payload?.userErrors[0]?.code ?? payload?.confirm?.contextId;
    };
    const [here, there] = worlds.map(({ context }) => context);
    // Who has the right in one context needs not name it, and comes no further than that one.
    expect(await create('local', 'PLAN', 0)).toBe(here);
    expect(await create('local', 'PLAN', 1)).toBe('TARGET_NOT_FOUND');
    expect(await create('bare', 'PLAN', 0)).toBe('PERMISSION_DENIED');
    // Who is denied it in one context is so without naming it, and by naming another.
    expect(await create('muted', 'PLAN', 0)).toBe('PERMISSION_DENIED');
    expect(await create('muted', 'CONTEXT', 0)).toBe('PERMISSION_DENIED');
    expect(await create('muted', 'CONTEXT', 0, 1)).toBe('PERMISSION_DENIED');
    expect(await create('muted', 'PLAN', 1)).toBe(there);
  });

  it('opens lists and creations that name the context, and what lies below it', async () => {
    const list = 'query ($id: ID!) { plans(filter: { contextId: $id }) { nodes { id title } } }';
    const create =
      'mutation ($id: ID!) { createPlan(input: { contextId: $id, title: "P", objective: "O", steps: [{ description: "one" }] }) { plan { id } userErrors { code } } }';
    const below = `query ($id: ID!) { context(contextId: $id) { id plans(first: 5) { nodes { id } } confirms(first: 5) { nodes { id } }
      traces(first: 5) { nodes { id } } dialogs(first: 5) { nodes { id } } } }`;
    const entered = 'query ($id: ID!) { plan(planId: $id) { context { title } steps { id } executions { id } } }';
    for (const [document, kind] of [
      [list, 'context'],
      [create, 'context'],
      [below, 'context'],
      [entered, 'plan'],
    ] as const) {
      const said = await Promise.all(
        worlds.map(async (world) => door(await ask('local', document, { id: world[kind] }))),
      );
      expect([document, said]).toEqual([document, ['open', 'PERMISSION_DENIED']]);
    }
    const { data, errors } = await ask('local', below, { id: worlds[0]!.context });
    expect(errors).toEqual([]);
    for (const kind of ['plan', 'confirm', 'trace', 'dialog'] as const) {
      const { nodes } = data!['context']![`${kind}s`] as { nodes: { id: string }[] };
      expect(nodes.map(({ id }) => id)).toContain(worlds[0]![kind]);
    }
  });
});
