import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { idOf, type ProtocolModule, protocolModules } from '../../schema/protocol/index.ts';
import { isSubgraphName, subgraphNames } from '../../subgraphs/names.ts';
import { loadSubgraphs } from '../../subgraphs/registry.ts';
import { countRows, waitForConsumers } from '../contract/walk/rows.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { hostPlatform, modes, type Platform, type PlatformOptions } from '../support/platform.ts';
import {
  faultOf,
  frozenExamples,
  frozenFiles,
  frozenFlows,
  frozenJson,
  frozenMutants,
  frozenPresent,
  isModule,
  type NamedObject,
} from './frozen.ts';
import { sampleMutants } from './sample/mutants.ts';
import { sampleId, sampleObjects } from './sample/objects.ts';

interface ImportError {
  readonly path: string;
  readonly keyword: string;
  readonly property: string | null;
  readonly message: string;
  readonly invariant: string | null;
}
interface ImportResult {
  readonly ok: boolean;
  readonly id: string | null;
  readonly errors: readonly ImportError[];
}
interface BundleResult {
  readonly ok: boolean;
  readonly results: readonly ImportResult[];
  readonly errors: readonly ImportError[];
}

const errorFields = 'path keyword property message invariant';
const importObject = `mutation ($module: ProtocolModule!, $object: JSON!, $dryRun: Boolean) {
  importProtocolObject(module: $module, object: $object, dryRun: $dryRun) { ok id errors { ${errorFields} } } }`;
const importBundle = `mutation ($objects: [ProtocolObjectInput!]!, $dryRun: Boolean) {
  importProtocolBundle(objects: $objects, dryRun: $dryRun) { ok results { ok id errors { ${errorFields} } } errors { ${errorFields} } } }`;
const exportObject = 'query ($module: ProtocolModule!, $id: ID!) { exportProtocolObject(module: $module, id: $id) }';
const exportBundle = 'query ($contextId: ID!) { exportProtocolBundle(contextId: $contextId) }';

/** Modules that keep what is imported; the others validate it and say so. */
const subgraphs = await loadSubgraphs(subgraphNames);
const stores = (module: ProtocolModule): boolean =>
  isSubgraphName(module) && subgraphs.get(module)!.codec !== undefined;
const graphName = (module: ProtocolModule) => module.toUpperCase();
const sampleBundle = (without: readonly ProtocolModule[] = []): NamedObject[] =>
  protocolModules.flatMap((module) =>
    without.includes(module) ? [] : [{ label: module, module, object: sampleObjects[module] }],
  );
const storedSample = () => sampleBundle().filter(({ module }) => stores(module));

