import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  admin,
  alice,
  bob,
  calculator,
  codesOf,
  type ExtensionRig,
  type Json,
  manifestOf,
  openExtensionRig,
  principal,
  trustedKey,
} from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig({ env: { EXTENSION_CRASHES: '5' } });
});
afterAll(() => rig?.[Symbol.asyncDispose]());

type Running = Awaited<ReturnType<ExtensionRig['running']>>;

const sums = ({ id, capabilities }: Running, method: string, parameters: unknown = {}, more: object = {}) => ({
  extensionId: id,
  capabilityId: capabilities.get('sums'),
  method,
  parameters,
  ...more,
});

describe('calls of methods', () => {
  let running: Running;
  beforeAll(async () => {
    const sign = await trustedKey(rig, 'LOW');
    const permissions = ['state:read', 'state:write', 'context:read', 'plan:read'];
    running = await rig.running({ sign, manifest: manifestOf({ security_requirements: { permissions } }) });
  });
  const call = (method: string, parameters: unknown = {}, more: object = {}, who = alice) =>
    rig.execute(who, sums(running, method, parameters, more));

  it('answers what the method answers, and keeps what it came to', async () => {
    const answer = await call('add', { a: 40, b: 2 });
    expect([answer['status'], answer['result'], codesOf(answer)]).toEqual(['COMPLETED', 42, []]);
    const kept = await rig.ask(
      alice,
      'query ($id: ID!) { extensionExecution(id: $id) { caller method status executionTimeMs cacheHit extension { id } } }',
      { id: answer['executionId'] },
    );
    expect(kept['extensionExecution']).toMatchObject({
      caller: 'alice',
      method: 'add',
      status: 'COMPLETED',
      extension: { id: running.id },
    });
  });

  it('results of pure methods are kept, of others never; a repeat is told from a hit', async () => {
    const first = await call('add', { a: 7, b: 8 });
    const second = await call('add', { b: 8, a: 7 }, {}, bob);
    expect([first['cacheInfo']!['hit'], second['cacheInfo']!['hit'], second['result']]).toEqual([false, true, 15]);
    const anew = await call('add', { a: 7, b: 8 }, { options: { cacheResult: false } });
    expect(anew['cacheInfo']!['hit']).toBe(false);
    await call('who');
    expect((await call('who'))['cacheInfo']!['hit']).toBe(false);
  });

  it('says who calls, whatever the caller says', async () => {
    const answer = await call('who', { userId: 'root' }, { context: { sessionId: 's1', requestId: 'r1' } });
    expect(answer['result']).toMatchObject({ userId: 'alice', sessionId: 's1', requestId: 'r1', capability: 'sums' });
  });

  it('an idempotency key runs the method once', async () => {
    const input = sums(running, 'remember', { key: 'n', value: 1 }, { idempotencyKey: 'once' });
    const first = await rig.execute(alice, input);
    const second = await rig.execute(alice, input);
    expect([second['executionId'], second['result']]).toEqual([first['executionId'], 1]);
    const other = { ...input, parameters: { key: 'n', value: 2 } };
    expect(codesOf(await rig.execute(alice, other))).toEqual(['IDEMPOTENCY_MISMATCH']);
  });

  it('refuses before anything runs: method, input, capability, state, context', async () => {
    expect(codesOf(await call('nothing'))).toEqual(['METHOD_NOT_FOUND']);
    expect(codesOf(await call('constructor'))).toEqual(['METHOD_NOT_FOUND']);
    expect(codesOf(await call('add', { a: 1 }))).toEqual(['INPUT_INVALID']);
    expect(codesOf(await call('add', { a: 1, b: 'x' }))).toEqual(['INPUT_INVALID']);
    expect(codesOf(await call('who', {}, { context: { contextId: rig.openContext() } }))).toEqual([
      'VALIDATION_FAILED',
    ]);
    expect(codesOf(await call('who', 'x'.repeat(300_000)))).toEqual(['VALIDATION_FAILED']);
    const foreign = { ...sums(running, 'who'), capabilityId: crypto.randomUUID() };
    expect(codesOf(await rig.execute(alice, foreign))).toEqual(['NOT_FOUND']);
    const other = principal('eve', { tenantId: 'two' });
    expect(codesOf(await rig.execute(other, sums(running, 'who')))).toEqual(['NOT_FOUND']);
  });

  it('failures of the method stand in its execution with its own code', async () => {
    const declared = await call('fail', { code: 'NO_SUCH_SUM' });
    expect([declared['status'], codesOf(declared), declared['execution']!['error']!['code']]).toEqual([
      'FAILED',
      ['EXTENSION_FAILED'],
      'NO_SUCH_SUM',
    ]);
    const undeclared = await call('fail', { code: 'SOMETHING' });
    expect([codesOf(undeclared), undeclared['execution']!['error']!['code']]).toEqual([
      ['EXTENSION_FAILED'],
      'EXTENSION_FAILED',
    ]);
    const wrong = await call('wrong');
    expect([wrong['status'], codesOf(wrong), wrong['result']]).toEqual(['FAILED', ['OUTPUT_INVALID'], null]);
  });

  it('keeps state for itself, and only what the grant opens', async () => {
    expect((await call('remember', { key: 'k', value: { deep: [1] } }))['result']).toEqual({ deep: [1] });
    expect((await call('recall', { key: 'k' }, {}, bob))['result']).toEqual({ deep: [1] });
    expect((await call('recall', { key: 'none' }))['result']).toBeNull();
    // Asked for and within nobody's trust: LOW stops before plans.
    const plan = await call('any', { operation: 'plan.get', payload: { id: crypto.randomUUID() } });
    expect(codesOf(plan)).toEqual(['PERMISSION_VIOLATION']);
    for (const operation of ['event.emit', 'network.fetch', '__proto__', 'constructor'])
      expect(codesOf(await call('any', { operation, payload: {} }))).toEqual(['PERMISSION_VIOLATION']);
  });

  it('reads the graph as its caller and no further: the caller without the right is refused', async () => {
    const read = await call('peek');
    expect(read['result']).toMatchObject({ ownerId: 'alice' });
    expect(rig.asked.at(-1)!.principal.subject).toBe('alice');
    const blind = principal('blind', { scopes: ['extension:read', 'extension:execute'] });
    expect(codesOf(await call('peek', {}, {}, blind))).toEqual(['PERMISSION_VIOLATION']);
  });

  it('what is revoked is refused at the next host call, without a restart', async () => {
    const sign = await trustedKey(rig, 'LOW');
    const own = await rig.running({
      sign,
      manifest: manifestOf({ security_requirements: { permissions: ['state:read', 'state:write'] } }),
    });
    const remember = () => rig.execute(alice, sums(own, 'remember', { key: 'a', value: 1 }));
    expect((await remember())['status']).toBe('COMPLETED');
    await rig.step(admin, 'revokePermission', own.id, { permission: 'state:write' });
    expect(codesOf(await remember())).toEqual(['PERMISSION_VIOLATION']);
    const back = await rig.step(admin, 'grantPermission', own.id, { permission: 'state:write' });
    expect([codesOf(back), (await remember())['status']]).toEqual([[], 'COMPLETED']);
    expect(codesOf(await rig.step(admin, 'grantPermission', own.id, { permission: 'plan:read' }))).toEqual([
      'PERMISSION_NOT_GRANTED',
    ]);
  });

  it('tells each call to who follows the capability, without its content', async () => {
    const told = await rig.replay(alice, 'capabilityInvoked', { capabilityId: running.capabilities.get('sums') });
    expect(told.length).toBeGreaterThan(10);
    expect(told[0]).toMatchObject({ method: 'add', caller: 'alice', status: 'COMPLETED', extensionId: running.id });
    expect(JSON.stringify(told)).not.toContain('deep');
    await expect(
      rig.replay(principal('eve', { tenantId: 'two' }), 'capabilityInvoked', {
        capabilityId: running.capabilities.get('sums'),
      }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('counts what methods come to', async () => {
    const data = await rig.ask(
      alice,
      'query ($id: ID!) { extensionMetrics(id: $id) { invocations failures cacheHits successLowerBound methods { method invocations } } extensionHealth(id: $id) { level openCircuits } extensionExecutions(filter: { extensionId: $id, status: [FAILED] }, first: 3) { totalCount nodes { method } pageInfo { hasNextPage } } }',
      { id: running.id },
    );
    const metrics = data['extensionMetrics']!;
    expect(Number(metrics['invocations'])).toBeGreaterThan(15);
    expect(Number(metrics['cacheHits'])).toBe(1);
    expect(Number(data['extensionExecutions']!['totalCount'])).toBe(Number(metrics['failures']));
    expect(data['extensionExecutions']!['nodes']!).toHaveLength(3);
    expect(Number(metrics['successLowerBound'])).toBeLessThan(1);
  });
});

describe('methods that break', () => {
  it('are left alone after five failures in a minute; others of the extension go on', async () => {
    const own = await rig.running();
    for (let n = 0; n < 5; n += 1)
      expect(codesOf(await rig.execute(alice, sums(own, 'fail', { code: 'UNDECLARED' })))).toEqual([
        'EXTENSION_FAILED',
      ]);
    const refused = await rig.execute(alice, sums(own, 'fail', { code: 'UNDECLARED' }));
    expect(codesOf(refused)).toEqual(['CIRCUIT_OPEN']);
    expect(refused['userErrors']!.map((error) => Number(error['retryAfterMs']))).toEqual([30_000]);
    expect((await rig.execute(alice, sums(own, 'who')))['status']).toBe('COMPLETED');
    const health = await rig.ask(
      alice,
      'query ($id: ID!) { extensionHealth(id: $id) { level openCircuits reasons } }',
      {
        id: own.id,
      },
    );
    expect(health['extensionHealth']).toMatchObject({ level: 'UNHEALTHY', openCircuits: ['sums.fail'] });
  });

  it('refusals that a method declares are answers: they open no circuit', async () => {
    const own = await rig.running();
    for (let n = 0; n < 8; n += 1)
      expect((await rig.execute(alice, sums(own, 'fail', { code: 'NO_SUCH_SUM' })))['status']).toBe('FAILED');
  });

  it('put their extension into quarantine when they have to be stopped again and again', async () => {
    const own = await rig.running();
    const loop = () => rig.execute(alice, sums(own, 'loop', {}, { options: { timeoutMs: 50 } }));
    for (let n = 0; n < 5; n += 1) {
      const answer = await loop();
      expect([codesOf(answer), answer['execution']!['crashed']]).toEqual([['EXECUTION_TIMEOUT'], true]);
    }
    const state = await rig.stateOf(own.id);
    expect([state['runtimeState'], state['status'], state['quarantine']!['by']]).toEqual([
      'QUARANTINED',
      'INACTIVE',
      'system:extension',
    ]);
    expect(codesOf(await rig.execute(alice, sums(own, 'add', { a: 1, b: 1 })))).toEqual(['INVALID_STATE']);
    expect(codesOf(await rig.mutate(admin, 'loadExtension', 'LoadExtensionInput', { extensionId: own.id }))).toEqual([
      'INVALID_STATE',
    ]);
  });

  it('leaves it only with the approval of a confirm that was asked for after it', async () => {
    const own = await rig.running();
    await rig.step(admin, 'quarantineExtension', own.id, { reason: 'it sends odd things' });
    const request = await rig.mutate(admin, 'requestExtensionApproval', 'RequestExtensionApprovalInput', {
      extensionId: own.id,
      purpose: 'LEAVE_QUARANTINE',
      approvers: ['carol'],
    });
    expect(codesOf(request)).toEqual([]);
    const asked = (await rig.stream(own.id)).find(({ type }) => type === 'approval.requested')!;
    expect(asked.data['approval']).toMatchObject({
      targetType: 'extension',
      targetId: own.id,
      approvers: ['carol'],
      reference: { kind: 'extension.release', extensionId: own.id },
    });
    const started = await rig.service.start();
    const outcome = (status: string, createdAt: string) =>
      rig.tell('confirm', 'confirm.resolved', {
        confirm: {
          id: crypto.randomUUID(),
          requestEventId: crypto.randomUUID(),
          targetType: 'extension',
          targetId: own.id,
          status,
          createdAt,
          reference: { kind: 'extension.release', extensionId: own.id },
        },
      });
    await outcome('rejected', new Date().toISOString());
    await outcome('approved', '2020-01-01T00:00:00.000Z');
    await rig.service.catchUp();
    expect((await rig.stateOf(own.id))['runtimeState']).toBe('QUARANTINED');
    await outcome('approved', new Date().toISOString());
    await rig.service.catchUp();
    expect((await rig.stateOf(own.id))['runtimeState']).toBe('INACTIVE');
    expect(started).toBeDefined();
  });
});

describe('limits of calls', () => {
  it('one caller calls a capability so often a minute and no more; others are not kept back', async () => {
    await using own = await openExtensionRig({ env: { EXTENSION_CALLS_PER_MINUTE: '5' } });
    const running = await own.running();
    const codes: string[] = [];
    for (let n = 0; n < 7; n += 1) codes.push(...codesOf(await own.execute(alice, sums(running, 'who'))));
    expect(codes).toEqual(['RATE_LIMITED', 'RATE_LIMITED']);
    expect(codesOf(await own.execute(bob, sums(running, 'who')))).toEqual([]);
  });

  it('a bundle that lacks a method never gets as far as a call', async () => {
    const registered = rig.insist(
      await rig.register(admin, { bundle: calculator.replace('wrong: () =>', 'right: () =>') }),
    );
    const id = String(registered['extension']!['id']);
    const installed = await rig.mutate(admin, 'installExtension', 'InstallExtensionInput', { extensionId: id });
    expect(codesOf(installed)).toEqual(['SANDBOX_FAILED']);
    const state = await rig.stateOf(id);
    expect([state['runtimeState'], state['lastError']!['code']]).toEqual(['ERROR', 'SANDBOX_FAILED']);
    const reset = await rig.step(admin, 'resetExtension', id);
    expect(reset['extension']!['runtimeState']).toBe('REGISTERED');
  });
});

it('what calls took is summed up for the sandbox that they ran in', async () => {
  const running = await rig.running({ sign: await trustedKey(rig) });
  for (const at of [1, 2, 3]) await rig.execute(admin, sums(running, 'add', { a: at, b: 2 }));
  const read = `query ($id: ID!, $hours: Int! = 24) { extension(id: $id) { sandbox { usage(hours: $hours) { hours invocations crashes cpuTimeMs memoryPeakBytes memoryPeakShare hostCalls storedBytes } } } }`;
  const { usage } = (await rig.ask(admin, read, { id: running.id }))['extension']!['sandbox']! as Record<string, Json>;
  expect(usage).toMatchObject({ hours: 24, invocations: 3, crashes: 0, hostCalls: 0, storedBytes: 0 });
  expect(Number(usage!['memoryPeakBytes'])).toBeGreaterThan(0);
  expect(Number(usage!['memoryPeakShare'])).toBeLessThanOrEqual(1);
  const refused = await rig.run(admin, read, { id: running.id, hours: 745 });
  expect(refused.errors).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});
