import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

interface Payload {
  readonly userErrors: readonly { readonly code: string; readonly message: string }[];
  readonly [name: string]: unknown;
}

const bundle = 'export const Main = { greet: () => "hello" };';
const manifestOf = (required_modules: readonly string[]) => ({
  entry_point: 'main.js',
  main_class: 'Main',
  capabilities: [{ name: 'greet', interfaces: [{ interface_name: 'greet', methods: [{ method_name: 'greet' }] }] }],
  compatibility: { required_modules },
});

describe.each(modes)('modules that extensions require, %s', (mode) => {
  let platform: Platform;
  let token: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    token = await platform.token({ tenant: `requires-${mode.length}`, subject: 'ann', roles: ['admin'] });
  });
  afterAll(() => platform?.close());

  async function act(field: string, args: Readonly<Record<string, readonly [string, unknown]>>, selection = '') {
    const names = Object.entries(args);
    const answer = await platform.query<Record<string, Payload>>(
      `mutation (${names.map(([name, [type]]) => `$${name}: ${type}`).join(', ')}) {
        ${field}(${names.map(([name]) => `${name}: $${name}`).join(', ')}) { ${selection} userErrors { code message } }
      }`,
      Object.fromEntries(names.map(([name, [, value]]) => [name, value])),
      { token },
    );
    expect([field, answer.errors]).toEqual([field, []]);
    return answer.data![field]!;
  }
  const idIn = (payload: Payload, name: string): string => {
    expect(payload.userErrors).toEqual([]);
    return (payload[name] as { id: string }).id;
  };
  const codes = ({ userErrors }: Payload) => userErrors.map(({ code }) => code);
  const step = (field: string, type: string, extensionId: string) =>
    act(field, { input: [`${type}!`, { extensionId }] }, 'extension { runtimeState }');
  const install = (extensionId: string) => step('installExtension', 'InstallExtensionInput', extensionId);
  const load = (extensionId: string) => step('loadExtension', 'LoadExtensionInput', extensionId);
  async function find(query: object): Promise<readonly string[]> {
    const answer = await platform.query<{ discoverExtensions: { nodes: { id: string }[] } }>(
      'query ($query: DiscoverExtensionsInput!) { discoverExtensions(query: $query, first: 20) { nodes { id } } }',
      { query },
      { token },
    );
    expect(answer.errors).toEqual([]);
    return answer.data!.discoverExtensions.nodes.map(({ id }) => id);
  }
  /** Other processes hear of the manifest a moment later. */
  const soon = <Value>(look: () => Promise<Value>) => expect.poll(look, { timeout: 15_000, interval: 200 });

  it('are on in the tenant, else nothing that requires them starts or is found', async () => {
    const root = { domain: 'requires', environment: 'test' };
    const contextId = idIn(
      await act('createContext', { input: ['CreateContextInput!', { title: 'Modules', root }] }, 'context { id }'),
      'context',
    );
    const register = async (required: readonly string[]) =>
      idIn(
        await act(
          'registerExtension',
          {
            input: [
              'RegisterExtensionInput!',
              {
                ...{ contextId, name: `requires-${crypto.randomUUID().slice(0, 8)}`, extensionType: 'CAPABILITY' },
                version: '1.0.0',
                release: {
                  ...{ manifest: manifestOf(required), bundle },
                  checksum: createHash('sha256').update(bundle).digest('hex'),
                },
              },
            ],
          },
          'extension { id }',
        ),
        'extension',
      );
    const [talking, planning, late] = [
      await register(['dialog', 'plan']),
      await register(['plan']),
      await register(['dialog']),
    ];
    for (const id of [talking, planning]) expect(codes(await install(id))).toEqual([]);
    expect((await find({ contextId })).toSorted()).toEqual([talking, planning, late].toSorted());
    const modules = ['CONTEXT', 'ROLE', 'CORE', 'PLAN', 'EXTENSION', 'DIALOG'].map((moduleId) => ({
      ...{ moduleId, version: '1.0.0', required: false },
    }));
    const manifestId = idIn(
      await act('createManifest', { input: ['CreateCoreManifestInput!', { modules }] }, 'manifest { id }'),
      'manifest',
    );
    const set = (status: string) =>
      act('setModuleStatus', {
        ...{ manifestId: ['ID!', manifestId], moduleId: ['CoreModuleId!', 'DIALOG'] },
        status: ['CoreModuleStatus!', status],
      } as const);
    expect(codes(await set('DISABLED'))).toEqual([]);
    // A draft closes nothing.
    expect(codes(await load(planning))).toEqual([]);
    await act('changeManifestStatus', {
      ...{ manifestId: ['ID!', manifestId], status: ['CoreManifestStatus!', 'ACTIVE'] },
    } as const);
    await soon(() => find({ contextId })).toEqual([planning]);
    expect((await find({ contextId, includeIncompatible: true })).toSorted()).toEqual(
      [talking, planning, late].toSorted(),
    );
    await soon(async () => codes(await load(talking))).toEqual(['MODULE_DISABLED']);
    const refused = await install(late);
    expect(refused.userErrors).toEqual([
      { code: 'MODULE_DISABLED', message: "it needs the module dialog, which the tenant's manifest disables" },
    ]);
    // Nothing has failed: they wait.
    const states = await platform.query(
      'query ($late: ID!, $talking: ID!) { late: extension(id: $late) { runtimeState } talking: extension(id: $talking) { runtimeState } }',
      { late, talking },
      { token },
    );
    expect(states.data).toEqual({ late: { runtimeState: 'REGISTERED' }, talking: { runtimeState: 'INSTALLED' } });
    expect(codes(await set('ENABLED'))).toEqual([]);
    await soon(async () => codes(await load(talking))).toEqual([]);
    await soon(async () => (await find({ contextId })).includes(talking)).toBe(true);
  });
});
