import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admin, alice, codesOf, type ExtensionRig, manifestOf, openExtensionRig, trustedKey } from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig();
});
afterAll(() => rig?.[Symbol.asyncDispose]());

/** Answers its version after some work. */
const versioned = (version: string, body = '') => `let kept = 0;
export const Main = {
  answer() { ${body} const until = Date.now() + 15; while (Date.now() < until); return '${version}'; },
  count() { kept += 1; return kept; },
  exportState: () => ({ kept }),
  importState: (state) => { kept = state.kept; return null; },
  awake() { ${version === 'unwell' ? 'throw new Error("not today");' : ''} return true; },
};`;

const methods = (names: readonly string[]) =>
  manifestOf({
    capabilities: [
      {
        name: 'answers',
        interfaces: [{ interface_name: 'answers', methods: names.map((method_name) => ({ method_name })) }],
      },
    ],
  });
const all = ['answer', 'count', 'exportState', 'importState', 'awake'];

const start = (bundle = versioned('1')) => rig.running({ bundle, manifest: methods(all) });
const reload = (extensionId: string, releaseId: string, more: object = {}) =>
  rig.mutate(
    admin,
    'hotReloadExtension',
    'HotReloadExtensionInput',
    { extensionId, releaseId, ...more },
    'fromVersion toVersion drainedCount killedCount rolledBack switchMs',
  );
const call = ({ id, capabilities }: Awaited<ReturnType<typeof start>>, method = 'answer', more: object = {}) =>
  rig.execute(alice, { extensionId: id, capabilityId: capabilities.get('answers'), method, ...more });