describe.each(modes)(`the protocol door, ${frozenPresent ? 'frozen data' : 'BUNDLED SAMPLE ONLY'}, %s`, (mode) => {
  let platform: Platform;
  let database: TestDatabase;
  let dataDir: string;
  let sql: Sql;
  let tenants = 0;

  const options = (): PlatformOptions => ({
    mode,
    databaseUrl: database.url,
    dataDir,
    // Rows are counted here: what follows from events in the background would come in between.
    env: { TRACE_HISTORY: 'off' },
  });
  beforeAll(async () => {
    database = await createTestDatabase('partitioned');
    dataDir = await mkdtemp(join(tmpdir(), 'mplp-door-'));
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
    platform = await hostPlatform(options());
  });
  afterAll(async () => {
    await platform?.close();
    await sql?.end();
    await database?.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Of all tenants: what follows from earlier imports is waited for. */
  const countSettledRows = async () => {
    await waitForConsumers(sql);
    return countRows(sql);
  };
  /** A principal of a tenant in which nothing is yet. */
  const newcomer = () => platform.token({ tenant: `door-${++tenants}`, subject: 'importer', roles: ['admin'] });

  async function ask<Data>(
    document: string,
    variables: Readonly<Record<string, unknown>>,
    token: string,
  ): Promise<Data> {
    const answer = await platform.query<Data>(document, variables, { token });
    expect(answer.errors).toEqual([]);
    return answer.data!;
  }
  const put = async (token: string, module: ProtocolModule, object: unknown, dryRun = false) =>
    (
      await ask<{ importProtocolObject: ImportResult }>(
        importObject,
        { module: graphName(module), object, dryRun },
        token,
      )
    ).importProtocolObject;
  const putAll = async (
    token: string,
    objects: readonly { module: ProtocolModule; object: unknown }[],
    dryRun = false,
  ) =>
    (
      await ask<{ importProtocolBundle: BundleResult }>(
        importBundle,
        { objects: objects.map(({ module, object }) => ({ module: graphName(module), object })), dryRun },
        token,
      )
    ).importProtocolBundle;
  const get = async (token: string, module: ProtocolModule, id: string) =>
    (await ask<{ exportProtocolObject: unknown }>(exportObject, { module: graphName(module), id }, token))
      .exportProtocolObject;
  const getAll = async (token: string, contextId: string) =>
    (await ask<{ exportProtocolBundle: Record<string, unknown[]> | null }>(exportBundle, { contextId }, token))
      .exportProtocolBundle;
  const faults = (errors: readonly ImportError[]) => [
    ...new Set(errors.map((e) => faultOf(e.path, e.keyword, e.property ?? undefined))),
  ];

  const mutants = [...sampleMutants, ...(frozenPresent ? frozenMutants() : [])];

  it(`refuses each of ${mutants.length} mutants with its pointer, keyword and property, and stores nothing`, async () => {
    const token = await newcomer();
    if (frozenPresent) expect(mutants.length).toBeGreaterThanOrEqual(219 + sampleMutants.length);
    const before = await countSettledRows();
    for (const { id, module, object, expected } of mutants) {
      const result = await put(token, module, object);
      const found = { ok: result.ok, id: result.id, faults: faults(result.errors) };
      expect([id, found]).toEqual([
        id,
        { ok: false, id: null, faults: [faultOf(expected.path, expected.keyword, expected.property)] },
      ]);
      expect(result.errors[0]!.message).toMatch(/^expected .+, got .+/s);
    }
    expect(await countSettledRows()).toEqual(before);
  });

  it.runIf(frozenPresent)('refuses the other invalid fixtures', async () => {
    const token = await newcomer();
    const before = await countSettledRows();
    for (const file of frozenFiles('fixtures/invalid')) {
      const module = file.split('_')[0];
      if (!isModule(module)) throw new Error(`whose fixture is ${file}?`);
      const result = await put(token, module, frozenJson(`fixtures/invalid/${file}`));
      expect([file, result.ok, result.errors.length > 0]).toEqual([file, false, true]);
    }
    expect(await countSettledRows()).toEqual(before);
  });

  it('refuses what no store can keep', async () => {
    const token = await newcomer();
    const before = await countSettledRows();
    for (const [text, keyword] of [
      ['a\u0000b', 'format'],
      ['a\ud800b', 'format'],
      ['x'.repeat(262_145), 'maxLength'],
    ] as const) {
      const result = await put(token, 'context', { ...sampleObjects.context, summary: text });
      expect([result.ok, faults(result.errors)]).toEqual([false, [faultOf('/summary', keyword)]]);
    }
    for (const object of [[], 'text', 7, {}]) expect((await put(token, 'context', object)).ok).toBe(false);
    expect(await countSettledRows()).toEqual(before);
  });

  const examples: readonly NamedObject[] = [
    ...protocolModules.map((module) => ({
      label: `sample ${module}`,
      module,
      object: sampleObjects[module] as unknown,
    })),
    ...(frozenPresent ? frozenExamples() : []),
  ];

  it('accepts every example alone: dry, then for good, and gives it back as it came', async () => {
    for (const { label, module, object } of examples) {
      const token = await newcomer();
      const id = idOf(module, object)!;
      const before = await countSettledRows();
      expect([label, await put(token, module, object, true)]).toEqual([label, { ok: true, id, errors: [] }]);
      expect([label, await countSettledRows()]).toEqual([label, before]);
      const result = await put(token, module, object);
      if (stores(module)) {
        expect([label, result]).toEqual([label, { ok: true, id, errors: [] }]);
        expect([label, await get(token, module, id)]).toStrictEqual([label, object]);
      } else {
        expect([label, result.ok, faults(result.errors)]).toEqual([label, false, [faultOf('/', 'NOT_IMPLEMENTED')]]);
        expect([label, await countSettledRows()]).toEqual([label, before]);
        expect(await get(token, module, id)).toBeNull();
      }
    }
  });

  it('takes the same object again, also with its keys in another order, and refuses other content', async () => {
    for (const { module, object } of storedSample()) {
      const token = await newcomer();
      const id = idOf(module, object)!;
      await put(token, module, object);
      const stored = await countSettledRows();
      const reversed = Object.fromEntries(Object.entries(Object(object)).reverse());
      for (const again of [object, reversed])
        expect(await put(token, module, again)).toEqual({ ok: true, id, errors: [] });
      for (const dryRun of [true, false]) {
        const other = await put(
          token,
          module,
          { ...Object(object), meta: { protocol_version: '1.0.0', schema_version: '1.0.1' } },
          dryRun,
        );
        expect([other.ok, other.errors.map((e) => e.keyword)]).toEqual([false, ['CONFLICT']]);
      }
      expect(await countSettledRows()).toEqual(stored);
      expect(await get(token, module, id)).toStrictEqual(object);
    }
  });

  it('keeps the same id of two tenants apart', async () => {
    const [one, two] = [await newcomer(), await newcomer()];
    const { context } = sampleObjects;
    await put(one, 'context', context);
    expect(await get(two, 'context', context.context_id)).toBeNull();
    expect(await getAll(two, context.context_id)).toBeNull();
    expect((await put(two, 'context', { ...context, title: 'Another harbour' })).ok).toBe(true);
    expect(await get(one, 'context', context.context_id)).toStrictEqual(context);
  });

  it('checks every recorded flow as a bundle, and stores those whose modules do', async () => {
    const flows = [
      { label: 'sample', objects: sampleBundle() },
      { label: 'stored sample', objects: storedSample() },
      ...(frozenPresent ? frozenFlows() : []),
    ];
    if (frozenPresent) expect(flows.length).toBeGreaterThanOrEqual(10);
    for (const { label, objects } of flows) {
      const token = await newcomer();
      const before = await countSettledRows();
      const dry = await putAll(token, objects, true);
      expect([label, dry.ok, dry.errors]).toEqual([label, true, []]);
      expect(dry.results.map((result) => result.id)).toEqual(objects.map(({ module, object }) => idOf(module, object)));
      expect(await countSettledRows()).toEqual(before);
      const result = await putAll(token, objects.toReversed());
      if (objects.every(({ module }) => stores(module))) {
        expect([label, result.ok]).toEqual([label, true]);
        for (const { module, object } of objects)
          expect(await get(token, module, idOf(module, object)!)).toStrictEqual(object);
        continue;
      }
      const keywords = result.results.map((one) => one.errors.map((error) => error.keyword));
      expect([label, result.ok, keywords]).toEqual([
        label,
        false,
        objects.toReversed().map(({ module }) => (stores(module) ? [] : ['NOT_IMPLEMENTED'])),
      ]);
      expect(await countSettledRows()).toEqual(before);
    }
  });

  it('stores a bundle whole or not at all', async () => {
    const token = await newcomer();
    const valid = storedSample();
    const before = await countSettledRows();
    const broken = valid.map((entry, index) =>
      index === valid.length - 1 ? { ...entry, object: { ...Object(entry.object), x_unknown: 1 } } : entry,
    );
    const refused = await putAll(token, broken);
    expect([refused.ok, refused.results.map((result) => result.ok)]).toEqual([
      false,
      valid.map((_, index) => index < valid.length - 1),
    ]);
    expect(await countSettledRows()).toEqual(before);
    const last = valid.at(-1)!;
    await put(token, last.module, last.object);
    const stored = await countSettledRows();
    const clashing = valid.map((entry, index) =>
      index === valid.length - 1
        ? {
            ...entry,
            object: { ...Object(entry.object), meta: { protocol_version: '1.0.0', schema_version: '2.0.0' } },
          }
        : entry,
    );
    const conflict = await putAll(token, clashing);
    expect([conflict.ok, conflict.results.at(-1)!.errors.map((error) => error.keyword)]).toEqual([false, ['CONFLICT']]);
    expect(await countSettledRows()).toEqual(stored);
  });

  const other = sampleId(999);
  const worlds: readonly (readonly [string, ProtocolModule, Record<string, unknown>, string])[] = [
    ['a plan of another context', 'plan', { context_id: other }, 'plan_context_id_match'],
    [
      'a rejected confirm without a reason',
      'confirm',
      { status: 'rejected', reason: undefined },
      'rejected_must_have_reason',
    ],
    ['a confirm of another plan', 'confirm', { target_id: other }, 'confirm_target_match'],
    ['a trace of another plan', 'trace', { plan_id: other }, 'sa_trace_plan_binding'],
    ['a collab of another context', 'collab', { context_id: other }, 'map01_collab_context_binding'],
    ['a blank domain', 'context', { root: { domain: '', environment: 'x' } }, 'root_domain_must_be_non_empty'],
    [
      'another protocol version',
      'context',
      { meta: { protocol_version: '1.1.0', schema_version: '1.0.0' } },
      'protocol_version_must_be_1_0',
    ],
  ];

  it.each(worlds)('refuses a world with %s and names the invariant', async (_, module, patch, invariant) => {
    const token = await newcomer();
    const before = await countSettledRows();
    const objects = sampleBundle().map((entry) =>
      entry.module === module
        ? { ...entry, object: JSON.parse(JSON.stringify({ ...Object(entry.object), ...patch })) as unknown }
        : entry,
    );
    for (const dryRun of [true, false]) {
      const result = await putAll(token, objects, dryRun);
      expect([result.ok, result.errors.map((error) => error.invariant)]).toEqual([
        false,
        expect.arrayContaining([invariant]),
      ]);
      expect(result.errors.every((error) => error.message.length > 0 && error.path.startsWith('/'))).toBe(true);
      // The object that breaks it says so too.
      expect(result.results[protocolModules.indexOf(module)]!.errors.map((error) => error.invariant)).toContain(
        invariant,
      );
    }
    expect(await countSettledRows()).toEqual(before);
  });

  it('takes a bundle over the usual body limit', async () => {
    const token = await newcomer();
    const objects = Array.from({ length: 400 }, (_, n) => ({
      module: 'context' as const,
      object: { ...sampleObjects.context, context_id: sampleId(10_000 + n), summary: 'x'.repeat(4_000) },
    }));
    expect((await putAll(token, objects)).ok).toBe(true);
    expect(await get(token, 'context', sampleId(10_399))).toStrictEqual(objects[399]!.object);
  });

  it('answers nothing for unknown and malformed ids, and needs its permissions', async () => {
    const token = await newcomer();
    for (const id of [other, 'x', '']) {
      expect(await get(token, 'context', id)).toBeNull();
      expect(await getAll(token, id)).toBeNull();
    }
    const nobody = await platform.token({ roles: [] });
    for (const [document, variables] of [
      [importObject, { module: 'CONTEXT', object: sampleObjects.context }],
      [importBundle, { objects: [{ module: 'CONTEXT', object: sampleObjects.context }] }],
      [exportObject, { module: 'CONTEXT', id: other }],
      [exportBundle, { contextId: other }],
    ] as const) {
      const answer = await platform.query(document, variables, { token: nobody });
      expect(answer.errors.map((error) => error.extensions.code)).toEqual(['PERMISSION_DENIED']);
    }
  });

  it('gives everything back unchanged after a restart', async () => {
    const kept: { token: string; module: ProtocolModule; object: unknown }[] = [];
    for (const { module, object } of examples.filter((entry) => stores(entry.module))) {
      const token = await newcomer();
      await put(token, module, object);
      kept.push({ token, module, object });
    }
    const bundle = storedSample();
    const owner = await newcomer();
    expect((await putAll(owner, bundle)).ok).toBe(true);
    const contextId = sampleObjects.context.context_id;
    const bundleBefore = await getAll(owner, contextId);
    // Two that run at the same time share no process: this one has nothing of the first in memory.
    const next = await hostPlatform(options());
    await platform.close();
    platform = next;
    for (const { token, module, object } of kept)
      expect(await get(token, module, idOf(module, object)!)).toStrictEqual(object);
    const after = await getAll(owner, contextId);
    expect(after).toStrictEqual(bundleBefore);
    expect(Object.keys(after!).sort()).toEqual([...protocolModules, 'events'].sort());
    for (const module of protocolModules)
      expect([module, after![module]]).toStrictEqual([
        module,
        bundle.filter((entry) => entry.module === module).map((entry) => entry.object),
      ]);
    for (const { module, object } of bundle) expect((await put(owner, module, object)).ok).toBe(true);
    // Starts of whole platforms.
  }, 240_000);
});
