import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { createPrincipal } from '#shared/principal.ts';
import { validateProtocolObject } from '../../schema/protocol/index.ts';
import { coreCodec } from '../../subgraphs/core/codec.ts';
import { type HealthChange, tellHealth } from '../../subgraphs/core/health/changes.ts';
import { createHealth, rollUp } from '../../subgraphs/core/health/health.ts';
import { type Overall, settleOverall } from '../../subgraphs/core/health/hysteresis.ts';
import { componentsOf, metricsOf } from '../../subgraphs/core/health/measured.ts';
import { createUptimes } from '../../subgraphs/core/health/uptime.ts';
import { sampleObjects } from '../conformance/sample/objects.ts';
import { alice, type CoreRig, errors, made, openCoreRig, principal, ref } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
  rig.answers.set('createContext', made('made'));
});
afterAll(() => rig[Symbol.asyncDispose]());

const manifest = 'manifest { id status version modules { moduleId status required } document }';
const create = `mutation ($input: CreateCoreManifestInput!) { createManifest(input: $input) { ${manifest} ${errors} } }`;
const setStatus = `mutation ($id: ID!, $status: CoreManifestStatus!) { changeManifestStatus(manifestId: $id, status: $status) { ${manifest} ${errors} } }`;
const setModule = `mutation ($id: ID!, $module: CoreModuleId!, $status: CoreModuleStatus!) { setModuleStatus(manifestId: $id, moduleId: $module, status: $status) { ${manifest} ${errors} } }`;
const putRule = `mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { rule { id version } ${errors} } }`;
const decide = `mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { id actions { order module action input ruleName } deferred { ruleName action reason } rejected { ruleName reason } executionId } ${errors} } }`;

test('a manifest goes its way: one is active, what is required stays on; its document is the frozen form', async () => {
  const modules = [
    { moduleId: 'CORE', version: '1.0.0', required: true },
    { moduleId: 'PLAN', version: '1.0.0' },
  ];
  const draft = await rig.field(alice, create, { input: { modules } });
  expect(draft).toMatchObject({
    userErrors: [],
    manifest: {
      status: 'DRAFT',
      modules: [
        { moduleId: 'CORE', status: 'ENABLED', required: true },
        { moduleId: 'PLAN', required: false },
      ],
    },
  });
  expect(validateProtocolObject('core', draft['manifest']!['document'])).toEqual([]);
  const id = draft['manifest']!['id'];
  expect(await rig.field(alice, setStatus, { id, status: 'DEPRECATED' })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE_TRANSITION' }],
  });
  expect(await rig.field(alice, setStatus, { id, status: 'ACTIVE' })).toMatchObject({
    manifest: { status: 'ACTIVE', version: 2 },
  });
  expect(await rig.field(alice, setModule, { id, module: 'CORE', status: 'DISABLED' })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE' }],
  });
  expect(await rig.field(alice, setModule, { id, module: 'TRACE', status: 'DISABLED' })).toMatchObject({
    userErrors: [{ code: 'NOT_FOUND' }],
  });
  expect(await rig.field(alice, setModule, { id, module: 'PLAN', status: 'DISABLED' })).toMatchObject({
    manifest: { version: 3 },
  });
  const next = await rig.field(alice, create, { input: { modules } });
  await rig.field(alice, setStatus, { id: next['manifest']!['id'], status: 'ACTIVE' });
  expect(await rig.field(alice, 'query ($id: ID) { coreManifest(manifestId: $id) { status } }', { id })).toMatchObject({
    status: 'DEPRECATED',
  });
  // Whoever kept it hears that another took its place.
  const last = rig.events
    .filter(({ streamId, type }) => streamId === String(id) && type === 'manifest.changed')
    .at(-1)!;
  expect(last.data['manifest']).toMatchObject({ status: 'deprecated', version: 4 });
  expect((last as EventRow).tags).toContain(`CoreManifest:${String(id)}`);
  expect(await rig.field(alice, '{ coreManifest { id } }')).toEqual({ id: next['manifest']!['id'] });
  expect(await rig.field(principal('eve', { tenantId: 'three' }), '{ coreManifest { id } }')).toBeNull();
});

