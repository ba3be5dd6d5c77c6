import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readApi } from '../contract/walk/schema.ts';
import { type Actor, seedWorld, type World } from '../contract/walk/seed.ts';
import { type HostedPlatform, hostPlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
type Json = any;

const errors = 'userErrors { code }';
const readers = ['eve', 'sam'] as const;
type Reader = (typeof readers)[number];

/** Everything of the context that a query shows by id, and whether lists name it, module by module. */
const documents = [
  `query ($context: ID!, $plan: ID!, $run: ID!, $trace: ID!, $confirm: ID!) {
    context(contextId: $context) { id } contexts(first: 100) { nodes { id } } searchContexts(query: "zqvfindword", first: 100) { nodes { id } }
    plan(planId: $plan) { id } plans(filter: { contextId: $context }) { nodes { id } } planExecution(executionId: $run) { id }
    trace(traceId: $trace) { id } traces(filter: { contextId: $context }) { nodes { id } } confirm(id: $confirm) { id } }`,
  `query ($context: ID!, $collab: ID!, $network: ID!, $extension: ID!, $workflow: ID!) {
    confirms(filter: { contextId: $context }) { nodes { id } }
    collaboration(id: $collab) { id } collaborations(filter: { contextId: $context }) { nodes { id } }
    network(networkId: $network) { id } networks(filter: { contextId: $context }) { nodes { id } }
    extension(id: $extension) { id } extensions(filter: { contextId: $context }) { nodes { id } }
    workflowExecution(executionId: $workflow) { id } workflowExecutions(filter: { contextId: $context }) { nodes { id } } }`,
];

interface Entry {
  readonly principal: string;
  readonly principalType: 'USER' | 'ROLE';
  readonly resource: string;
  readonly actions: readonly string[];
  readonly conditions?: { readonly expression: string };
}

/** Entries that show the context to one of the readers, and some that look like it and do not. */
const entries: readonly (Entry & { readonly shows: Reader | null })[] = [
  { principal: 'eve', principalType: 'USER', resource: 'context', actions: ['READ'], shows: 'eve' },
  { principal: 'eve', principalType: 'USER', resource: '*', actions: ['ADMIN'], shows: 'eve' },
  { principal: 'steward', principalType: 'ROLE', resource: 'context', actions: ['READ', 'WRITE'], shows: 'sam' },
  { principal: 'steward', principalType: 'USER', resource: 'context', actions: ['READ'], shows: null },
  { principal: 'eve', principalType: 'USER', resource: 'plan', actions: ['READ'], shows: null },
  { principal: 'sam', principalType: 'ROLE', resource: 'context', actions: ['READ'], shows: null },
  // Eve is recorded as one of the legal department.
  {
    ...{ principal: 'member', principalType: 'ROLE', resource: 'context', actions: ['READ'], shows: 'eve' },
    conditions: { expression: 'subject.department == "legal"' },
  },
  {
    ...{ principal: 'member', principalType: 'ROLE', resource: '*', actions: ['WRITE'], shows: 'sam' },
    conditions: { expression: 'subject.roles CONTAINS "steward" AND resource.status == "active"' },
  },
  {
    ...{ principal: 'eve', principalType: 'USER', resource: 'context', actions: ['READ'], shows: null },
    conditions: { expression: 'subject.department == "sales" OR environment.time < 0 OR resource.status == "closed"' },
  },
];

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ list: fc.subarray(entries.map((_entry, at) => at)) }) },
  { weight: 1, arbitrary: fc.record({ visibility: fc.constantFrom('PRIVATE', 'TENANT') }) },
  { weight: 2, arbitrary: fc.record({ takesPart: fc.boolean() }) },
);

