import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCpuShares } from '../../subgraphs/extension/execution/cpuShares.ts';
import { isAllowed } from '../../subgraphs/extension/manifest/conditions.ts';
import { granting, type Permission, widened } from '../../subgraphs/extension/manifest/permissions.ts';
import { admin, alice, bob, codesOf, type ExtensionRig, manifestOf, openExtensionRig, trustedKey } from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig();
});
afterAll(() => rig?.[Symbol.asyncDispose]());

const asking = (...permissions: unknown[]) => manifestOf({ security_requirements: { permissions } });
const onlyBob = "subject.id == 'bob'";
const readState = (conditions: readonly string[] = []) => ({
  resource: 'state',
  actions: ['read', 'write'],
  conditions,
});

async function open(...permissions: unknown[]) {
  const running = await rig.running({ sign: await trustedKey(rig, 'HIGH'), manifest: asking(...permissions) });
  const call = (method: string, parameters: unknown = {}, who = alice) =>
    rig.execute(who, {
      ...{ extensionId: running.id, capabilityId: running.capabilities.get('sums'), method, parameters },
    });
  const remember = async (who = alice) => {
    const answer = await call('remember', { key: 'k', value: 1 }, who);
    return answer['execution']!['error']?.['code'] ?? answer['result'];
  };
  return { ...running, call, remember };
}

