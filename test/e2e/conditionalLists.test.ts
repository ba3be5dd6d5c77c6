import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readApi } from '../contract/walk/schema.ts';
import { seedWorld, type World } from '../contract/walk/seed.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
type Json = any;

const errors = 'userErrors { code }';
const everything = [
  ...['context', 'contexts', 'searchContexts', 'plan', 'plans', 'trace', 'traces', 'confirm', 'confirms'],
  ...['collaboration', 'network', 'extension', 'workflowExecution', 'export'],
];
/** By id and in lists of the context module and of seven others. */
const documents = [
  `query ($context: ID!, $plan: ID!, $trace: ID!, $confirm: ID!) {
  context(contextId: $context) { id } contexts(first: 100) { nodes { id } } searchContexts(query: "zqvfindword", first: 100) { nodes { id } }
  plan(planId: $plan) { id } plans(filter: { contextId: $context }) { nodes { id } }
  trace(traceId: $trace) { id } traces(filter: { contextId: $context }) { nodes { id } }
  confirm(id: $confirm) { id } confirms(filter: { contextId: $context }) { nodes { id } } }`,
  `query ($collab: ID!, $network: ID!, $extension: ID!, $workflow: ID!) {
  collaboration(id: $collab) { id } network(networkId: $network) { id } extension(id: $extension) { id } workflowExecution(executionId: $workflow) { id } }`,
] as const;