describe('access lists of a private context, two instances', () => {
  let one: HostedPlatform;
  let two: HostedPlatform;
  let world: World;
  const tokens = {} as Record<Reader | 'ann', string>;
  beforeAll(async () => {
    one = await hostPlatform({ mode: 'one process' });
    // Redis is away: the other instance hears of changes by the event tables.
    two = await hostPlatform({ mode: 'one process', databaseUrl: one.databaseUrl, dataDir: one.dataDir });
    tokens.ann = await one.token({ tenant: 'lists', subject: 'ann', roles: ['admin'] });
    tokens.eve = await one.token({ tenant: 'lists', subject: 'eve', roles: ['member'] });
    tokens.sam = await one.token({ tenant: 'lists', subject: 'sam', roles: ['member', 'steward'] });
    const actor: Actor = { tenant: 'lists', owner: 'ann', token: tokens.ann, watched: false };
    await record(one, 'legal');
    world = await seedWorld(one, readApi(), actor, 1);
    expect(world.failures).toEqual([]);
  }, 300_000);
  afterAll(async () => {
    await two?.close();
    await one?.close();
  });

  async function ask(platform: HostedPlatform, who: Reader | 'ann', document: string, variables: object = {}) {
    const answer = await platform.query<Json>(document, variables as Record<string, unknown>, { token: tokens[who] });
    expect(answer.errors).toEqual([]);
    return answer.data;
  }

  /** Fields under which something of the context is to be seen. */
  async function seen(platform: HostedPlatform, who: Reader): Promise<readonly string[]> {
    const { ids } = world;
    const variables = [
      {
        ...{ context: ids['contextId'], plan: ids['planId'], run: ids['executionId'], trace: ids['traceId'] },
        confirm: ids['confirmId'],
      },
      {
        ...{ context: ids['contextId'], collab: ids['collabId'], network: ids['networkId'] },
        ...{ extension: ids['extensionId'], workflow: ids['workflowExecutionId'] },
      },
    ];
    const answers = await Promise.all(documents.map((document, at) => ask(platform, who, document, variables[at])));
    return answers
      .flatMap((data) => Object.entries<Json>(data))
      .flatMap(([name, value]) => (value === null || value.nodes?.length === 0 ? [] : [name]));
  }

  async function exported(platform: HostedPlatform, who: Reader): Promise<number> {
    const response = await fetch(
      `${platform.url}/v1/export/plan/plans?format=ndjson&contextId=${world.ids['contextId']}`,
      { headers: { authorization: `Bearer ${tokens[who]}` } },
    );
    expect(response.status).toBe(200);
    return (await response.text()).split('\n').filter((line) => line !== '').length;
  }

  async function change(platform: HostedPlatform, field: string, type: string, patch: object): Promise<Json> {
    const data = await ask(platform, 'ann', `mutation ($id: ID!, $value: ${type}) { answer: ${field} { ${errors} } }`, {
      id: world.ids['contextId'],
      value: patch,
    });
    expect(data.answer.userErrors).toEqual([]);
  }
  async function record(platform: HostedPlatform, department: string): Promise<void> {
    const data = await ask(
      platform,
      'ann',
      `mutation ($patch: SubjectPatch!) { updateSubject(subjectId: "eve", patch: $patch) { ${errors} } }`,
      { patch: { attributes: { department } } },
    );
    expect(data.updateSubject.userErrors).toEqual([]);
  }
  const patchAccess = (platform: HostedPlatform, accessControl: object) =>
    change(platform, 'updateContext(contextId: $id, patch: $value)', 'ContextPatch!', { accessControl });

  test('show it, and what lies in it, to whom they name and to nobody else, whatever happens', async () => {
    await patchAccess(one, { visibility: 'TENANT', permissions: [] });
    const everything = await expect
      .poll(() => seen(one, 'eve'), { timeout: 20_000 })
      .toHaveLength(18)
      .then(() => seen(one, 'eve'));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.boolean()), { minLength: 5, maxLength: 8 }), async (steps) => {
        const state = { visibility: 'PRIVATE', list: [] as number[], participant: null as string | null };
        const shows = (who: Reader) =>
          state.visibility === 'TENANT' ||
          state.list.some((at) => entries[at]!.shows === who) ||
          (who === 'eve' && state.participant !== null);
        await patchAccess(one, { visibility: 'PRIVATE', permissions: [] });
        for (const [what, onOne] of steps) {
          const platform = onOne ? one : two;
          if ('list' in what) {
            state.list = what.list;
            await patchAccess(platform, { permissions: what.list.map((at) => ({ ...entries[at], shows: undefined })) });
          } else if ('visibility' in what) {
            state.visibility = what.visibility;
            await patchAccess(platform, { visibility: what.visibility });
          } else if (what.takesPart !== (state.participant !== null)) {
            const { answer } = await ask(
              platform,
              'ann',
              state.participant === null
                ? `mutation ($id: ID!) { answer: addParticipant(input: { contextId: $id, agentId: "eve" }) { participant { id } ${errors} } }`
                : `mutation ($id: ID!, $participant: ID!) { answer: removeParticipant(contextId: $id, participantId: $participant) { participant { id } ${errors} } }`,
              { id: world.ids['contextId'], ...(state.participant === null ? {} : { participant: state.participant }) },
            );
            expect(answer.userErrors).toEqual([]);
            state.participant = state.participant === null ? answer.participant.id : null;
          }
          for (const who of readers) {
            const expected = shows(who) ? everything : [];
            for (const instance of [one, two]) {
              await expect.poll(() => seen(instance, who), { timeout: 10_000, interval: 25 }).toEqual(expected);
              expect((await exported(instance, who)) > 0).toBe(shows(who));
            }
          }
        }
        if (state.participant !== null)
          await ask(
            one,
            'ann',
            `mutation ($id: ID!, $participant: ID!) { removeParticipant(contextId: $id, participantId: $participant) { ${errors} } }`,
            { id: world.ids['contextId'], participant: state.participant },
          );
      }),
      { numRuns: 4 },
    );
  }, 300_000);

  test('show it no longer once it is answered that somebody was taken off', async () => {
    for (let round = 0; round < 5; round += 1) {
      await patchAccess(one, { visibility: 'PRIVATE', permissions: [{ ...entries[0], shows: undefined }] });
      await expect.poll(() => seen(one, 'eve'), { timeout: 10_000 }).toHaveLength(18);
      await patchAccess(one, { permissions: [] });
      expect(await seen(one, 'eve')).toEqual([]);
      expect(await exported(one, 'eve')).toBe(0);
    }
  }, 60_000);

  test('show it no longer on the other instance once a condition does not hold, or its entry is gone', async () => {
    const legal = { ...entries[6], shows: undefined };
    const shown = async (length: number) => {
      for (const instance of [two, one])
        await expect.poll(() => seen(instance, 'eve'), { timeout: 10_000, interval: 25 }).toHaveLength(length);
      for (const instance of [two, one]) expect((await exported(instance, 'eve')) > 0).toBe(length > 0);
    };
    await patchAccess(one, { visibility: 'PRIVATE', permissions: [legal] });
    await shown(18);
    for (let round = 0; round < 3; round += 1) {
      await record(one, 'sales');
      await shown(0);
      await record(one, 'legal');
      await shown(18);
      await patchAccess(one, { permissions: [] });
      await shown(0);
      await patchAccess(one, { permissions: [legal] });
      await shown(18);
    }
    await patchAccess(one, { permissions: [] });
  }, 120_000);

  test('streams of what lies in it go on for who is on the list, and end for who is taken off', async () => {
    const { ids } = world;
    const mine = { ...entries[0], shows: undefined };
    await patchAccess(one, { visibility: 'PRIVATE', permissions: [mine] });
    await expect.poll(() => seen(two, 'eve'), { timeout: 10_000 }).toHaveLength(18);
    const follow = (query: string, id: string | undefined) =>
      subscribe<Json>({ url: two.url, query, variables: { id }, token: tokens.eve });
    const streams = [
      follow('subscription ($id: ID!) { contextUpdates(contextId: $id) { type } }', ids['contextId']),
      follow('subscription ($id: ID!) { traceUpdates(traceId: $id) { type } }', ids['traceId']),
      follow('subscription ($id: ID!) { extensionStatusUpdated(extensionId: $id) { type } }', ids['extensionId']),
    ];
    await new Promise((resolve) => setTimeout(resolve, 500));
    let n = 0;
    const stir = async () => {
      n += 1;
      await change(one, 'updateContext(contextId: $id, patch: $value)', 'ContextPatch!', { summary: `stirred ${n}` });
      const trace = `mutation ($id: ID!) { answer: recordMetrics(traceId: $id, metrics: [{ name: "n", value: ${n} }]) { ${errors} } }`;
      expect((await ask(one, 'ann', trace, { id: ids['traceId'] })).answer.userErrors).toEqual([]);
      const extension = `mutation ($id: ID!) { answer: ${n % 2 === 1 ? 'deactivateExtension' : 'activateExtension'}(extensionId: $id) { ${errors} } }`;
      expect((await ask(one, 'ann', extension, { id: ids['extensionId'] })).answer.userErrors).toEqual([]);
    };
    await stir();
    await Promise.all(streams.map((stream) => stream.until((payloads) => payloads.length > 0)));
    await patchAccess(one, { permissions: [] });
    await expect.poll(() => seen(two, 'eve'), { timeout: 10_000 }).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const before = streams.map(({ payloads }) => payloads.length);
    await stir();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(streams.map(({ payloads }) => payloads.length)).toEqual(before);
    expect(streams.flatMap((stream) => stream.errors)).toEqual([]);
    await Promise.all(streams.map((stream) => stream.close()));
  }, 60_000);
});