describe('conditions of permissions', () => {
  test('are looked at with each use, with who calls and when; they stand with what is granted', async () => {
    const { id, remember } = await open(readState([onlyBob]));
    expect(await remember(bob)).toBe(1);
    expect(await remember(alice)).toBe('PERMISSION_VIOLATION');
    const read = 'query ($id: ID!) { extension(id: $id) { permissions { resource actions scope conditions } } }';
    expect((await rig.ask(alice, read, { id }))['extension']!['permissions']).toEqual([
      { resource: 'state', actions: ['read', 'write'], scope: 'LOCAL', conditions: [onlyBob] },
    ]);
  });

  test('whoever grants narrows further; what is held is narrowed at once, and a revocation ends it', async () => {
    const { id, remember } = await open(readState());
    const grant = (permission: string, conditions: readonly string[]) =>
      rig.ask(
        admin,
        `mutation ($id: ID!, $permission: String!, $conditions: [String!]) { grantPermission(extensionId: $id, permission: $permission, conditions: $conditions) { extension { permissions { actions conditions } } userErrors { code path } } }`,
        { id, permission, conditions },
      );
    expect(await remember(alice)).toBe(1);
    const narrowed = (await grant('state:write', [onlyBob]))['grantPermission']!;
    expect(narrowed['extension']!['permissions']).toEqual([
      { actions: ['read'], conditions: [] },
      { actions: ['write'], conditions: [onlyBob] },
    ]);
    expect([await remember(alice), await remember(bob)]).toEqual(['PERMISSION_VIOLATION', 1]);
    rig.insist(await rig.step(admin, 'revokePermission', id, { permission: 'state:write' }));
    expect(await remember(bob)).toBe('PERMISSION_VIOLATION');
    rig.insist(await rig.step(admin, 'grantPermission', id, { permission: 'state:write' }));
    expect(await remember(alice)).toBe(1);
    const bad = (await grant('state:write', ['subject.id ==']))['grantPermission']!;
    expect(bad['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['conditions', '0'] }]);
  });

  test('a manifest whose condition is none is refused; a release that leaves one out asks for more', async () => {
    const bad = await rig.register(admin, { manifest: asking(readState(['subject.id ~ 1'])) });
    expect(codesOf(bad)).toEqual(['MANIFEST_INVALID']);
    const sign = await trustedKey(rig, 'HIGH');
    const { id } = await rig.running({ sign, manifest: asking(readState([onlyBob])) });
    const wider = await rig.publish(admin, id, { version: '1.1.0', sign, manifest: asking(readState()) });
    const reload = (releaseId: string) =>
      rig.mutate(admin, 'hotReloadExtension', 'HotReloadExtensionInput', { extensionId: id, releaseId });
    expect(codesOf(await reload(wider))).toEqual(['PERMISSION_ESCALATION']);
    const narrower = [onlyBob, 'environment.hour >= 0'];
    const next = await rig.publish(admin, id, { version: '1.2.0', sign, manifest: asking(readState(narrower)) });
    expect(codesOf(await reload(next))).toEqual([]);
  });

  test('property: a grant allows nothing that its request does not, and only what asks for more widens', () => {
    const condition = fc.constantFrom('environment.hour < 12', 'environment.hour >= 12', onlyBob);
    const permission = fc.record({
      resource: fc.constantFrom('state', 'plan'),
      actions: fc.uniqueArray(fc.constantFrom('read', 'write'), { minLength: 1 }),
      scope: fc.constant('context' as const),
      conditions: fc.uniqueArray(condition, { maxLength: 2 }),
    });
    const permissions: fc.Arbitrary<readonly Permission[]> = fc.array(permission, { maxLength: 4 });
    const pairs = ['state:read', 'state:write', 'plan:read', 'plan:write'];
    const extension = { id: 'e', name: 'e', version: '1.0.0', contextId: 'c' };
    const questions = pairs.flatMap((pair) =>
      [alice, bob].flatMap((principal) =>
        [1, 13].map((hour) => ({
          ...{ extension, principal, permission: pair, operation: 'o', nowMs: Date.UTC(2_026, 0, 1, hour) },
        })),
      ),
    );
    fc.assert(
      fc.property(permissions, permissions, fc.subarray(pairs), condition, (before, after, granted, further) => {
        const given = granting(before, granted);
        const narrowed = granting(before, granted, () => [further]);
        for (const question of questions) {
          const expected = granted.includes(question.permission) && isAllowed(before, question);
          expect(isAllowed(given, question)).toBe(expected);
          if (isAllowed(narrowed, question)) {
            const only = [{ resource: 'state', actions: ['read'], scope: 'context', conditions: [further] }] as const;
            expect(expected && isAllowed(only, { ...question, permission: 'state:read' })).toBe(true);
          }
          if (widened(before, after).length === 0 && isAllowed(after, question))
            expect(isAllowed(before, question)).toBe(true);
        }
      }),
    );
  });
});

describe('the share of a core', () => {
  test('property: over any time no more is taken than the share, one burst and one call', () => {
    const calls = fc.array(fc.record({ gapMs: fc.nat(5_000), cpuMs: fc.nat(3_000) }), { maxLength: 60 });
    fc.assert(
      fc.property(calls, fc.integer({ min: 1, max: 99 }), (list, percent) => {
        const shares = createCpuShares();
        let [now, used] = [0, 0];
        for (const { gapMs, cpuMs } of list) {
          now += gapMs;
          const waitMs = shares.waitOf('one', percent, now);
          if (waitMs > 0) {
            // Whoever waits for as long as is said is let through, or but for a rounding.
            expect(shares.waitOf('one', percent, now + waitMs)).toBeLessThanOrEqual(1);
            now += waitMs + 1;
            continue;
          }
          shares.charge('one', percent, cpuMs, now);
          used += cpuMs;
          expect(used).toBeLessThanOrEqual((percent / 100) * (now + 10_000) + 3_000 + 1e-6);
        }
      }),
    );
  });

  test('who has taken it is refused until later, others are not', async () => {
    const [greedy, other] = [await open('state:read'), await open('state:read')];
    const configure = (settings: object) =>
      rig.mutate(admin, 'updateExtensionConfig', 'UpdateExtensionConfigInput', { extensionId: greedy.id, settings });
    rig.insist(await configure({ maxCpuPercent: 1, operationTimeoutMs: 400 }));
    expect(codesOf(await configure({ maxCpuPercent: 0 }))).toEqual(['VALIDATION_FAILED']);
    // 1 % of ten seconds are a tenth of a second.
    expect((await greedy.call('loop'))['status']).toBe('FAILED');
    const refused = await greedy.call('who');
    expect(codesOf(refused)).toEqual(['RATE_LIMITED']);
    expect(Number(refused['userErrors']!.map((one) => one['retryAfterMs'])[0])).toBeGreaterThan(1_000);
    expect((await other.call('who'))['status']).toBe('COMPLETED');
  });
});

describe('what is kept of calls', () => {
  const kept =
    'query ($id: ID!) { extensionExecution(id: $id) { logs { text } hostOperations { operation errorCode } } }';
  const telling = `export const Main = { async add() { console.log('said'); await mplp.call('nothing.there', {}).catch(() => 0); return 1; } };`;
  const manifest = manifestOf({
    capabilities: [
      {
        name: 'sums',
        interfaces: [{ interface_name: 'sums', methods: [{ method_name: 'add' }, { method_name: 'gone' }] }],
      },
    ],
    lifecycle_hooks: {},
  });

  test.each([
    ['NONE', null],
    ['BASIC', { logs: [], hostOperations: [] }],
    ['DETAILED', { logs: [{ text: 'said' }], hostOperations: [] }],
    [
      'COMPREHENSIVE',
      { logs: [{ text: 'said' }], hostOperations: [{ operation: 'nothing.there', errorCode: 'PERMISSION_VIOLATION' }] },
    ],
  ])('%s', async (monitoringLevel, expected) => {
    const bundle = `${telling} Main.gone = () => { throw new Error('gone'); };`;
    const { id, capabilities } = await rig.running({ bundle, manifest });
    rig.insist(
      await rig.mutate(admin, 'updateExtensionConfig', 'UpdateExtensionConfigInput', {
        ...{ extensionId: id, settings: { monitoringLevel } },
      }),
    );
    const input = { extensionId: id, capabilityId: capabilities.get('sums'), parameters: {} };
    const answer = await rig.execute(alice, { ...input, method: 'add' });
    expect([answer['status'], answer['result']]).toEqual(['COMPLETED', 1]);
    expect((await rig.ask(alice, kept, { id: answer['executionId'] }))['extensionExecution']).toEqual(expected);
    // What fails is kept whatever the level, and all is counted.
    const failed = await rig.execute(alice, { ...input, method: 'gone' });
    expect((await rig.ask(alice, kept, { id: failed['executionId'] }))['extensionExecution']).not.toBeNull();
    const repeatable = await rig.execute(alice, { ...input, method: 'add', idempotencyKey: `key-${monitoringLevel}` });
    expect(
      await rig.execute(alice, { ...input, method: 'add', idempotencyKey: `key-${monitoringLevel}` }),
    ).toMatchObject({
      executionId: repeatable['executionId'],
    });
    const counted = 'query ($id: ID!) { extension(id: $id) { sandbox { monitoringLevel usage { invocations } } } }';
    expect((await rig.ask(alice, counted, { id }))['extension']!['sandbox']).toEqual({
      ...{ monitoringLevel, usage: { invocations: 3 } },
    });
    const told = (await rig.stream(String(capabilities.get('sums')))).filter(
      ({ type }) => type === 'capability.invoked',
    );
    expect(told).toHaveLength(monitoringLevel === 'NONE' ? 2 : 3);
  });
});

test('a start says how long each of its phases took', async () => {
  const bundle = `const until = Date.now() + 50; while (Date.now() < until); export const Main = { add: () => 1 };`;
  const manifest = manifestOf({
    capabilities: [{ name: 'sums', interfaces: [{ interface_name: 'sums', methods: [{ method_name: 'add' }] }] }],
    lifecycle_hooks: {},
  });
  const registered = rig.insist(await rig.register(admin, { bundle, manifest }));
  const extensionId = String(registered['extension']!['id']);
  rig.insist(await rig.mutate(admin, 'installExtension', 'InstallExtensionInput', { extensionId }));
  const phases = 'phases { validateMs resolveMs sandboxMs initMs healthMs }';
  const { phases: took } = await rig.mutate(admin, 'loadExtension', 'LoadExtensionInput', { extensionId }, phases);
  expect(Object.values(took as object).every((ms) => Number(ms) >= 0)).toBe(true);
});
