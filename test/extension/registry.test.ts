import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  admin,
  alice,
  calculator,
  codesOf,
  type ExtensionRig,
  manifestOf,
  newKey,
  openExtensionRig,
  principal,
  releaseOf,
  trustedKey,
} from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig();
});
afterAll(() => rig?.[Symbol.asyncDispose]());

const install = (extensionId: string, more: object = {}) =>
  rig.mutate(admin, 'installExtension', 'InstallExtensionInput', { extensionId, ...more });
const load = (extensionId: string, more: object = {}, who = admin) =>
  rig.mutate(who, 'loadExtension', 'LoadExtensionInput', { extensionId, ...more });
const needs = (...dependencies: object[]) => manifestOf({ dependencies });

describe('packages', () => {
  it('are checked at the door: checksum, signature, manifest', async () => {
    const contextId = rig.openContext();
    const codes = async (release: object) =>
      codesOf(
        await rig.mutate(admin, 'registerExtension', 'RegisterExtensionInput', {
          contextId,
          name: 'checked',
          extensionType: 'OTHER',
          version: '1.0.0',
          release,
        }),
      );
    const good = releaseOf({});
    expect(await codes({ ...good, checksum: 'a'.repeat(64) })).toEqual(['CHECKSUM_MISMATCH']);
    expect(await codes({ ...good, bundle: `${calculator} ` })).toEqual(['CHECKSUM_MISMATCH']);
    expect(await codes(releaseOf({ sign: newKey().privateKey }))).toEqual(['SIGNATURE_INVALID']);
    const signed = releaseOf({ sign: await trustedKey(rig) });
    expect(await codes({ ...signed, signature: Buffer.alloc(64).toString('base64') })).toEqual(['SIGNATURE_INVALID']);
    for (const manifest of [
      {},
      [],
      manifestOf({ main_class: 'constructor' }),
      manifestOf({ main_class: '__proto__' }),
      manifestOf({ runtime: 'native' }),
      manifestOf({ entry_point: '../../etc/passwd' }),
      manifestOf({ capabilities: [] }),
      manifestOf({ security_requirements: { network_access: true } }),
      manifestOf({ security_requirements: { permissions: ['everything'] } }),
      manifestOf({ security_requirements: { secrets_required: ['API_KEY'] } }),
      manifestOf({ security_requirements: { environment_variables: ['HOME'] } }),
      manifestOf({ resource_requirements: { cpu_limit: 2 } }),
      manifestOf({ resource_requirements: { cpu_limit: 0 } }),
      manifestOf({ resource_requirements: { gpu_required: true } }),
      manifestOf({ dependencies: [{ name: 'x', version: 'not a range' }] }),
      manifestOf({ configuration_schema: { type: 'object', properties: { a: { pattern: '(a+)+$' } } } }),
      manifestOf({ configuration_schema: { $ref: '#' } }),
      manifestOf({ configuration_schema: { type: 'nothing' } }),
      manifestOf({ hooks: [{ point: 'nowhere', phase: 'before', method: 'add' }] }),
    ])
      expect([manifest, await codes({ ...good, manifest })]).toEqual([manifest, ['MANIFEST_INVALID']]);
    expect(await codes(good)).toEqual([]);
    expect(await codes(good)).toEqual(['CONFLICT']);
  });

  it('begins with the bounds that its manifest asks for', async () => {
    const settings = async (resource_requirements: object) => {
      const registered = rig.insist(await rig.register(admin, { manifest: manifestOf({ resource_requirements }) }));
      const found = await rig.ask(
        admin,
        'query ($id: ID!) { extension(id: $id) { settings { maxMemoryMb maxCpuPercent } } }',
        { id: registered['extension']!['id'] },
      );
      return found['extension']!['settings'];
    };
    expect(await settings({ cpu_limit: 0.25, memory_limit: 8 })).toEqual({ maxMemoryMb: 8, maxCpuPercent: 25 });
    expect(await settings({ gpu_required: false })).toEqual({ maxMemoryMb: 16, maxCpuPercent: 100 });
  });

  it('names what is wrong with a manifest', async () => {
    const payload = await rig.register(admin, { manifest: manifestOf({ main_class: '7up', runtime: 'python' }) });
    expect(payload['userErrors']!.map((error) => error['path'])).toEqual([
      ['input', 'release', 'manifest', 'main_class'],
    ]);
  });

  it('settings hold no secret, and fit the schema of the release', async () => {
    const secret = await rig.register(admin, { more: { config: { api: { apiKey: 'abc' } } } });
    expect(codesOf(secret)).toEqual(['VALIDATION_FAILED']);
    const schema = {
      type: 'object',
      properties: { depth: { type: 'integer', maximum: 3 } },
      additionalProperties: false,
    };
    const running = await rig.running({ manifest: manifestOf({ configuration_schema: schema }) });
    const configure = (config: object) =>
      rig.mutate(admin, 'updateExtensionConfig', 'UpdateExtensionConfigInput', { extensionId: running.id, config });
    expect(codesOf(await configure({ depth: 9 }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await configure({ depth: 2 }))).toEqual([]);
    const answer = await rig.execute(alice, {
      extensionId: running.id,
      capabilityId: running.capabilities.get('sums'),
      method: 'who',
    });
    expect(answer['result']!['config']).toEqual({ depth: 2 });
  });

  it('a signature is worth what its key is trusted; a revoked key is worth nothing', async () => {
    const key = await trustedKey(rig, 'HIGH');
    const registered = rig.insist(await rig.register(admin, { sign: key }));
    expect(registered['extension']!['trustLevel']).toBe('HIGH');
    const id = String(registered['extension']!['id']);
    rig.insist(await install(id));
    const keys = await rig.ask(admin, '{ publisherKeys { id trustLevel revokedAt } }');
    const keyId = keys['publisherKeys']!.filter((one) => String(one['trustLevel']) === 'HIGH').at(-1)!['id'];
    const revoked = await rig.ask(
      admin,
      'mutation ($id: ID!) { revokePublisherKey(keyId: $id) { key { revokedAt } userErrors { code } } }',
      { id: keyId },
    );
    expect(codesOf(revoked['revokePublisherKey']!)).toEqual([]);
    expect(codesOf(await load(id))).toEqual(['SIGNATURE_INVALID']);
    expect((await rig.stateOf(id))['runtimeState']).toBe('ERROR');
  });

  it('the ten newest releases are kept, and the one that runs', async () => {
    const running = await rig.running({ version: '0.1.0' });
    for (let minor = 2; minor <= 13; minor += 1) await rig.publish(admin, running.id, { version: `0.${minor}.0` });
    const data = await rig.ask(admin, 'query ($id: ID!) { extension(id: $id) { releases { version } } }', {
      id: running.id,
    });
    const versions = data['extension']!['releases']!.map((one) => String(one['version']));
    expect(versions).toContain('0.1.0');
    expect(versions).toContain('0.13.0');
    expect(versions).toHaveLength(11);
    const again = await rig.mutate(admin, 'publishVersion', 'PublishVersionInput', {
      extensionId: running.id,
      version: '0.13.0',
      release: releaseOf({}),
    });
    expect(codesOf(again)).toEqual(['CONFLICT']);
  });
});

describe('permissions', () => {
  const asking = (...permissions: unknown[]) => manifestOf({ security_requirements: { permissions } });

  it('are what is requested, within the trust in the publisher, and the grantor’s own', async () => {
    const manifest = asking(
      'state:read',
      'context:read',
      { resource: 'plan', actions: ['read', 'create'] },
      'network:external_api',
    );
    const grants = async (trust: string | null, who = admin) => {
      const sign = trust === null ? {} : { sign: await trustedKey(rig, trust) };
      return (await rig.running({ manifest, ...sign }, who)).extension['grants'];
    };
    expect(await grants(null)).toEqual(['state:read']);
    expect(await grants('LOW')).toEqual(['context:read', 'state:read']);
    expect(await grants('VERIFIED')).toEqual(['context:read', 'plan:read', 'state:read']);
    const installer = principal('ivy', {
      scopes: ['extension:*', 'context:read'],
    });
    expect(await grants('VERIFIED', installer)).toEqual(['context:read', 'state:read']);
  });

  it('what is asked for by name and cannot be granted refuses the start and changes nothing', async () => {
    const registered = rig.insist(await rig.register(admin, { manifest: asking('state:read', 'plan:read') }));
    const id = String(registered['extension']!['id']);
    rig.insist(await install(id));
    for (const grants of [['plan:read'], ['context:read'], ['state:read', 'network:external_api']])
      expect(codesOf(await load(id, { grants }))).toEqual(['PERMISSION_NOT_GRANTED']);
    expect((await rig.stateOf(id))['runtimeState']).toBe('INSTALLED');
    expect((await load(id, { grants: [] }))['extension']!['grants']).toEqual([]);
  });
});

describe('life', () => {
  it('goes through its states, each told with the whole row', async () => {
    const running = await rig.running();
    rig.insist(await rig.step(admin, 'deactivateExtension', running.id, { reason: 'over night' }));
    rig.insist(await load(running.id));
    rig.insist(await rig.step(admin, 'deactivateExtension', running.id));
    rig.insist(await rig.step(admin, 'uninstallExtension', running.id));
    const told = await rig.replay(alice, 'extensionStatusUpdated', { extensionId: running.id });
    expect(told.map((one) => one['runtimeState'])).toEqual([
      ...['REGISTERED', 'INSTALLING', 'INSTALLED', 'ACTIVATING', 'ACTIVE', 'DEACTIVATING', 'INACTIVE'],
      ...['ACTIVATING', 'ACTIVE', 'DEACTIVATING', 'INACTIVE', 'UNINSTALLED'],
    ]);
    expect(told.map((one) => Number(one['sequence']))).toEqual(told.map((_, at) => at + 1));
    expect(codesOf(await load(running.id))).toEqual(['NOT_FOUND']);
  });

  it.each([
    ['deactivateExtension', 'a registered one'],
    ['resetExtension', 'one that is well'],
  ])('%s refuses %s', async (field) => {
    const registered = rig.insist(await rig.register(admin, {}));
    expect(codesOf(await rig.step(admin, field, String(registered['extension']!['id'])))).toEqual(['INVALID_STATE']);
  });

  it('is not started before it is installed, nor once it is deprecated', async () => {
    const registered = rig.insist(await rig.register(admin, {}));
    const id = String(registered['extension']!['id']);
    expect(codesOf(await load(id))).toEqual(['INVALID_STATE']);
    rig.insist(await install(id));
    rig.insist(await rig.step(admin, 'deprecateExtension', id));
    expect((await rig.stateOf(id))['status']).toBe('DEPRECATED');
    expect(codesOf(await load(id))).toEqual(['INVALID_STATE']);
  });

  it('is refused to who lacks the right, one by one', async () => {
    const running = await rig.running();
    const denied = async (field: string) =>
      (
        await rig.run(alice, `mutation ($id: ID!) { ${field}(extensionId: $id) { userErrors { code } } }`, {
          id: running.id,
        })
      ).errors.map(({ code }) => code);
    for (const field of [
      'activateExtension',
      'deactivateExtension',
      'uninstallExtension',
      'resetExtension',
      'deprecateExtension',
    ])
      expect([field, await denied(field)]).toEqual([field, ['PERMISSION_DENIED']]);
  });

  it('a bundle that loops is stopped at its time, and never runs', async () => {
    const registered = rig.insist(await rig.register(admin, { bundle: `${calculator}\nfor (;;);` }));
    const id = String(registered['extension']!['id']);
    const answer = await install(id, { settings: { initializationTimeoutMs: 200 } });
    expect(codesOf(answer)).toEqual(['INIT_TIMEOUT']);
    expect((await rig.stateOf(id))['runtimeState']).toBe('ERROR');
  });

  it('one that says it is not well is not started', async () => {
    const manifest = manifestOf({ lifecycle_hooks: { health_check: { script: 'healthy' } } });
    const registered = rig.insist(
      await rig.register(admin, {
        manifest,
        bundle: calculator.replace('healthy: () => true', 'healthy: () => false'),
      }),
    );
    const id = String(registered['extension']!['id']);
    rig.insist(await install(id));
    expect(codesOf(await load(id))).toEqual(['SANDBOX_FAILED']);
  });

  it('an idempotency key registers once', async () => {
    const contextId = rig.openContext();
    const input = {
      contextId,
      name: 'only-once',
      extensionType: 'OTHER',
      version: '1.0.0',
      release: releaseOf({}),
      idempotencyKey: 'register-1',
    };
    const both = await Promise.all([
      rig.mutate(admin, 'registerExtension', 'RegisterExtensionInput', input),
      rig.mutate(admin, 'registerExtension', 'RegisterExtensionInput', input),
    ]);
    expect(both.map(codesOf)).toEqual([[], []]);
    expect(both[0]!['extension']!['id']).toBe(both[1]!['extension']!['id']);
  });

  it('changes by an old version are refused', async () => {
    const running = await rig.running();
    const stale = await rig.mutate(admin, 'updateExtensionConfig', 'UpdateExtensionConfigInput', {
      extensionId: running.id,
      config: {},
      expectedVersion: 1,
    });
    expect(codesOf(stale)).toEqual(['VERSION_CONFLICT']);
  });
});

describe('dependencies', () => {
  it('are started first, in order, and keep what they need from being stopped', async () => {
    const contextId = rig.openContext();
    const install1 = async (name: string, manifest: object, version = '1.0.0') => {
      const registered = rig.insist(
        await rig.register(admin, { contextId, name, version, manifest: manifest as never }),
      );
      const id = String(registered['extension']!['id']);
      rig.insist(await install(id));
      return id;
    };
    const base = await install1('base', manifestOf(), '1.4.0');
    const middle = await install1('middle', needs({ name: 'base', version: '^1.2.0' }));
    const top = await install1(
      'top',
      needs({ name: 'middle', version: '1.x' }, { name: 'absent', version: '*', optional: true }),
    );
    const loaded = await rig.ask(
      admin,
      'mutation ($input: LoadExtensionInput!) { loadExtension(input: $input) { loadedDependencies phases { sandboxMs } userErrors { code } } }',
      { input: { extensionId: top } },
    );
    expect(loaded['loadExtension']!['loadedDependencies']).toEqual([base, middle]);
    for (const id of [base, middle, top]) expect((await rig.stateOf(id))['runtimeState']).toBe('ACTIVE');
    expect(codesOf(await rig.step(admin, 'deactivateExtension', base))).toEqual(['DEPENDANTS_ACTIVE']);
    const data = await rig.ask(
      admin,
      'query ($id: ID!) { dependencyGraph(id: $id) { loadOrder conflict cycles edges { from to satisfied } nodes { name runtimeState } } }',
      { id: top },
    );
    const graph = data['dependencyGraph']!;
    expect(graph['loadOrder']).toEqual([base, middle, top]);
    expect(
      graph['edges']!.map(
        (edge) => `${String(edge['from'])}>${String(edge['to'])} ${String(edge['satisfied'])}`,
      ).toSorted(),
    ).toEqual(['middle>base true', 'top>absent false', 'top>middle true']);
    for (const id of [top, middle, base]) rig.insist(await rig.step(admin, 'deactivateExtension', id));
  });

  it('that are missing, too old or in a circle are named, and nothing is started', async () => {
    const contextId = rig.openContext();
    const register = async (name: string, manifest: object) => {
      const registered = rig.insist(await rig.register(admin, { contextId, name, manifest: manifest as never }));
      return String(registered['extension']!['id']);
    };
    const lonely = await register('lonely', needs({ name: 'nobody', version: '^1.0.0' }));
    const missing = await install(lonely);
    expect(codesOf(missing)).toEqual(['DEPENDENCY_CONFLICT']);
    expect(String(missing['userErrors']!.map((error) => error['message']))).toContain(
      'nobody: lonely needs ^1.0.0; there is none',
    );
    const old = await register('old', manifestOf());
    rig.insist(await install(old));
    const picky = await install(await register('picky', needs({ name: 'old', version: '>=2' })));
    expect(String(picky['userErrors']!.map((error) => error['message']))).toContain(
      'old: picky needs >=2; there is 1.0.0',
    );
    const incompatible = await install(
      await register('future', manifestOf({ compatibility: { mplp_version: '>=9' } })),
    );
    expect(codesOf(incompatible)).toEqual(['INCOMPATIBLE_VERSION']);
    // A circle can only come about by a release after the others are installed.
    const ping = await register('ping', manifestOf());
    rig.insist(await install(ping));
    const pong = await register('pong', needs({ name: 'ping', version: '*' }));
    rig.insist(await install(pong));
    rig.insist(await load(pong));
    const releaseId = await rig.publish(admin, ping, {
      version: '2.0.0',
      manifest: needs({ name: 'pong', version: '*' }),
    });
    const circle = await rig.mutate(admin, 'hotReloadExtension', 'HotReloadExtensionInput', {
      extensionId: ping,
      releaseId,
    });
    expect(codesOf(circle)).toEqual(['ROLLED_BACK']);
    expect(String(circle['userErrors']!.map((error) => error['message']))).toContain('ping -> pong -> ping');
    expect((await rig.stateOf(ping))['version']).toBe('1.0.0');
  });
});

describe('private contexts', () => {
  it('hide their extensions from whoever has no part in them', async () => {
    const contextId = rig.openContext('one', 'PRIVATE', 'root');
    const running = await rig.running({ contextId });
    const seen = async (who: Parameters<typeof rig.ask>[0]) => {
      const data = await rig.ask(
        who,
        'query ($id: ID!) { extension(id: $id) { id } extensions(first: 100) { nodes { id } totalCount } discoverExtensions(query: {}, first: 100) { nodes { id } totalCount } extensionCapabilities(id: $id) { id } extensionHealth(id: $id) { level } }',
        { id: running.id },
      );
      return JSON.stringify(data).includes(running.id);
    };
    expect([await seen(admin), await seen(alice)]).toEqual([true, false]);
    await expect(rig.replay(alice, 'extensionStatusUpdated', { extensionId: running.id })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const call = await rig.execute(alice, {
      extensionId: running.id,
      capabilityId: running.capabilities.get('sums'),
      method: 'who',
    });
    // The graph shows the context to whom it may; here it shows it to everyone of the tenant, so the owner's rule decides.
    expect(codesOf(call)).toEqual([]);
    rig.contexts.delete(`one/${contextId}`);
    const hidden = await rig.execute(alice, {
      extensionId: running.id,
      capabilityId: running.capabilities.get('sums'),
      method: 'who',
    });
    expect(codesOf(hidden)).toEqual(['NOT_FOUND']);
  });
});
