import { fileURLToPath } from 'node:url';
import type { GraphQLObjectType } from 'graphql';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isErrorCode } from '#shared/errors.ts';
import postgres from '#shared/postgresDriver.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { type GraphQLAnswer, hostPlatform, modes, type Platform } from '../support/platform.ts';
import { crossing, firstOfEach } from './walk/crossing.ts';
import { type DirectSubgraphs, openDirect, readEntities, readSubgraphSchemas } from './walk/direct.ts';
import {
  emptyEdges,
  endsOwnToken,
  open,
  operatorsOnly,
  ownChoices,
  ownRecords,
  ownStreams,
  placed,
  plainAnswers,
} from './walk/exceptions.ts';
import { listen } from './walk/listen.ts';
import { difference, leaksIn, normalised, objectsIn, secret, uuidsIn } from './walk/marks.ts';
import { findOwnersProblems } from './walk/ownMutations.ts';
import { readTenantJobs, readTenantRows, waitUntilQuiet, withoutAccess } from './walk/rows.ts';
import {
  documentOf,
  edgesOf,
  type OperationKind,
  type RootField,
  readApi,
  rootFieldsOf,
  selectionOf,
  type Variant,
  variantsOf,
} from './walk/schema.ts';
import { type Actor, entityIdOf, representationOf, seedWorld, type World } from './walk/seed.ts';
import { valuesFor } from './walk/values.ts';

/** Time for a subscription to be refused on a busy machine. */
const refusalMs = 5_000;

const api = readApi();
const entitiesBySubgraph = await readEntities();
const entities: ReadonlySet<string> = new Set([...entitiesBySubgraph.values()].flat());
const schemas = await readSubgraphSchemas();
const allQueries = rootFieldsOf(api, 'query');
// Imports last: they may give the caller an object of its own under the foreign id.
const allMutations = rootFieldsOf(api, 'mutation')
  .filter(({ name }) => !endsOwnToken.has(name))
  .toSorted((one, two) => Number(one.name.startsWith('import')) - Number(two.name.startsWith('import')));
const allSubscriptions = rootFieldsOf(api, 'subscription');

