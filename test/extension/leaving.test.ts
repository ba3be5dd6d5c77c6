import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, calculator, codesOf, type ExtensionRig, manifestOf, openExtensionRig } from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const dependsOn = (...names: string[]) =>
  manifestOf({ dependencies: names.map((name) => ({ name, version: '^1.0.0', type: 'extension' })) });
const chain = async () => {
  const contextId = rig.openContext();
  const made = [];
  for (const [name, manifest] of [
    ['base', manifestOf()],
    ['middle', dependsOn('base')],
    ['top', dependsOn('middle')],
    ['beside', manifestOf()],
  ] as const)
    made.push((await rig.running({ contextId, name, manifest })).id);
  return made as [string, string, string, string];
};
const states = (ids: readonly string[]) =>
  Promise.all(ids.map(async (id) => String((await rig.stateOf(id))['runtimeState'])));

test('what needs one that is put in quarantine is stopped by the system, the outermost first; all else runs on', async () => {
  const [base, middle, top, beside] = await chain();
  rig.insist(await rig.step(admin, 'quarantineExtension', base, { reason: 'seen doing harm' }));
  expect(await states([base, middle, top, beside])).toEqual(['QUARANTINED', 'INACTIVE', 'INACTIVE', 'ACTIVE']);
  const stopped = await Promise.all(
    [middle, top].map(async (id) => (await rig.stream(id)).findLast(({ data }) => data['reason'] !== undefined)!),
  );
  expect(stopped.map(({ actor, data }) => [actor, data['reason']])).toEqual([
    ['system:extension', 'base, which it needs, does not run any more'],
    ['system:extension', 'middle, which it needs, does not run any more'],
  ]);
  expect(Date.parse(stopped[1]!.createdAt)).toBeLessThanOrEqual(Date.parse(stopped[0]!.createdAt));
});

test('asked for, it is refused as long as somebody needs it, and its hooks are not called for nothing', async () => {
  const [base] = await chain();
  expect(codesOf(await rig.step(admin, 'deactivateExtension', base))).toEqual(['DEPENDANTS_ACTIVE']);
});

test('hooks of its end: one before it is taken away may keep it, where it is required; what no longer runs goes', async () => {
  const bundle = calculator.replace('healthy:', "refuse() { throw new Error('not yet'); },\n  healthy:");
  const hook = (required: boolean) =>
    manifestOf({
      lifecycle_hooks: {
        post_deactivate: { script: 'healthy', timeout_seconds: 1, required: true },
        pre_uninstall: { script: 'refuse', timeout_seconds: 1, required },
        post_uninstall: { script: 'refuse', timeout_seconds: 1, required: true },
      },
    });
  const kept = await rig.running({ bundle, manifest: hook(true) });
  rig.insist(await rig.step(admin, 'deactivateExtension', kept.id));
  expect(codesOf(await rig.step(admin, 'uninstallExtension', kept.id))).toEqual(['SANDBOX_FAILED']);
  expect(await states([kept.id])).toEqual(['INACTIVE']);
  await rig.sql`UPDATE extension.extension SET runtime_state = 'error' WHERE id = ${kept.id}`;
  expect(codesOf(await rig.step(admin, 'uninstallExtension', kept.id))).toEqual([]);
  const gone = await rig.running({ bundle, manifest: hook(false) });
  rig.insist(await rig.step(admin, 'deactivateExtension', gone.id));
  expect(codesOf(await rig.step(admin, 'uninstallExtension', gone.id))).toEqual([]);
});