describe('hot reload', () => {
  it('loses no call: those under way end in the release they began in, all later ones go to the new one', async () => {
    const running = await start();
    const releaseId = await rig.publish(admin, running.id, {
      version: '2.0.0',
      bundle: versioned('2'),
      manifest: methods(all),
    });
    const answers: { readonly value: string; readonly startedMs: number }[] = [];
    const failures: string[] = [];
    let done = false;
    const caller = async () => {
      while (!done) {
        const startedMs = performance.now();
        const answer = await call(running);
        failures.push(...codesOf(answer));
        answers.push({ value: String(answer['result']), startedMs });
      }
    };
    const callers = Array.from({ length: 10 }, caller);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const result = rig.insist(await reload(running.id, releaseId));
    const switchedMs = performance.now();
    const laterOnes = () => answers.filter(({ startedMs }) => startedMs > switchedMs);
    await expect.poll(() => laterOnes().length, { timeout: 30_000 }).toBeGreaterThan(5);
    done = true;
    await Promise.all(callers);
    expect(failures).toEqual([]);
    expect([result['fromVersion'], result['toVersion'], result['rolledBack'], result['killedCount']]).toEqual([
      '1.0.0',
      '2.0.0',
      false,
      0,
    ]);
    expect(new Set(answers.map(({ value }) => value))).toEqual(new Set(['1', '2']));
    expect(new Set(laterOnes().map(({ value }) => value))).toEqual(new Set(['2']));
    expect((await rig.stateOf(running.id))['currentRelease']!['version']).toBe('2.0.0');
  });

  it('a release that does not start changes nothing, and no call notices', async () => {
    const running = await start();
    const broken = {
      throws: 'throw new Error("at once"); export const Main = {};',
      loops: 'for (;;); export const Main = {};',
      lacks: 'export const Main = { answer() {} };',
    };
    let version = 2;
    for (const bundle of Object.values(broken)) {
      const releaseId = await rig.publish(admin, running.id, {
        version: `${version}.0.0`,
        bundle,
        manifest: methods(all),
      });
      version += 1;
      const [payload, ...calls] = await Promise.all([
        reload(running.id, releaseId),
        ...Array.from({ length: 5 }, () => call(running)),
      ]);
      expect(codesOf(payload!)).toEqual(['ROLLED_BACK']);
      expect(calls.map((answer) => answer['result'])).toEqual(Array(5).fill('1'));
    }
    const state = await rig.stateOf(running.id);
    expect([state['runtimeState'], state['version']]).toEqual(['ACTIVE', '1.0.0']);
  }, 60_000);

  it('a release that breaks when it is called is taken back by itself; its calls are answered by the one before', async () => {
    const running = await start();
    const releaseId = await rig.publish(admin, running.id, {
      version: '2.0.0',
      bundle: versioned('2', 'const all = []; for (;;) all.push(new Array(10000).fill(1));'),
      manifest: methods(all),
    });
    rig.insist(await reload(running.id, releaseId));
    const answers = [];
    for (let n = 0; n < 6; n += 1) answers.push(await call(running));
    expect(answers.map((answer) => [answer['status'], answer['result']])).toEqual(Array(6).fill(['COMPLETED', '1']));
    const state = await rig.stateOf(running.id);
    expect([state['runtimeState'], state['version'], state['quarantine']]).toEqual(['ACTIVE', '1.0.0', null]);
    const told = (await rig.stream(running.id)).filter(({ type }) => type === 'extension.reloaded');
    expect(told.map(({ data, actor }) => [data['rolledBack'], actor])).toEqual([
      [false, 'root'],
      [true, 'system:extension'],
    ]);
  }, 60_000);

  it('one that is not well after the switch is taken back before the answer', async () => {
    const running = await start();
    const manifest = { ...methods(all), lifecycle_hooks: { post_activate: { script: 'awake' } } };
    const releaseId = await rig.publish(admin, running.id, { version: '2.0.0', bundle: versioned('unwell'), manifest });
    const payload = rig.insist(await reload(running.id, releaseId));
    expect([payload['rolledBack'], payload['extension']!['version']]).toEqual([true, '1.0.0']);
    expect((await call(running))['result']).toBe('1');
  });

  it('state is handed over where both releases know how', async () => {
    const running = await start();
    for (let n = 1; n <= 3; n += 1) expect((await call(running, 'count'))['result']).toBe(n);
    const releaseId = await rig.publish(admin, running.id, {
      version: '2.0.0',
      bundle: versioned('2'),
      manifest: methods(all),
    });
    rig.insist(await reload(running.id, releaseId));
    expect((await call(running, 'count'))['result']).toBe(4);
  });

  it('refuses what its callers would miss, unless it is forced', async () => {
    const running = await start();
    const less = methods(all.filter((name) => name !== 'count'));
    const releaseId = await rig.publish(admin, running.id, {
      version: '2.0.0',
      bundle: versioned('2'),
      manifest: less,
    });
    const payload = await reload(running.id, releaseId);
    expect(codesOf(payload)).toEqual(['INTERFACE_BREAKING']);
    expect(String(payload['userErrors']!.map((error) => error['message']))).toContain('answers.count is gone');
    expect(codesOf(await reload(running.id, releaseId, { force: true }))).toEqual([]);
    expect(codesOf(await call(running, 'count'))).toEqual(['METHOD_NOT_FOUND']);
  });

  it('a release that asks for more needs the approval of a confirm', async () => {
    const sign = await trustedKey(rig, 'VERIFIED');
    const running = await rig.running({ bundle: versioned('1'), manifest: methods(all), sign });
    const more = { ...methods(all), security_requirements: { permissions: ['context:read', 'state:read'] } };
    const releaseId = await rig.publish(admin, running.id, {
      version: '2.0.0',
      bundle: versioned('2'),
      manifest: more,
      sign,
    });
    expect(codesOf(await reload(running.id, releaseId))).toEqual(['PERMISSION_ESCALATION']);
    rig.insist(
      await rig.mutate(admin, 'requestExtensionApproval', 'RequestExtensionApprovalInput', {
        extensionId: running.id,
        purpose: 'WIDEN_PERMISSIONS',
        releaseId,
        approvers: ['carol'],
      }),
    );
    const started = await rig.service.start();
    await rig.tell('confirm', 'confirm.resolved', {
      confirm: {
        id: crypto.randomUUID(),
        requestEventId: crypto.randomUUID(),
        targetType: 'extension',
        targetId: running.id,
        status: 'approved',
        createdAt: new Date().toISOString(),
        reference: { kind: 'extension.widen', extensionId: running.id, releaseId },
      },
    });
    await rig.service.catchUp();
    const payload = rig.insist(await reload(running.id, releaseId));
    expect(payload['extension']!['grants']).toEqual(['context:read', 'state:read']);
    expect(started).toBeDefined();
  });

  it('calls that do not end in time are ended and counted', async () => {
    const slow = versioned('1', 'const end = Date.now() + 3000; while (Date.now() < end);');
    const running = await start(slow);
    const releaseId = await rig.publish(admin, running.id, {
      version: '2.0.0',
      bundle: versioned('2'),
      manifest: methods(all),
    });
    const stuck = call(running);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const payload = rig.insist(await reload(running.id, releaseId, { drainTimeoutMs: 100 }));
    expect(payload['killedCount']).toBe(1);
    expect(codesOf(await stuck)).toEqual(['EXTENSION_CRASHED']);
    expect((await call(running))['result']).toBe('2');
  });
});
