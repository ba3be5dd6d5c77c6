import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { idOf, type ProtocolModule, protocolModules } from '../../schema/protocol/index.ts';
import { isSubgraphName, subgraphNames } from '../../subgraphs/names.ts';
import { loadSubgraphs } from '../../subgraphs/registry.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { hostPlatform, type Platform } from '../support/platform.ts';
import { frozenExamples, frozenFlows, frozenPresent, type NamedObject } from './frozen.ts';
import { type FrozenCheck, openFrozenCheck } from './frozenCheck.ts';

const importBundle = `mutation ($objects: [ProtocolObjectInput!]!) {
  importProtocolBundle(objects: $objects) { ok results { ok errors { path keyword message } } errors { path keyword message } } }`;
const exportObject = 'query ($module: ProtocolModule!, $id: ID!) { exportProtocolObject(module: $module, id: $id) }';
const exportBundle = 'query ($contextId: ID!) { exportProtocolBundle(contextId: $contextId) }';

const subgraphs = await loadSubgraphs(subgraphNames);
const stores = (module: ProtocolModule): boolean =>
  isSubgraphName(module) && subgraphs.get(module)!.codec !== undefined;

/** What is imported by one tenant, as the script is to find it again. */
interface Case {
  readonly label: string;
  readonly objects: readonly NamedObject[];
  /** Named where every module of the flow is stored: the script then compares with the flow itself. */
  readonly flow: string | null;
}

const flows: readonly Case[] = frozenPresent
  ? frozenFlows()
      .filter(({ label }) => label.endsWith('/expected'))
      .map(({ label, objects }) => ({
        label,
        objects: objects.filter(({ module }) => stores(module)),
        flow: objects.every(({ module }) => stores(module)) ? label.split('/')[0]! : null,
      }))
  : [];
// Several examples reuse one id: each is imported alone.
const examples: readonly Case[] = frozenPresent
  ? frozenExamples()
      .filter(({ module }) => stores(module))
      .map((object) => ({ label: object.label, objects: [object], flow: null }))
  : [];

describe.runIf(frozenPresent)('check.mjs of the frozen data, as a process of its own', () => {
  let platform: Platform;
  let database: TestDatabase;
  let folder: string;
  let script: FrozenCheck;
  const tokens = new Map<Case, string>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mplp-check-'));
    script = await openFrozenCheck(folder);
    database = await createTestDatabase('partitioned');
    const options = { databaseUrl: database.url, dataDir: join(folder, 'data') };
    await mkdir(join(folder, 'data'));
    platform = await hostPlatform(options);
    for (const [index, one] of [...flows, ...examples].entries()) {
      const token = await platform.token({ tenant: `check-${index}`, subject: 'importer', roles: ['admin'] });
      const objects = one.objects.toReversed().map(({ module, object }) => ({ module: module.toUpperCase(), object }));
      const answer = await platform.query<{ importProtocolBundle: unknown }>(importBundle, { objects }, { token });
      expect([one.label, answer.data?.importProtocolBundle]).toMatchObject([one.label, { ok: true, errors: [] }]);
      tokens.set(one, token);
    }
    // Two that run at the same time share no process: this one has nothing of the first in memory.
    const next = await hostPlatform(options);
    await platform.close();
    platform = next;
  });
  afterAll(async () => {
    await platform?.close();
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The documents as the graph gives them out after the restart: a context with all that is its own, or one object. */
  async function exported(one: Case): Promise<Record<string, unknown[]>> {
    const token = tokens.get(one)!;
    const context = one.objects.find(({ module }) => module === 'context');
    if (context) {
      const { data, errors } = await platform.query<{ exportProtocolBundle: Record<string, unknown[]> }>(
        exportBundle,
        { contextId: idOf('context', context.object) },
        { token },
      );
      expect(errors).toEqual([]);
      return data!.exportProtocolBundle;
    }
    const documents: Record<string, unknown[]> = {};
    for (const { module, object } of one.objects) {
      const { data } = await platform.query<{ exportProtocolObject: unknown }>(
        exportObject,
        { module: module.toUpperCase(), id: idOf(module, object) },
        { token },
      );
      documents[module] = [...(documents[module] ?? []), data!.exportProtocolObject];
    }
    return documents;
  }

  const byModule = (objects: readonly NamedObject[]) =>
    Object.fromEntries(
      protocolModules.map((module) => [
        module,
        objects.filter((entry) => entry.module === module).map((entry) => entry.object),
      ]),
    );

  it.each([...flows, ...examples].map((one) => [one.label, one] as const))(
    'finds %s as it was imported, valid and with its invariants',
    async (label, one) => {
      const name = label.replaceAll('/', '-');
      const dir = await script.write(`out/${name}`, await exported(one));
      const expected = await script.write(`in/${name}`, byModule(one.objects));
      const goal = one.flow === null ? ['--expected', expected] : ['--flow', one.flow];
      const { code, output } = await script.run(dir, ['--compare', 'roundtrip', ...goal]);
      expect(code, output).toBe(0);
      expect(output).toMatch(/\n[1-9]\d* passed, 0 failed\n$/);
      expect(output.match(/\(roundtrip\) +matches/g) ?? []).toHaveLength(
        new Set(one.objects.map(({ module }) => module)).size,
      );
    },
  );

  it('would say so if an export differed', async () => {
    const [one] = flows;
    const context = one!.objects.find(({ module }) => module === 'context')!;
    const dir = await script.write('out/spoilt', { context: [{ ...Object(context.object), x: 1 }] });
    const { code, output } = await script.run(dir, [
      '--compare',
      'roundtrip',
      '--expected',
      await script.write('in/spoilt', { context: [context.object] }),
    ]);
    expect([code, output]).toEqual([1, expect.stringMatching(/INVALID[\s\S]*DIFFERS[\s\S]*2 failed\n$/)]);
  });
});

// Registered only where it has something to say, so that a full run reports nothing as skipped.
if (!frozenPresent) {
  describe('check.mjs', () => {
    it('was NOT run: ../shared/conformance is absent', () => {
      expect([...flows, ...examples]).toEqual([]);
    });
  });
}
