import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createErrorCapture } from '#shared/errorCapture/capture.ts';
import { classify, fingerprintOf } from '#shared/errorCapture/classify.ts';
import { errorTable } from '#shared/errors.ts';
import { createJobRunner } from '#shared/jobs.ts';
import { type Json, openPlatformRig, operators, type PlatformRig, somebody } from '../observeRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ METRIC_SAMPLE_MS: '3600000' });
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof somebody>;
const errors = 'userErrors { code message path }';
const fields =
  'id fingerprint code message severity category module operation correlationId traceId userId recoverable recovery statusCode details stack';
const capture = (who: Who, input: object): Promise<Json> =>
  rig.ask(
    who,
    `mutation ($input: PlatformErrorInput!) { captureError(input: $input) { accepted error { ${fields} } ${errors} } }`,
    {
      input: { code: 'UNAVAILABLE', message: 'no answer', module: 'shop', ...input },
    },
  );
const list = async (who: Who, filter: object = {}, more = ''): Promise<Json> =>
  rig.ask(
    who,
    `query ($filter: PlatformErrorFilter) { errors(filter: $filter ${more}) { nodes { ${fields} } pageInfo { hasNextPage endCursor } } }`,
    { filter },
  );
const groups = (who: Who): Promise<Json[]> =>
  rig.ask(
    who,
    '{ errorGroups { fingerprint message count status regressions severity version resolution changedBy } }',
  );
const settle = (who: Who, fingerprint: string, more: object = {}): Promise<Json> =>
  rig.ask(
    who,
    `mutation ($fingerprint: String!, $status: PlatformErrorGroupStatus, $version: Int, $resolution: String) {
       resolveErrorGroup(fingerprint: $fingerprint, status: $status, expectedVersion: $version, resolution: $resolution) { group { status version } ${errors} } }`,
    { fingerprint, status: 'RESOLVED', ...more },
  );