// One process walks everything; what another process adds is the way there, not the code behind it.
describe.each(modes)('two tenants, %s', (mode) => {
  const whole = mode === 'one process';
  const queries = whole ? allQueries : crossing(schemas, allQueries, 'query');
  const mutations = whole ? allMutations : crossing(schemas, allMutations, 'mutation');
  const subscriptions = whole ? allSubscriptions : crossing(schemas, allSubscriptions, 'subscription');
  let platform: Platform;
  let direct: DirectSubgraphs;
  let sql: Sql;
  let a: Actor;
  let b: Actor;
  let c: Actor;
  let outsider: string;
  let worldA: World;
  let worldB: World;
  let worldC: World;
  let idsOfA: ReadonlySet<string>;
  let rowsOfA: ReadonlyMap<string, readonly string[]>;
  let jobsOfA: readonly string[];
  const cursors = new Map<string, string>();
  const entityIds = new Map<string, Set<string>>();
  const ownAnswers = new Map<string, string>();
  const codes = new Set<string>();

  beforeAll(async () => {
    platform = await hostPlatform({
      mode,
      env: {
        TRACE_HISTORY: 'off',
        METRIC_SAMPLE_MS: '1000',
        METRIC_HISTORY: 'off',
        API_TOKENS_PER_SUBJECT: '10000',
        TRUSTED_DOCUMENTS_FILE: fileURLToPath(new URL('walk/trusted.json', import.meta.url)),
      },
    });
    sql = postgres(platform.databaseUrl, { max: 1, onnotice: () => {} });
    const actor = async (tenant: string, watched: boolean): Promise<Actor> => ({
      tenant,
      owner: 'ann',
      token: await platform.token({ tenant, subject: 'ann', roles: ['admin'] }),
      watched,
    });
    // The same subject in each tenant: a subject alone must never be an identity.
    [a, b, c] = [await actor('walk-a', true), await actor('walk-b', false), await actor('walk-c', false)];
    outsider = await platform.token({ tenant: 'walk-a', subject: 'olga', roles: ['member'] });
    // A world is mostly waiting for what is done behind the answers.
    [worldA, worldB, worldC] = await Promise.all([
      seedWorld(platform, api, a, 1),
      seedWorld(platform, api, b, 1),
      seedWorld(platform, api, c, 1),
    ]);
    await settle();
    for (const field of queries) {
      for (const variant of variantsOf(field, valuesFor(field, worldA, cursors))) {
        const answer = await ask('query', field, variant, a.token);
        await ask('query', field, variant, a.token);
        const text = JSON.stringify(answer.data);
        if (variant.added === '') {
          ownAnswers.set(field.name, JSON.stringify([answer.data, answer.errors]));
          const cursor = /"endCursor":"([^"]+)"/.exec(text)?.[1];
          if (cursor) cursors.set(field.name, cursor);
        }
        for (const { __typename: type, id } of objectsIn(answer.data)) {
          if (!entities.has(type)) continue;
          if (!entityIds.has(type)) entityIds.set(type, new Set());
          entityIds.get(type)!.add(id);
        }
      }
    }
    await settle();
    direct = await openDirect(platform.databaseUrl);
    rowsOfA = withoutAccess(await readTenantRows(sql, a.tenant));
    jobsOfA = await readTenantJobs(sql, a.tenant);
    idsOfA = uuidsIn([...rowsOfA.values()].flat().join('\n'));
    // Three worlds, and every query of one of them twice.
  }, 300_000);
  afterAll(async () => {
    await direct?.[Symbol.asyncDispose]();
    await sql?.end();
    await platform?.close();
  });

  const settle = () => waitUntilQuiet(sql, 'walk-a');

  function noteCodes(text: string): void {
    for (const [, code] of text.matchAll(/"code":"([^"]*)"/g)) codes.add(code!);
  }

  async function ask(kind: OperationKind, field: RootField, variant: Variant, token: string): Promise<GraphQLAnswer> {
    const answer = await platform.query(documentOf(kind, field, entities, variant.variables), variant.variables, {
      token,
    });
    noteCodes(JSON.stringify([answer.data, answer.errors]));
    return answer;
  }

  /** Other ids in the place of known ones, the same for the same. */
  function strangers(): (id: string) => string {
    const known = new Map<string, string>();
    return (id) => {
      if (!known.has(id)) known.set(id, crypto.randomUUID());
      return known.get(id)!;
    };
  }

  const told = (answer: Pick<GraphQLAnswer, 'status' | 'data' | 'errors'>) => ({
    status: answer.status,
    data: answer.data,
    errors: answer.errors,
  });
  const sameFor = { 'walk-b': 'T', 'walk-c': 'T' };

  /** Calls a field with A's ids and with unknown ones (without ids: as the other tenant) and compares. */
  async function attempt(
    kind: 'query' | 'mutation',
    field: RootField,
    token: string,
    control: string,
  ): Promise<string[]> {
    const problems: string[] = [];
    const foreign = variantsOf(field, valuesFor(field, worldA, cursors));
    const unknown = variantsOf(field, valuesFor(field, worldA, cursors, strangers()));
    for (const [index, variant] of foreign.entries()) {
      const call = `${field.name}${variant.added && `(+${variant.added})`}`;
      const answer = told(await ask(kind, field, variant, token));
      const found = leaksIn(JSON.stringify(answer), JSON.stringify(variant.variables), idsOfA);
      const leaks = ownRecords.has(field.name) ? found.filter((leak) => leak === secret) : found;
      if (leaks.length > 0) problems.push(`${call} tells ${leaks.join(', ')}: ${JSON.stringify(answer).slice(0, 300)}`);
      if (ownRecords.has(field.name) || (!variant.hasId && (kind === 'mutation' || placed.has(variant.added))))
        continue;
      const askTwin = async () => told(await ask(kind, field, unknown[index]!, variant.hasId ? token : control));
      let [one, two] = [normalised(answer, sameFor), normalised(await askTwin(), sameFor)];
      if (one !== two && kind === 'query') {
        // What a read leaves behind (a delivery that is marked) is written after its answer: both are asked again.
        await settle();
        [one, two] = [
          normalised(told(await ask(kind, field, variant, token)), sameFor),
          normalised(await askTwin(), sameFor),
        ];
      }
      if (one !== two) problems.push(`${call} tells foreign from unknown:${difference(one, two)}`);
    }
    return problems;
  }

  it('has one of every entity to protect', () => {
    expect(worldA.failures).toEqual([]);
    expect([worldB.failures, worldC.failures]).toEqual([[], []]);
    if (whole) expect([...entities].filter((type) => !entityIds.has(type))).toEqual([]);
    for (const fields of [queries, mutations, subscriptions]) expect(fields.length).toBeGreaterThan(firstOfEach);
  });

  it('shows the owner what it hides from others: the arguments of the walk are right', () => {
    for (const field of queries) {
      const text = ownAnswers.get(field.name)!;
      const recognised =
        plainAnswers.has(field.name) || text.includes(secret) || [...uuidsIn(text)].some((id) => idsOfA.has(id));
      expect([field.name, recognised, /"extensions":\{"code"/.test(text) ? text.slice(0, 300) : '']).toEqual([
        field.name,
        true,
        '',
      ]);
    }
  });

  it.each(queries.map((field) => [field.name, field] as const))('query %s', async (_, field) => {
    expect(await attempt('query', field, b.token, c.token)).toEqual([]);
  });

  // Asked without the gateway: the same in both modes.
  if (whole)
    it('representations of entities, asked of the subgraphs themselves', async () => {
      const principal = (tenantId: string): Principal => createPrincipal({ tenantId, subject: 'ann', scopes: ['*'] });
      for (const [name, types] of entitiesBySubgraph) {
        for (const type of types) {
          const selection = selectionOf(schemas.get(name)!.getType(type) as GraphQLObjectType, entities);
          const source = `query ($all: [_Any!]!) { _entities(representations: $all) { __typename ... on ${type} ${selection} } }`;
          const known = [...(entityIds.get(type) ?? [])];
          const all = (list: readonly string[]) => ({ all: list.map((id) => representationOf(worldA, type, id)) });
          const [own, foreign, unknown] = [
            await direct.ask(name, principal(a.tenant), source, all(known)),
            await direct.ask(name, principal(b.tenant), source, all(known)),
            await direct.ask(name, principal(b.tenant), source, all(known.map(strangers()))),
          ];
          expect([name, type, own.errors ?? []]).toEqual([name, type, []]);
          expect([name, type, JSON.stringify(own.data).includes('"id"')]).toEqual([name, type, true]);
          expect([name, type, leaksIn(JSON.stringify(foreign), JSON.stringify(all(known)), idsOfA)]).toEqual([
            name,
            type,
            [],
          ]);
          expect([name, type, normalised(foreign)]).toEqual([name, type, normalised(unknown)]);
          const nobody = await direct.ask(
            name,
            createPrincipal({ tenantId: a.tenant, subject: 'ann', scopes: [] }),
            source,
            all(known),
          );
          expect([name, type, leaksIn(JSON.stringify(nobody), JSON.stringify(all(known)), idsOfA)]).toEqual([
            name,
            type,
            [],
          ]);
          const refusals = [...new Set((nobody.errors ?? []).map((error) => error.extensions['code']))];
          expect([name, type, refusals]).toEqual([name, type, ['PERMISSION_DENIED']]);
        }
      }
    });

  if (whole)
    it('every edge: from own objects with foreign arguments', async () => {
      const principal = (tenantId: string): Principal => createPrincipal({ tenantId, subject: 'ann', scopes: ['*'] });
      const found = new Set<string>();
      const edges = [...schemas].flatMap(([name, schema]) =>
        edgesOf(schema, entities).map((edge) => ({ name, ...edge })),
      );
      expect(new Set(edges.map((edge) => edge.coordinate))).toEqual(
        new Set(edgesOf(api, entities).map((edge) => edge.coordinate)),
      );
      for (const { name, coordinate, type, field, target } of edges) {
        const call = (variant: Variant) => {
          const used = field.args.filter((argument) => argument.name in variant.variables);
          const declared = used.map((argument) => `, $${argument.name}: ${String(argument.type)}`).join('');
          const passed = used.map((argument) => `${argument.name}: $${argument.name}`).join(', ');
          return `query ($all: [_Any!]!${declared}) { _entities(representations: $all) { ... on ${type.name} { ${field.name}${passed && `(${passed})`} ${selectionOf(field.type, entities)} } } }`;
        };
        const represent = (world: World, ids: Iterable<string>) =>
          [...ids].map((id) => representationOf(world, type.name, id));
        for (const variant of variantsOf(field, valuesFor(field, worldA, cursors))) {
          if (variant.added === '') {
            const own = await direct.ask(name, principal(a.tenant), call(variant), {
              ...variant.variables,
              all: represent(worldA, entityIds.get(type.name) ?? []),
            });
            if (JSON.stringify(own.data).includes(`"__typename":"${target}"`)) found.add(coordinate);
          }
          const variables = { ...variant.variables, all: represent(worldB, [entityIdOf(worldB, type.name)]) };
          const answer = await direct.ask(name, principal(b.tenant), call(variant), variables);
          const leaks = leaksIn(JSON.stringify(answer), JSON.stringify(variables), idsOfA);
          expect([coordinate, variant.added, leaks]).toEqual([coordinate, variant.added, []]);
        }
      }
      expect(
        edges
          .map((edge) => edge.coordinate)
          .filter((coordinate) => !found.has(coordinate))
          .toSorted(),
      ).toEqual(Object.keys(emptyEdges).toSorted());
    });

  // Most of the time of each is waiting for what must not come.
  it.concurrent.each(subscriptions.map((field) => [field.name, field] as const))(
    'subscription %s',
    async (_, field) => {
      const touch = async () => {
        await new Promise((resolve) => setTimeout(resolve, 150));
        await platform.query(
          'mutation ($id: ID!, $summary: String!) { updateContext(contextId: $id, patch: { summary: $summary }) { userErrors { code } } }',
          { id: worldB.ids['contextId'], summary: crypto.randomUUID() },
          { token: b.token },
        );
      };
      const variants = variantsOf(field, valuesFor(field, worldA, cursors));
      const twins = variantsOf(field, valuesFor(field, worldA, cursors, strangers()));
      const request = (variant: Variant) => ({
        query: documentOf('subscription', field, entities, variant.variables),
        variables: variant.variables,
      });
      const noRights = await platform.token({ tenant: a.tenant, subject: 'ann', roles: [] });
      const [own, nobody, ...others] = await Promise.all([
        listen(platform.url, a.token, request(variants[0]!), 500),
        listen(platform.url, noRights, request(variants[0]!), refusalMs, '"errors"'),
        ...variants.flatMap((variant, index) => [
          listen(platform.url, b.token, request(variant), refusalMs, '"errors"'),
          listen(platform.url, b.token, request(twins[index]!), refusalMs, '"errors"'),
        ]),
        touch(),
      ]);
      expect([own.status, own.text.includes('"errors"') && own.text]).toEqual([200, false]);
      expect(nobody.text).toContain('PERMISSION_DENIED');
      for (const [index, variant] of variants.entries()) {
        const [foreign, unknown] = [others[2 * index]!, others[2 * index + 1]!];
        noteCodes(foreign.text);
        expect([variant.added, leaksIn(foreign.text, JSON.stringify(variant.variables), idsOfA)]).toEqual([
          variant.added,
          [],
        ]);
        const refused =
          foreign.text.includes('"errors"') ||
          (ownStreams.has(field.name) && !variant.hasId && !placed.has(variant.added)) ||
          ownChoices.has(`${field.name}.${variant.added}`);
        expect([variant.added, refused, normalised(foreign)]).toEqual([variant.added, true, normalised(unknown)]);
      }
    },
  );

  it.each(mutations.map((field) => [field.name, field] as const))('mutation %s', async (_, field) => {
    expect(await attempt('mutation', field, b.token, c.token)).toEqual([]);
  });

  it('leaves every row and every job of the other tenant as it was', async () => {
    await settle();
    const rows = withoutAccess(await readTenantRows(sql, a.tenant));
    for (const [table, before] of rowsOfA) expect([table, rows.get(table)]).toEqual([table, before]);
    expect(await readTenantJobs(sql, a.tenant)).toEqual(jobsOfA);
    expect(idsOfA.size).toBeGreaterThan(5);
  });

  it('hides a private dialog from others of its own tenant', async () => {
    const dialogOnly = [...queries, ...mutations].filter(
      (field) =>
        JSON.stringify(variantsOf(field, valuesFor(field, worldA, cursors))[0]!.variables).includes(
          worldA.ids['dialogId'] ?? 'none',
        ) ||
        JSON.stringify(variantsOf(field, valuesFor(field, worldA, cursors))[0]!.variables).includes(
          worldA.ids['messageId'] ?? 'none',
        ),
    );
    if (whole) expect(dialogOnly.length).toBeGreaterThan(20);
    const dialogRows = () =>
      readTenantRows(sql, a.tenant).then((rows) => [...rows].filter(([table]) => table.startsWith('dialog.')));
    await settle();
    const before = await dialogRows();
    const problems: string[] = [];
    for (const field of dialogOnly) {
      const kind = queries.includes(field) ? 'query' : 'mutation';
      const variant = variantsOf(field, valuesFor(field, worldA, cursors))[0]!;
      const twin = variantsOf(field, valuesFor(field, worldA, cursors, strangers()))[0]!;
      const answer = told(await ask(kind, field, variant, outsider));
      const leaks = leaksIn(JSON.stringify(answer), JSON.stringify(variant.variables), idsOfA);
      const [one, two] = [normalised(answer), normalised(told(await ask(kind, field, twin, outsider)))];
      if (leaks.length > 0 || one !== two) problems.push(`${field.name}: ${leaks.join(', ')}${difference(one, two)}`);
    }
    await settle();
    expect(problems).toEqual([]);
    expect(await dialogRows()).toEqual(before);
  });

  it('answers a principal without any permission with PERMISSION_DENIED and nothing else', async () => {
    const nobody = await platform.token({ tenant: a.tenant, subject: 'ann', roles: [] });
    for (const [kind, fields] of [
      ['query', queries],
      ['mutation', mutations],
    ] as const) {
      for (const field of fields) {
        const variant = variantsOf(field, valuesFor(field, worldA, cursors))[0]!;
        const answer = await ask(kind, field, variant, nobody);
        const answered = [
          field.name,
          answer.errors.map((error) => error.extensions.code),
          leaksIn(JSON.stringify(told(answer)), JSON.stringify(variant.variables), idsOfA),
        ];
        expect(answered).toEqual([field.name, field.name in open ? [] : ['PERMISSION_DENIED'], []]);
      }
    }
  });

  // The arguments are the same in both modes: once is enough.
  if (whole)
    it('lets the owner do with those arguments what others could not', async () => {
      const problems = await findOwnersProblems({
        mutations: mutations.filter(({ name }) => !operatorsOnly.has(name)),
        cursors,
        seed: (nth) => seedWorld(platform, api, a, 100 + nth),
        ask: (field, variant) => ask('mutation', field, variant, a.token),
      });
      expect(problems).toEqual([]);
      // Many worlds.
    }, 300_000);

  it('has met no code that is not in the table', () => {
    expect(codes.size).toBeGreaterThan(3);
    expect([...codes].filter((code) => !isErrorCode(code))).toEqual([]);
  });
});
