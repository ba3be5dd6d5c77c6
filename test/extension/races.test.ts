import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, calculator, codesOf, type ExtensionRig, type Json, manifestOf, openExtensionRig } from './rig.ts';

let rig: ExtensionRig;
let small: ExtensionRig;
beforeAll(async () => {
  [rig, small] = await Promise.all([
    openExtensionRig(),
    openExtensionRig({ env: { QUOTA_ACTIVE_EXTENSIONS_PER_TENANT: '3', QUOTA_CONCURRENT_INSTALLS_PER_TENANT: '2' } }),
  ]);
});
afterAll(async () => {
  await Promise.all([rig[Symbol.asyncDispose](), small[Symbol.asyncDispose]()]);
});

const idOf = (payload: Json) => String(payload['extension']!['id']);
const registered = async (on: ExtensionRig, given: Parameters<ExtensionRig['register']>[1] = {}) =>
  idOf(on.insist(await on.register(admin, given)));
const install = (on: ExtensionRig, extensionId: string, more: object = {}) =>
  on.mutate(admin, 'installExtension', 'InstallExtensionInput', { extensionId, ...more });
const load = (on: ExtensionRig, extensionId: string, more: object = {}) =>
  on.mutate(admin, 'loadExtension', 'LoadExtensionInput', { extensionId, ...more });
const states = async (on: ExtensionRig, ids: readonly string[]) =>
  Promise.all(ids.map(async (id) => String((await on.stateOf(id))['runtimeState'])));

test('of installs of one extension at once exactly one does it; the others are told that it is under way, or done', async () => {
  const id = await registered(rig);
  const answers = await Promise.all(Array.from({ length: 8 }, () => install(rig, id)));
  expect(answers.filter((answer) => codesOf(answer).length === 0)).toHaveLength(1);
  for (const answer of answers) if (codesOf(answer).length > 0) expect(codesOf(answer)).toEqual(['INVALID_STATE']);
  expect(await rig.stateOf(id)).toMatchObject({ runtimeState: 'INSTALLED', lastError: null });
  const told = (await rig.stream(id)).map(({ data }) => (data['extension'] as { runtimeState: string }).runtimeState);
  expect(told.filter((state) => state === 'installed')).toHaveLength(1);
});

test('of registrations of one name at once exactly one stands, and of releases of one version', async () => {
  const contextId = rig.openContext();
  const made = await Promise.all(Array.from({ length: 6 }, () => rig.register(admin, { contextId, name: 'the-same' })));
  expect(made.filter((answer) => codesOf(answer).length === 0)).toHaveLength(1);
  expect(new Set(made.flatMap((answer) => codesOf(answer)))).toEqual(new Set(['CONFLICT']));
  const again = await Promise.all(
    Array.from({ length: 4 }, () =>
      rig.register(admin, { contextId, name: 'by-key', more: { idempotencyKey: 'races-1' } }),
    ),
  );
  expect(new Set(again.map(idOf)).size).toBe(1);
});

test('of starts at once exactly one runs it; those who need it too wait for that one', async () => {
  const contextId = rig.openContext();
  const needed = await registered(rig, { contextId, name: 'needed' });
  rig.insist(await install(rig, needed));
  const manifest = manifestOf({ dependencies: [{ name: 'needed', version: '^1.0.0', type: 'extension' }] });
  const ids = await Promise.all(
    ['one', 'two', 'three', 'four'].map((name) => registered(rig, { contextId, name, manifest })),
  );
  for (const id of ids) rig.insist(await install(rig, id));
  const answers = await Promise.all(ids.map((id) => load(rig, id)));
  expect(answers.flatMap(codesOf)).toEqual([]);
  expect(await states(rig, [needed, ...ids])).toEqual(Array.from({ length: 5 }, () => 'ACTIVE'));
  const activations = (await rig.stream(needed)).filter(({ data }) => 'listens' in data);
  expect(activations).toHaveLength(1);
});

test('however many start or are installed at once, no more run, or are being installed, than may', async () => {
  const ids = await Promise.all(Array.from({ length: 7 }, () => registered(small)));
  const first = await Promise.all(ids.map((id) => install(small, id)));
  expect(new Set(first.flatMap(codesOf))).toEqual(new Set(['QUOTA_EXCEEDED']));
  const [{ most }] =
    (await small.sql`SELECT count(*)::int AS most FROM extension.extension WHERE runtime_state = 'installing'`) as unknown as [
      { most: number },
    ];
  expect(most).toBe(0);
  // Who was refused is where it was, and is taken when it is its turn.
  for (const id of ids)
    if ((await small.stateOf(id))['runtimeState'] === ('REGISTERED' as never)) small.insist(await install(small, id));
  const loaded = await Promise.all(ids.map((id) => load(small, id)));
  expect(loaded.filter((answer) => codesOf(answer).length === 0)).toHaveLength(3);
  expect((await states(small, ids)).filter((state) => state === 'ACTIVE')).toHaveLength(3);
  expect((await states(small, ids)).filter((state) => state === 'INSTALLED')).toHaveLength(4);
});

test('put in quarantine while it is being started or installed, it stays there', async () => {
  // Long enough for the quarantine to come meanwhile on a busy machine, too.
  const bundle = calculator.replace(
    'healthy:',
    'slow() { for (const end = Date.now() + 2500; Date.now() < end; ); },\n  healthy:',
  );
  const hook = { script: 'slow', timeout_seconds: 5, required: true };
  const manifest = manifestOf({ lifecycle_hooks: { pre_install: hook, pre_activate: hook } });
  for (const step of ['install', 'load'] as const) {
    const id = await registered(rig, { bundle, manifest });
    if (step === 'load') rig.insist(await install(rig, id));
    const running = step === 'load' ? load(rig, id) : install(rig, id);
    await expect
      .poll(async () => (await rig.stateOf(id))['runtimeState'], { interval: 2 })
      .toBe(step === 'load' ? 'ACTIVATING' : 'INSTALLING');
    rig.insist(await rig.step(admin, 'quarantineExtension', id, { reason: 'seen doing harm' }));
    expect(codesOf(await running)).toEqual(['INVALID_STATE']);
    expect(await rig.stateOf(id)).toMatchObject({
      runtimeState: 'QUARANTINED',
      quarantine: { reason: 'seen doing harm' },
    });
    expect(codesOf(await rig.step(admin, 'resetExtension', id))).toEqual(['INVALID_STATE']);
  }
});