describe.each(modes)('access lists with conditions, %s', (mode) => {
  let platform: Platform;
  let world: World;
  const tenant = `conditions-${modes.indexOf(mode)}`;
  const tokens = {} as Record<'ann' | 'eve' | 'sam', string>;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    tokens.ann = await platform.token({ tenant, subject: 'ann', roles: ['admin'] });
    // Of equal roles: only what is recorded of them tells them apart.
    for (const subject of ['eve', 'sam'] as const)
      tokens[subject] = await platform.token({ tenant, subject, roles: ['member'] });
    world = await seedWorld(platform, readApi(), { tenant, owner: 'ann', token: tokens.ann, watched: false }, 1);
    expect(world.failures).toEqual([]);
    await record('eve', { department: 'legal' });
    await record('sam', { department: 'sales' });
  }, 300_000);
  afterAll(() => platform?.close());

  async function ask(who: keyof typeof tokens, query: string, variables: object = {}): Promise<Json> {
    const answer = await platform.query<Json>(query, variables as Record<string, unknown>, { token: tokens[who] });
    expect(answer.errors).toEqual([]);
    return answer.data;
  }
  async function change(field: string, variables: Readonly<Record<string, readonly [type: string, value: unknown]>>) {
    const declared = Object.entries(variables).map(([name, [type]]) => `$${name}: ${type}`);
    const values = Object.fromEntries(Object.entries(variables).map(([name, [, value]]) => [name, value]));
    const data = await ask('ann', `mutation (${declared.join(', ')}) { answer: ${field} { ${errors} } }`, values);
    expect(data.answer.userErrors).toEqual([]);
  }
  const record = (subject: string, attributes: object) =>
    change('updateSubject(subjectId: $subject, patch: $patch)', {
      ...{ subject: ['String!', subject], patch: ['SubjectPatch!', { attributes }] },
    });
  const patch = (value: object) =>
    change('updateContext(contextId: $id, patch: $patch)', {
      ...{ id: ['ID!', world.ids['contextId']], patch: ['ContextPatch!', value] },
    });
  const members = (expression: string) => ({
    ...{ principal: 'member', principalType: 'ROLE', resource: 'context', actions: ['READ'] },
    conditions: { expression },
  });
  const list = (...permissions: object[]) => patch({ accessControl: { visibility: 'PRIVATE', permissions } });

  /** Where something of the context is to be seen. */
  async function seen(who: 'eve' | 'sam'): Promise<readonly string[]> {
    const { ids } = world;
    const first = await ask(who, documents[0], {
      ...{ context: ids['contextId'], plan: ids['planId'], trace: ids['traceId'], confirm: ids['confirmId'] },
    });
    const second = await ask(who, documents[1], {
      ...{ collab: ids['collabId'], network: ids['networkId'], extension: ids['extensionId'] },
      ...{ workflow: ids['workflowExecutionId'] },
    });
    const response = await fetch(
      `${platform.url}/v1/export/plan/plans?format=ndjson&contextId=${world.ids['contextId']}`,
      { headers: { authorization: `Bearer ${tokens[who]}` } },
    );
    expect(response.status).toBe(200);
    const exported = (await response.text()).trim() === '' ? [] : ['export'];
    return Object.entries<Json>({ ...first, ...second })
      .flatMap(([name, value]) => (value === null || value.nodes?.length === 0 ? [] : [name]))
      .concat(exported);
  }
  /** Who sees all of it; the others see nothing. */
  async function expectSeenBy(...names: readonly ('eve' | 'sam')[]): Promise<void> {
    for (const who of ['eve', 'sam'] as const)
      await expect.poll(() => seen(who), { timeout: 10_000 }).toEqual(names.includes(who) ? everything : []);
    // Asked again, in the other order: nothing that was kept for one is shown to the other.
    for (const who of ['sam', 'eve'] as const) expect(await seen(who)).toEqual(names.includes(who) ? everything : []);
  }

  test('are none while all see it', async () => {
    await patch({ accessControl: { visibility: 'TENANT' } });
    await expectSeenBy('eve', 'sam');
  }, 60_000);

  test('show it to those of a role of whom something is recorded, until it is not', async () => {
    await list(members('subject.department == "legal"'));
    await expectSeenBy('eve');
    await record('sam', { department: 'legal' });
    await expectSeenBy('eve', 'sam');
    await record('eve', { department: 'sales' });
    await expectSeenBy('sam');
    await list(members('subject.department == resource.category'));
    await expectSeenBy();
    await patch({ category: 'sales' });
    await expectSeenBy('eve');
    await patch({ category: 'legal' });
    expect(await seen('eve')).toEqual([]);
    await expectSeenBy('sam');
    await list();
    expect(await seen('sam')).toEqual([]);
    await record('eve', { department: 'legal' });
    await record('sam', { department: 'sales' });
  }, 120_000);

  test('show it while the time lies within a condition', async () => {
    const untilMs = Date.now() + 8_000;
    await list(members(`environment.time < ${untilMs} AND subject.department == "legal"`));
    await expectSeenBy('eve');
    await expect.poll(() => seen('eve'), { timeout: 15_000 }).toEqual([]);
    expect(Date.now()).toBeGreaterThanOrEqual(untilMs);
  }, 60_000);

  // What is recorded of a subject has its streams admitted anew; time goes by without a word.
  test.each(['what is recorded', 'the time'])(
    'streams of what lies in it end once %s is another',
    async (what) => {
      const { ids } = world;
      const untilMs = Date.now() + 12_000;
      await list(
        members(`subject.department == "legal"${what === 'the time' ? ` AND environment.time < ${untilMs}` : ''}`),
      );
      await expectSeenBy('eve');
      const follow = (query: string, id: string | undefined) =>
        subscribe<Json>({ url: platform.url, query, variables: { id }, token: tokens.eve });
      const streams = [
        follow('subscription ($id: ID!) { contextUpdates(contextId: $id) { type } }', ids['contextId']),
        follow('subscription ($id: ID!) { traceUpdates(traceId: $id) { type } }', ids['traceId']),
        follow('subscription ($id: ID!) { extensionStatusUpdated(extensionId: $id) { type } }', ids['extensionId']),
      ];
      let n = 0;
      const stir = async () => {
        n += 1;
        await patch({ summary: `stirred ${mode} ${n}` });
        await change(`recordMetrics(traceId: $id, metrics: [{ name: "n", value: ${n} }])`, {
          id: ['ID!', ids['traceId']],
        });
        await change(`${n % 2 === 1 ? 'deactivateExtension' : 'activateExtension'}(extensionId: $id)`, {
          id: ['ID!', ids['extensionId']],
        });
      };
      // Until each is followed: a change before that is heard by nobody.
      await expect
        .poll(
          async () => {
            await stir();
            return streams.every(({ payloads }) => payloads.length > 0);
          },
          { timeout: 20_000 },
        )
        .toBe(true);
      // Nothing of the context changes.
      if (what === 'what is recorded') await record('eve', { department: 'sales' });
      await expect.poll(() => seen('eve'), { timeout: 20_000 }).toEqual([]);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const before = streams.map(({ payloads }) => payloads.length);
      await stir();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(streams.map(({ payloads }) => payloads.length)).toEqual(before);
      const codes = streams.flatMap((stream) =>
        (stream.errors as Json[]).flat().map(({ extensions }) => extensions.code),
      );
      expect(codes).toEqual(what === 'the time' ? [] : ['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
      await Promise.all(streams.map((stream) => stream.close()));
      await record('eve', { department: 'legal' });
    },
    90_000,
  );
});