test('an imported manifest comes out to the letter', async () => {
  const document = sampleObjects.core as unknown as Record<string, unknown>;
  const who = createPrincipal({ tenantId: 'import', subject: 'importer', scopes: ['*'] });
  await rig.sql.begin((tx) => coreCodec.write(tx, who, [document]));
  const id = String(document['core_id']);
  const found = await coreCodec.read(rig.sql, 'import', [id]);
  expect(found.get(id)).toEqual(document);
  expect((await coreCodec.read(rig.sql, 'other', [id])).size).toBe(0);
  await expect(rig.sql.begin((tx) => coreCodec.write(tx, who, [document]))).rejects.toThrow('meanwhile');
});

test('health: what is shown gets worse after two looks and better after three; one slow look alarms nobody', () => {
  const seen: Overall[] = [
    'healthy',
    'warning',
    'healthy',
    'critical',
    'degraded',
    'healthy',
    'healthy',
    'degraded',
    'healthy',
    'healthy',
    'healthy',
  ];
  let state: ReturnType<typeof settleOverall> | null = null;
  const shown = seen.map((overall) => {
    state = settleOverall(state, overall);
    return state.shown;
  });
  expect(shown).toEqual([
    'healthy',
    'healthy',
    'healthy',
    'healthy',
    'degraded',
    'degraded',
    'degraded',
    'degraded',
    'degraded',
    'degraded',
    'healthy',
  ]);
  expect(rollUp([{ status: 'healthy' }, { status: 'error' }])).toBe('critical');
  // As the documents say: above 30 % degraded, any at all a warning.
  const some = (bad: 'unhealthy' | 'degraded', count: number) =>
    rollUp([...Array(10 - count).fill({ status: 'healthy' }), ...Array(count).fill({ status: bad })]);
  expect([0, 1, 3, 4, 10].map((count) => some('unhealthy', count))).toEqual([
    ...['healthy', 'warning', 'warning', 'degraded', 'degraded'],
  ]);
  expect([1, 4].map((count) => some('degraded', count))).toEqual(['warning', 'degraded']);
  expect(rollUp([...Array(9).fill({ status: 'unhealthy' }), { status: 'error' }])).toBe('critical');
});

test('what was measured decides too: calls that broke, waits, the pool, the load of the workers', () => {
  const stateOf = (series: Readonly<Record<string, readonly [count: number, mean: number]>>) => {
    const measured = new Map(
      Object.entries(series).map(([name, [count, mean]]) => [name, { count, mean, variance: 0 }]),
    );
    return Object.fromEntries(
      componentsOf(metricsOf(measured), 1).map(({ name, status }) => [name.replace('measured.', ''), status]),
    );
  };
  const well = {
    'steps.broken': 'healthy',
    'steps.wait': 'healthy',
    'database.wait': 'healthy',
    'workers.load': 'healthy',
  };
  expect(stateOf({})).toEqual(well);
  expect(stateOf({ 'step.service': [19, 5], 'step.broken': [19, 1] })).toEqual(well);
  expect(stateOf({ 'step.service': [100, 5], 'step.failed': [100, 1], 'step.broken': [4, 1] })).toEqual(well);
  expect(stateOf({ 'step.service': [100, 5], 'step.broken': [5, 1] })).toEqual({ ...well, 'steps.broken': 'degraded' });
  expect(
    stateOf({
      'step.service': [100, 5],
      'step.broken': [25, 1],
      'step.wait': [10, 2_500],
      'pool.wait': [20, 60],
      'worker.busy': [20, 31],
      'worker.slots': [20, 32],
    }),
  ).toEqual({
    'steps.broken': 'unhealthy',
    'steps.wait': 'unhealthy',
    'database.wait': 'degraded',
    'workers.load': 'degraded',
  });
});

test('systemHealth answers from its last look, with every module; systemStatus counts', async () => {
  const health = await rig.field(
    alice,
    '{ systemHealth { overall score uptime components { name status uptime } checkedAt } }',
  );
  expect(health['components']!.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['module.context', 'module.core', 'workflow.worker', 'process.loop']),
  );
  expect(health['components']!.find(({ name }) => String(name) === 'module.core')).toMatchObject({ uptime: 1 });
  const again = await rig.field(alice, '{ systemHealth { checkedAt } }');
  expect(again['checkedAt']).toBe(health['checkedAt']);
  expect(
    await rig.field(
      alice,
      '{ systemStatus { modules executions { status count } allocations { status count } runningSteps slots } }',
    ),
  ).toMatchObject({
    executions: [],
    allocations: [],
    slots: 32,
    runningSteps: 0,
  });
});