describe('errors', () => {
  it('are classified and grouped at once, stored for their tenant alone, without its secrets', async () => {
    const [who, other] = [somebody(), somebody()];
    const { accepted, error } = await capture(who, {
      message: 'no answer of Bearer abc',
      details: { token: 'x', n: 1 },
      stack: 'Error: e\n at f',
      operation: 'buy',
    });
    expect(accepted).toBe(true);
    expect(error).toMatchObject({
      severity: 'MEDIUM',
      category: 'EXTERNAL',
      recoverable: true,
      recovery: 'RETRY',
      statusCode: 503,
    });
    await rig.logs.errors.flush();
    expect((await list(who)).nodes).toEqual([
      {
        ...error,
        message: 'no answer of [redacted]',
        details: { token: '[redacted]', n: 1 },
        stack: 'Error: e\n at f',
        userId: 'alice',
        correlationId: 'asked',
      },
    ]);
    expect((await list(other)).nodes).toEqual([]);
    expect(await groups(other)).toEqual([]);
    const group = (by: Who) =>
      rig.ask(by, 'query ($f: String!) { errorGroup(fingerprint: $f) { count status } }', { f: error.fingerprint });
    expect([await group(who), await group(other)]).toEqual([{ count: 1, status: 'OPEN' }, null]);
    const told = rig.events.filter(
      ({ tenantId, type }) => tenantId === who.tenantId && type === 'platform.error.captured',
    );
    expect(told.map(({ data }) => (data['error'] as Json).id)).toEqual([error.id]);
  });

  it('that are the same one share a group, whatever ids and numbers they name', async () => {
    const who = somebody();
    for (let n = 0; n < 3; n += 1)
      await capture(who, { message: `order ${n} of ${crypto.randomUUID()} is "gone ${n}"` });
    await capture(who, { message: 'another' });
    await capture(who, { message: 'another', code: 'CONFLICT', severity: 'CRITICAL' });
    await rig.logs.errors.flush();
    expect((await groups(who)).map(({ count, severity }) => [count, severity]).toSorted()).toEqual([
      [1, 'CRITICAL'],
      [1, 'MEDIUM'],
      [3, 'MEDIUM'],
    ]);
    const { pageInfo, nodes } = await list(who, {}, ', first: 3');
    const rest = await list(who, {}, `, first: 3, after: "${pageInfo.endCursor}"`);
    expect(new Set([...nodes, ...rest.nodes].map(({ id }: Json) => id)).size).toBe(5);
    expect((await list(who, { codes: ['CONFLICT'], severities: ['CRITICAL'] })).nodes).toHaveLength(1);
    const statistics = await rig.ask(
      who,
      '{ errorStatistics { total perHour recoverableShare bySeverity { key count } byCode { key count } } }',
    );
    expect(statistics).toEqual({
      total: 5,
      perHour: 5 / 24,
      recoverableShare: 0.8,
      bySeverity: [
        { key: 'MEDIUM', count: 4 },
        { key: 'CRITICAL', count: 1 },
      ],
      byCode: [
        { key: 'UNAVAILABLE', count: 4 },
        { key: 'CONFLICT', count: 1 },
      ],
    });
    const one = {
      code: 'A',
      module: 'm',
      operation: null,
      message: 'm',
      stack: 'E: m\n    at f (file:///a/b.ts:1:2)\n    at g (file:///a/b.ts:3:4)',
    };
    expect(fingerprintOf({ ...one, stack: one.stack.replace(':1:2', ':9:9') })).toBe(fingerprintOf(one));
    expect(fingerprintOf({ ...one, stack: one.stack.replace('at f', 'at h') })).not.toBe(fingerprintOf(one));
  });

  it('open a resolved group again, and leave an ignored one', async () => {
    const who = somebody();
    const { fingerprint } = (await capture(who, {})).error;
    await rig.logs.errors.flush();
    expect((await settle(who, fingerprint, { version: 7 })).userErrors[0].code).toBe('VERSION_CONFLICT');
    expect((await settle(who, fingerprint, { version: 1, resolution: 'restarted' })).group).toEqual({
      status: 'RESOLVED',
      version: 2,
    });
    expect((await settle(somebody(), fingerprint)).userErrors[0].code).toBe('NOT_FOUND');
    expect((await settle(who, 'no')).userErrors[0].code).toBe('VALIDATION_FAILED');
    await capture(who, {});
    await rig.logs.errors.flush();
    expect(await groups(who)).toMatchObject([
      { status: 'OPEN', count: 2, regressions: 1, resolution: 'restarted', changedBy: 'alice' },
    ]);
    await settle(who, fingerprint, { status: 'IGNORED' });
    await capture(who, {});
    await rig.logs.errors.flush();
    expect(await groups(who)).toMatchObject([{ status: 'IGNORED', count: 3, regressions: 1 }]);
  });

  it('are told once a group, and again when it is back, to the channels that rules name', async () => {
    const who = somebody();
    await rig.ask(who, `mutation { putNotificationChannel(input: { name: "log", kind: LOG }) { ${errors} } }`);
    const rule = (input: object): Promise<Json> =>
      rig.ask(
        who,
        `mutation ($input: PlatformErrorNotificationRuleInput!) { createNotificationRule(input: $input) { rule { name minSeverity version } ${errors} } }`,
        { input },
      );
    expect((await rule({ name: 'grave', channels: [] })).userErrors[0].path).toEqual(['input', 'channels']);
    expect((await rule({ name: 'grave', channels: ['log'], modules: ['shop'] })).rule).toEqual({
      name: 'grave',
      minSeverity: 'HIGH',
      version: 1,
    });
    for (const severity of ['MEDIUM', 'HIGH', 'HIGH']) await capture(who, { message: severity, severity });
    await capture(who, { message: 'elsewhere', module: 'other', severity: 'CRITICAL' });
    await rig.logs.errors.flush();
    await capture(who, { message: 'HIGH', severity: 'HIGH' });
    await rig.logs.errors.flush();
    const subjects = async () =>
      ((await rig.ask(who, '{ notifications { subject } }')) as Json[]).map(({ subject }) => subject).toSorted();
    expect(await subjects()).toEqual(['HIGH: shop UNAVAILABLE']);
    const high = (await groups(who)).find(({ message }) => message === 'HIGH');
    await settle(who, high.fingerprint);
    await capture(who, { message: 'HIGH', severity: 'HIGH' });
    await rig.logs.errors.flush();
    expect(await subjects()).toEqual(['HIGH: shop UNAVAILABLE', 'HIGH: shop UNAVAILABLE, again']);
    expect((await rig.ask(who, `mutation { deleteNotificationRule(name: "grave") { name ${errors} } }`)).name).toBe(
      'grave',
    );
    expect(
      (await rig.ask(who, `mutation { deleteNotificationRule(name: "grave") { ${errors} } }`)).userErrors[0].code,
    ).toBe('NOT_FOUND');
  });

  it('that a process logs with a stack are captured for the operators, those a tenant writes into its log are not', async () => {
    const [operator, who] = [somebody(operators), somebody()];
    rig.logger
      .child({ module: 'plan' })
      .error(
        { error: 'TypeError: x of undefined\n    at f (a.ts:1:1)', path: ['plans', 0], reference: 'r' },
        'unexpected failure',
      );
    rig.logger.error('without a stack');
    await rig.ask(
      who,
      `mutation { writeLog(input: { level: ERROR, message: "own", module: "m", stack: "E: e" }) { ${errors} } }`,
    );
    await rig.logs.writer.flush();
    await rig.logs.errors.flush();
    expect((await list(operator)).nodes).toMatchObject([
      {
        code: 'INTERNAL_ERROR',
        message: 'TypeError: x of undefined',
        module: 'plan',
        operation: 'plans',
        severity: 'HIGH',
        recovery: 'ESCALATE',
        details: { reference: 'r', logged: 'unexpected failure' },
      },
    ]);
    expect((await list(who)).nodes).toEqual([]);
  });

  it('of a background job have it run again at once', async () => {
    const [operator, who] = [somebody(operators), somebody()];
    const failed = async () =>
      (await list(operator)).nodes.filter(({ details }: Json) => details.task === 'test.flaky');
    let healthy = false;
    let done = 0;
    const runner = await createJobRunner({
      url: rig.databaseUrl,
      logger: rig.logger,
      tasks: {
        'test.flaky': async () => {
          if (!healthy) throw new Error('not yet');
          done += 1;
        },
      },
    });
    await rig.sql`SELECT graphile_worker.add_job('test.flaky', ${rig.sql.json({ tenantId: who.tenantId })}::json, max_attempts := 3)`;
    await expect.poll(async () => (await failed()).length, { timeout: 10_000 }).toBe(1);
    const [error] = await failed();
    expect(error).toMatchObject({ message: 'Error: not yet', details: { task: 'test.flaky', attempt: 1 } });
    const retry = (by: Who): Promise<Json> =>
      rig.ask(by, `mutation ($id: ID!) { retryError(errorId: $id) { task ${errors} } }`, { id: error.id });
    expect((await retry(somebody())).userErrors[0].code).toBe('NOT_FOUND');
    healthy = true;
    expect(await retry(operator)).toEqual({ task: 'test.flaky', userErrors: [] });
    await expect.poll(() => done, { timeout: 10_000 }).toBe(1);
    await expect.poll(async () => (await retry(operator)).userErrors[0]?.code).toBe('INVALID_STATE');
    await runner.close();
    // Nobody but the operators has a job run again, whatever they say of it.
    const plain = (await capture(who, { details: { jobId: '1', task: 'test.flaky' } })).error;
    await rig.logs.errors.flush();
    expect(
      (await rig.ask(who, `mutation ($id: ID!) { retryError(errorId: $id) { ${errors} } }`, { id: plain.id }))
        .userErrors[0].code,
    ).toBe('INVALID_STATE');
  });

  it('are refused where they break a rule, and dropped and counted where too many wait', async () => {
    const who = somebody();
    for (const [input, path] of [
      [{ code: 'no code' }, 'code'],
      [{ message: '' }, 'message'],
      [{ module: 'no module!' }, 'module'],
      [{ statusCode: 7 }, 'statusCode'],
      [{ details: [1] }, 'details'],
    ] as const) {
      const { userErrors } = await capture(who, input);
      expect([userErrors[0].code, userErrors[0].path]).toEqual(['VALIDATION_FAILED', ['input', path]]);
    }
    const small = createErrorCapture({
      sql: rig.sql,
      bus: rig.bus,
      prepare: () => new Promise(() => {}),
      capacity: 2,
      flushMs: 60_000,
    });
    const error = {
      ...classify('CONFLICT'),
      tenantId: 't',
      id: crypto.randomUUID(),
      atMs: 0,
      fingerprint: '0',
      code: 'CONFLICT',
      message: 'm',
      module: 'm',
      operation: null,
      correlationId: null,
      traceId: null,
      userId: null,
      details: {},
      stack: null,
    };
    expect([small.add(error), small.add(error), small.add(error), small.dropped]).toEqual([true, true, false, 1]);
  });

  it('of every code of the table have a class', () => {
    for (const [code, { status, retryable }] of Object.entries(errorTable)) {
      const { statusCode, recoverable, category } = classify(code);
      expect([code, statusCode, recoverable]).toEqual([code, status, retryable]);
      if (category === 'SYSTEM') expect([code, status >= 500]).toEqual([code, true]);
    }
    expect(classify('SOME_TIMEOUT')).toMatchObject({ category: 'EXTERNAL', recoverable: true, recovery: 'RETRY' });
  });
});
