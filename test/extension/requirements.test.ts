import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, alice, codesOf, type ExtensionRig, manifestOf, openExtensionRig, trustedKey } from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig();
});
afterAll(() => rig?.[Symbol.asyncDispose]());

const permitted = (permission: unknown) => manifestOf({ security_requirements: { permissions: [permission] } });
const install = (extensionId: string) =>
  rig.mutate(admin, 'installExtension', 'InstallExtensionInput', { extensionId });
const idOf = (payload: Awaited<ReturnType<typeof install>>) => String(rig.insist(payload)['extension']!['id']);

describe('what a manifest asks for', () => {
  it.each([
    [
      'a global scope',
      permitted({ resource: 'plan', actions: ['read'], scope: 'global' }),
      'expected context: no extension',
    ],
    ['a local scope of others', permitted({ resource: 'plan', actions: ['read'], scope: 'local' }), 'expected context'],
    ['more state than is kept', manifestOf({ resource_requirements: { storage_limit: 1.5 } }), 'at most 1 MiB'],
    ['no state at all', manifestOf({ resource_requirements: { storage_limit: 0 } }), 'expected number to be >0'],
    ['a network', manifestOf({ resource_requirements: { network_bandwidth: 10 } }), 'expected 0'],
    ['a platform by no name', manifestOf({ runtime_requirements: { platform: [''] } }), ''],
  ])('%s is refused, and nothing of it is kept', async (_what, manifest, message) => {
    const name = `refused-${newId().slice(0, 8)}`;
    const payload = await rig.register(admin, { name, manifest });
    expect(payload['userErrors']!.map((one) => [one['code'], one['message']])).toEqual([
      ['MANIFEST_INVALID', expect.stringContaining(message)],
    ]);
    expect(await rig.sql`SELECT 1 FROM extension.extension WHERE name = ${name}`).toEqual([]);
  });

  it('a local scope of its own store, and no network, are what there is', async () => {
    const { id } = await rig.running({
      manifest: {
        ...permitted({ resource: 'state', actions: ['read', 'write'], scope: 'local' }),
        resource_requirements: { network_bandwidth: 0, storage_limit: 1 },
      },
    });
    expect((await rig.stateOf(id))['grants']).toEqual(['state:read', 'state:write']);
  });

  it.each([
    ['platform', ['plan9'], process.platform],
    ['architecture', ['vax', 'pdp11'], process.arch],
  ])('a %s that is not ours is not installed, nor found', async (what, names, here) => {
    const contextId = rig.openContext();
    const manifest = manifestOf({ runtime_requirements: { [what]: names } });
    const extensionId = idOf(await rig.register(admin, { contextId, manifest }));
    const payload = await install(extensionId);
    expect(payload['userErrors']!.map((one) => [one['code'], one['message']])).toEqual([
      ['INCOMPATIBLE_VERSION', `it needs the ${what} ${names.join(' or ')}, here is ${here}`],
    ]);
    const find = (query: object) =>
      rig.ask(alice, 'query ($query: DiscoverExtensionsInput!) { discoverExtensions(query: $query) { totalCount } }', {
        query: { contextId, ...query },
      });
    expect((await find({}))['discoverExtensions']).toEqual({ totalCount: 0 });
    expect((await find({ includeIncompatible: true }))['discoverExtensions']).toEqual({ totalCount: 1 });
  });

  it('ours goes by any of its names', async () => {
    const aliases: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', linux: 'Linux' };
    await rig.running({
      manifest: manifestOf({
        runtime_requirements: {
          platform: ['plan9', aliases[process.platform] ?? process.platform],
          architecture: [aliases[process.arch] ?? process.arch],
        },
      }),
    });
  });

  it('bounds the state that is kept, as the release that runs says', async () => {
    const release = (storage_limit: number) => ({
      ...permitted({ resource: 'state', actions: ['read', 'write'] }),
      resource_requirements: { storage_limit },
    });
    const { id, capabilities } = await rig.running({ manifest: release(0.001) });
    const keep = async (letters: number) => {
      const answer = await rig.execute(alice, {
        ...{ extensionId: id, capabilityId: capabilities.get('sums'), method: 'remember' },
        parameters: { key: 'k', value: 'x'.repeat(letters) },
      });
      return answer['execution']!['error']?.['message'] ?? String(answer['result']).length;
    };
    expect(await keep(1_000)).toBe(1_000);
    expect(await keep(1_046)).toContain('at most 1000 keys and 1048 bytes');
    expect((await rig.sql`SELECT size_bytes FROM extension.state WHERE extension_id = ${id}`)[0]).toEqual({
      size_bytes: 1_003,
    });
    const releaseId = await rig.publish(admin, id, { version: '1.1.0', manifest: release(0.5) });
    rig.insist(
      await rig.mutate(admin, 'hotReloadExtension', 'HotReloadExtensionInput', { extensionId: id, releaseId }),
    );
    expect(await keep(2_000)).toBe(2_000);
  });

  it('reads nothing outside of the context that it lies in', async () => {
    const contextId = rig.openContext();
    const { id, capabilities } = await rig.running({
      ...{ contextId, sign: await trustedKey(rig, 'HIGH'), manifest: permitted('plan:read') },
    });
    const planIn = (where: string | null) => {
      const planId = newId();
      rig.contexts.set(`one/${planId}`, { contextId: where, title: 'a plan' } as never);
      return planId;
    };
    const read = (planId: string) =>
      rig.execute(admin, {
        ...{ extensionId: id, capabilityId: capabilities.get('sums'), method: 'any' },
        parameters: { operation: 'plan.get', payload: { id: planId } },
      });
    expect((await read(planIn(contextId)))['result']).toMatchObject({ title: 'a plan' });
    for (const where of [rig.openContext(), null])
      expect(codesOf(await read(planIn(where)))).toEqual(['PERMISSION_VIOLATION']);
    expect((await read(newId()))['result']).toBeNull();
  });

  it('is told of modules that are closed: those that are required stop it, optional ones do not', async () => {
    const manifest = manifestOf({
      compatibility: { required_modules: ['plan'], optional_modules: ['dialog', 'ledger', 'trace'] },
    });
    const extensionId = idOf(await rig.register(admin, { manifest }));
    const report = async () => {
      const found = await rig.ask(
        alice,
        'query ($id: ID!) { extension(id: $id) { currentRelease { compatibility { compatible reason closedModules missingOptionalModules } } } }',
        { id: extensionId },
      );
      return found['extension']!['currentRelease']!['compatibility'];
    };
    const open = { ...{ compatible: true, reason: null, closedModules: [] }, missingOptionalModules: ['ledger'] };
    expect(await report()).toEqual(open);
    const close = async (...modules: readonly string[]) => {
      rig.manifests.set('one', {
        status: 'ACTIVE',
        modules: modules.map((moduleId) => ({ moduleId, status: 'DISABLED' })),
      });
      await rig.tell('core', 'manifest.changed', {});
    };
    try {
      await close('DIALOG', 'PLAN');
      expect(await report()).toEqual({
        ...{ compatible: false, reason: null, closedModules: ['plan'] },
        missingOptionalModules: ['dialog', 'ledger'],
      });
      expect(codesOf(await install(extensionId))).toEqual(['MODULE_DISABLED']);
      await close('DIALOG');
      expect(codesOf(await install(extensionId))).toEqual([]);
    } finally {
      rig.manifests.clear();
      await rig.tell('core', 'manifest.changed', {});
    }
  });
});