test('how often each part was up is counted by all processes together, and outlives them', async () => {
  let isBroken = false;
  const process = () => {
    const uptimes = createUptimes({ sql: rig.sql, logger: rig.runtime.logger });
    const health = createHealth({
      uptimes,
      sqlOf: (module) =>
        module === 'trace' && isBroken
          ? ({ unsafe: () => Promise.reject(new Error('relation does not exist')) } as never)
          : rig.sql,
      logger: rig.runtime.logger,
      onChanged: async () => {},
      worker: () => ({ running: 1, slots: 1 }),
      openCircuits: () => 0,
      measured: async () => ({ metrics: [], errorRates: new Map() }),
    });
    const shown = async () => {
      const { uptime, components } = await health.refresh();
      const of = (name: string) => components.find((component) => component.name === name)!.uptime;
      return { platform: uptime, trace: of('module.trace'), plan: of('module.plan'), worker: of('workflow.worker') };
    };
    return { uptimes, shown };
  };
  await rig.sql`DELETE FROM core.uptime`;
  const [one, other] = [process(), process()];
  // Slots that are all taken are no outage.
  expect(await one.shown()).toEqual({ platform: 1, trace: 1, plan: 1, worker: 1 });
  isBroken = true;
  expect(await one.shown()).toEqual({ platform: 0.5, trace: 0.5, plan: 1, worker: 1 });
  await one.uptimes.flush();
  isBroken = false;
  await other.shown();
  await other.uptimes.flush();
  // Three looks of two processes, and its own one.
  expect(await other.shown()).toEqual({ platform: 0.75, trace: 0.75, plan: 1, worker: 1 });
  // What is older than a day no longer counts.
  await rig.sql`UPDATE core.uptime SET hour = hour - interval '25 hours'`;
  await one.uptimes.flush();
  expect(one.uptimes.of('module.trace')).toBe(null);
  await rig.sql`UPDATE core.uptime SET hour = hour - interval '40 days'`;
  await one.uptimes.flush();
  expect((await rig.sql`SELECT 1 FROM core.uptime`).length).toBe(0);
});

test('a part that hangs is an error within its time limit, and hinders no other', async () => {
  const hanging = new Promise<never>(() => {});
  const health = createHealth({
    uptimes: createUptimes({ sql: rig.sql, logger: rig.runtime.logger }),
    sqlOf: (module) => (module === 'trace' ? ({ unsafe: () => hanging } as never) : rig.sql),
    logger: rig.runtime.logger,
    onChanged: async () => {},
    worker: () => ({ running: 0, slots: 1 }),
    openCircuits: () => 0,
    measured: async () => ({ metrics: [], errorRates: new Map() }),
  });
  const { components } = await health.refresh();
  expect(components.find(({ name }) => name === 'module.trace')).toMatchObject({
    status: 'error',
    detail: 'no answer within 1000 ms',
  });
  expect(components.find(({ name }) => name === 'module.plan')).not.toMatchObject({ status: 'error' });
});

