import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, alice, codesOf, type ExtensionRig, manifestOf, newKey, openExtensionRig, releaseOf } from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const bundle = `export const Main = {
  add: ({ a, b }) => a + b,
  who: () => null, loop() {}, remember() {}, recall() {}, fail() {}, wrong() {}, peek() {}, any() {},
  before: ({ point, payload, configuration }) => ({ payload: { ...payload, seen: [...(payload.seen ?? []), [point, configuration]] } }),
  after() {},
};`;
const manifest = manifestOf({
  hooks: [
    { point: 'plan.before_execution', phase: 'before', method: 'before' },
    { point: 'dialog.message_sent', phase: 'before', method: 'before' },
    { point: 'trace.metrics_collected', phase: 'after', method: 'after' },
  ],
});
const installed = async (more: object = {}) => {
  const contextId = rig.openContext();
  const made = rig.insist(await rig.register(admin, { contextId, bundle, manifest, more }));
  const extensionId = String(made['extension']!['id']);
  rig.insist(await rig.mutate(admin, 'installExtension', 'InstallExtensionInput', { extensionId }));
  return { contextId, extensionId };
};
const integrations = 'extension { integrations { targetModule type isActive points configuration } } ';
const load = (extensionId: string, integrationTargets?: unknown) =>
  rig.mutate(admin, 'loadExtension', 'LoadExtensionInput', { extensionId, integrationTargets }, integrations);
const ask = async (contextId: string, point: string) =>
  (
    await rig.ask(
      admin,
      'mutation ($input: RunExtensionHooksInput!) { runExtensionHooks(input: $input) { payload asked userErrors { code } } }',
      { input: { contextId, point, payload: {} } },
    )
  )['runExtensionHooks']!;

test('it works into the modules it is started for, and is told there what it was given; elsewhere it is not heard', async () => {
  const { contextId, extensionId } = await installed();
  expect(codesOf(await load(extensionId, [{ module: 'role' }]))).toEqual(['VALIDATION_FAILED']);
  expect(codesOf(await load(extensionId, [{ module: 'plan' }, { module: 'plan' }]))).toEqual(['VALIDATION_FAILED']);
  expect(codesOf(await load(extensionId, [{ module: 'plan', configuration: { apiKey: 'x' } }]))).toEqual([
    'VALIDATION_FAILED',
  ]);
  const loaded = rig.insist(
    await load(extensionId, [{ module: 'plan', configuration: { limit: 3 } }, { module: 'trace' }]),
  );
  expect(loaded['extension']!['integrations']).toMatchObject([
    { targetModule: 'core', type: 'CAPABILITY_PROVIDER', isActive: true },
    { targetModule: 'plan', type: 'WORKFLOW_ENHANCER', points: ['plan.before_execution'], configuration: { limit: 3 } },
    { targetModule: 'trace', type: 'MONITORING_INTEGRATION', configuration: null },
  ]);
  expect(await ask(contextId, 'plan.before_execution')).toMatchObject({
    payload: { seen: [['plan.before_execution', { limit: 3 }]] },
    asked: [extensionId],
  });
  expect(await ask(contextId, 'dialog.message_sent')).toMatchObject({ payload: {}, asked: [] });
  // Modules that ask before a point hear of those alone; a new release keeps to them.
  const told = (await rig.stream(extensionId)).findLast(({ data }) => 'listens' in data);
  expect(told!.data['listens']).toEqual([{ point: 'plan.before_execution', required: false }]);
  const releaseId = await rig.publish(admin, extensionId, { version: '1.1.0', bundle: `${bundle}\n`, manifest });
  rig.insist(await rig.mutate(admin, 'hotReloadExtension', 'HotReloadExtensionInput', { extensionId, releaseId }));
  expect(await ask(contextId, 'dialog.message_sent')).toMatchObject({ asked: [] });
  expect(await ask(contextId, 'plan.before_execution')).toMatchObject({ asked: [extensionId] });
});

test('without any named it works into all that its release names; started anew for others, into those', async () => {
  const { contextId, extensionId } = await installed({ extensionType: 'TRANSFORMATION' });
  const all = rig.insist(await load(extensionId));
  expect(all['extension']!['integrations']!.map(({ targetModule, type }) => [targetModule, type])).toEqual([
    ['core', 'CAPABILITY_PROVIDER'],
    ['dialog', 'DATA_PROCESSOR'],
    ['plan', 'DATA_PROCESSOR'],
    ['trace', 'MONITORING_INTEGRATION'],
  ]);
  rig.insist(await rig.step(admin, 'deactivateExtension', extensionId));
  rig.insist(await load(extensionId, []));
  expect(await ask(contextId, 'plan.before_execution')).toMatchObject({ asked: [] });
  rig.insist(await rig.step(admin, 'deactivateExtension', extensionId));
  rig.insist(await load(extensionId));
  expect(await ask(contextId, 'plan.before_execution')).toMatchObject({ asked: [] });
});

test('who published it and where they are reached stands with the key, and with what it has signed', async () => {
  const { pem, privateKey } = newKey();
  const register = (input: object) =>
    rig
      .ask(
        admin,
        'mutation ($input: RegisterPublisherKeyInput!) { registerPublisherKey(input: $input) { key { email website } userErrors { code path } } }',
        { input: { publisherId: 'acme', name: 'Acme', publicKey: pem, trustLevel: 'HIGH', ...input } },
      )
      .then((answer) => answer['registerPublisherKey']!);
  expect(codesOf(await register({ email: 'nobody' }))).toEqual(['VALIDATION_FAILED']);
  expect(codesOf(await register({ website: 'ftp://acme.example' }))).toEqual(['VALIDATION_FAILED']);
  const contact = { email: 'dev@acme.example', website: 'https://acme.example' };
  expect(await register(contact)).toMatchObject({ key: contact, userErrors: [] });
  const made = rig.insist(
    await rig.mutate(admin, 'registerExtension', 'RegisterExtensionInput', {
      ...{ contextId: rig.openContext(), name: 'signed', extensionType: 'OTHER', version: '1.0.0' },
      release: releaseOf({ sign: privateKey }),
    }),
  );
  const read =
    'query ($id: ID!) { extension(id: $id) { publisher { publisherId name email website verified trustLevel } } }';
  const found = await rig.ask(alice, read, { id: made['extension']!['id'] });
  expect(found['extension']!['publisher']).toEqual({
    ...{ publisherId: 'acme', name: 'Acme', ...contact, verified: false, trustLevel: 'HIGH' },
  });
});