test('a decision says what follows by which rule, what waits and what does not follow, each with why', async () => {
  const who = principal('alice', { tenantId: 'rules' });
  const action = (title: string) => ({
    module: 'context',
    action: 'createContext',
    input: { input: { title, root: { domain: 'd', environment: 'e' } } },
  });
  const rule = (name: string, more: object) =>
    rig.field(who, putRule, {
      input: { name, trigger: 'context.created', actions: [action(ref('input.title'))], ...more },
    });
  await rule('second', { rank: 20, actions: [action('fixed')] });
  await rule('first', { rank: 10 });
  await rule('twice', { rank: 30 });
  await rule('small', { rank: 40, condition: 'input.size < 5', actions: [action('small')] });
  await rule('other', { trigger: 'plan.*' });
  await rule('off', { enabled: false });
  await rule('planned', { rank: 50, actions: [{ module: 'plan', action: 'approvePlan', input: { planId: 'x' } }] });
  expect(await rule('bad', { actions: [{ module: 'context', action: 'ghost', input: {} }] })).toMatchObject({
    userErrors: [{ code: 'UNKNOWN_OPERATION' }],
  });
  expect(await rule('first', { rank: 11 })).toMatchObject({ rule: { version: 2 } });
  const draft = await rig.field(who, create, {
    input: { modules: [{ moduleId: 'PLAN', version: '1', status: 'DISABLED' }] },
  });
  await rig.field(who, setStatus, { id: draft['manifest']!['id'], status: 'ACTIVE' });
  const ask = (input: object) =>
    rig.field(who, decide, { input: { eventType: 'context.created', data: { title: 'mine', size: 9 }, ...input } });
  const { decision } = (await ask({})) as unknown as { decision: Record<string, unknown> };
  expect(decision).toMatchObject({
    actions: [
      { order: 1, ruleName: 'first', action: 'createContext', input: { input: { title: 'mine' } } },
      { order: 2, ruleName: 'second', input: { input: { title: 'fixed' } } },
    ],
    deferred: [{ ruleName: 'planned', action: 'plan.approvePlan', reason: 'plan is disabled by the manifest' }],
    rejected: [
      { ruleName: 'twice', reason: 'a rule before it does the same' },
      { ruleName: 'small', reason: 'its condition is false' },
    ],
    executionId: null,
  });
  const same = (await ask({})) as unknown as { decision: Record<string, unknown> };
  expect({ ...same.decision, id: null }).toEqual({ ...decision, id: null });
  expect(await ask({ data: { title: 'x', size: 1, governance: { locked: true } } })).toMatchObject({
    decision: {
      actions: [],
      deferred: expect.arrayContaining([
        { ruleName: 'first', action: 'context.createContext', reason: 'the object is locked by governance' },
      ]),
    },
  });
  expect(await ask({ depth: 5 })).toMatchObject({ userErrors: [{ code: 'RULE_CYCLE' }] });
});

test('dispatch carries a decision out, once for its key', async () => {
  const who = principal('alice', { tenantId: 'dispatch' });
  await rig.field(who, putRule, {
    input: {
      name: 'r',
      trigger: 'a.b',
      actions: [
        {
          module: 'context',
          action: 'createContext',
          input: { input: { title: 't', root: { domain: 'd', environment: 'e' } } },
        },
      ],
    },
  });
  const input = { eventType: 'a.b', dispatch: true, idempotencyKey: 'once' };
  const [one, two] = [await rig.field(who, decide, { input }), await rig.field(who, decide, { input })];
  expect(one['decision']!['executionId']).toBe(two['decision']!['executionId']);
  const [{ count }] =
    (await rig.sql`SELECT count(*)::int AS count FROM core.execution WHERE tenant_id = 'dispatch'`) as unknown as [
      { count: number },
    ];
  expect(count).toBe(1);
});

test('a change of the health is told once, whichever processes see it', async () => {
  const change = (overall: Overall) =>
    tellHealth(rig.runtime, {
      ...{
        overall,
        score: 0.5,
        uptime: null,
        metrics: [],
        issues: [],
        alerts: [],
        checkedAt: new Date().toISOString(),
      },
      components: [
        { name: 'module.core', status: 'healthy', responseMs: 1, detail: null, uptime: 1, errorRate: null },
        { name: 'module.trace', status: 'error', responseMs: 1_000, detail: 'no answer', uptime: 0, errorRate: null },
      ],
    });
  await change('healthy');
  const told = () =>
    rig.events.filter(({ type }) => type === 'health.changed').map(({ data }) => data['change'] as HealthChange);
  const before = told().length;
  await Promise.all([change('critical'), change('critical'), change('critical')]);
  await change('healthy');
  expect(told().slice(before)).toEqual([
    expect.objectContaining({
      before: 'healthy',
      overall: 'critical',
      components: [expect.objectContaining({ name: 'module.trace' })],
    }),
    expect.objectContaining({ before: 'critical', overall: 'healthy' }),
  ]);
});
