import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import { startLogWriter } from '#shared/logs/writer.ts';
import { createSql } from '#shared/sql.ts';
import { type Json, openPlatformRig, operators, type PlatformRig, somebody } from '../observeRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const prepare = async () => {};
const errors = 'userErrors { code message path }';
const write = (who: ReturnType<typeof somebody>, input: object): Promise<Json> =>
  rig.ask(who, `mutation ($input: PlatformLogInput!) { writeLog(input: $input) { accepted id ${errors} } }`, { input });
const writeMany = (who: ReturnType<typeof somebody>, inputs: readonly object[]): Promise<Json> =>
  rig.ask(
    who,
    `mutation ($inputs: [PlatformLogInput!]!) { writeLogs(inputs: $inputs) { accepted belowLevel dropped ${errors} } }`,
    { inputs },
  );
const fields = 'id timestamp level message module operation correlationId traceId spanId userId metadata stack';
const read = async (who: ReturnType<typeof somebody>, filter: object = {}, more = ''): Promise<Json> =>
  rig.ask(
    who,
    `query ($filter: PlatformLogFilter) { logs(filter: $filter ${more}) { nodes { ${fields} } pageInfo { hasNextPage endCursor } } }`,
    { filter },
  );
const messages = async (who: ReturnType<typeof somebody>, filter: object = {}): Promise<string[]> =>
  (await read(who, filter)).nodes.map(({ message }: Json) => message);

describe('log', () => {
  it('keeps what a tenant writes, for that tenant alone, without its secrets', async () => {
    const [one, two] = [somebody(), somebody()];
    const { accepted, id, userErrors } = await write(one, {
      level: 'ERROR',
      message: 'refused Bearer abcdef',
      module: 'shop',
      operation: 'buy',
      metadata: { password: 'x', count: 2 },
      stack: 'at here',
    });
    expect([accepted, userErrors]).toEqual([true, []]);
    await rig.logs.writer.flush();
    const { nodes } = await read(one);
    expect(nodes).toEqual([
      {
        id,
        timestamp: expect.any(String),
        level: 'ERROR',
        message: 'refused [redacted]',
        module: 'shop',
        operation: 'buy',
        correlationId: 'asked',
        traceId: '1'.repeat(32),
        spanId: '2'.repeat(16),
        userId: 'alice',
        metadata: { password: '[redacted]', count: 2 },
        stack: 'at here',
      },
    ]);
    expect(await rig.ask(one, `query ($id: ID!) { log(logId: $id) { message } }`, { id })).toEqual({
      message: 'refused [redacted]',
    });
    expect(await rig.ask(two, `query ($id: ID!) { log(logId: $id) { message } }`, { id })).toBeNull();
    expect((await read(two)).nodes).toEqual([]);
  });

  it('filters, and pages newest first without gap or repeat', async () => {
    const who = somebody();
    const at = Date.now() - 60_000;
    await writeMany(
      who,
      Array.from({ length: 25 }, (_, n) => ({
        level: n % 5 === 0 ? 'ERROR' : 'INFO',
        message: `message ${n} of 100%`,
        module: n % 2 === 0 ? 'even' : 'odd',
        correlationId: `c${n % 3}`,
        // Five of each instant: the order of writing tells them apart.
        timestamp: new Date(at + Math.floor(n / 5)).toISOString(),
      })),
    );
    await rig.logs.writer.flush();
    const seen: string[] = [];
    for (let after = ''; ; ) {
      const { nodes, pageInfo } = await read(who, {}, `first: 7 ${after}`.trim().replace(/^/, ', '));
      seen.push(...nodes.map(({ message }: Json) => message));
      if (!pageInfo.hasNextPage) break;
      after = `, after: "${pageInfo.endCursor}"`;
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => `message ${24 - n} of 100%`));
    expect(await messages(who, { minLevel: 'WARN', modules: ['even'] })).toEqual(
      [20, 10, 0].map((n) => `message ${n} of 100%`),
    );
    expect(await messages(who, { levels: ['ERROR'], correlationId: 'c0' })).toEqual([
      'message 15 of 100%',
      'message 0 of 100%',
    ]);
    expect(await messages(who, { text: '4 OF 100%' })).toEqual([
      'message 24 of 100%',
      'message 14 of 100%',
      'message 4 of 100%',
    ]);
    expect(await messages(who, { text: '4_of' })).toEqual([]);
    expect(
      await messages(who, { from: new Date(at + 3).toISOString(), to: new Date(at + 4).toISOString() }),
    ).toHaveLength(5);
  });

  it('counts by minute, level and module, together with the records', async () => {
    const who = somebody();
    const minute = Math.floor(Date.now() / 60_000) * 60_000;
    const at = (minutes: number) => new Date(minute - minutes * 60_000).toISOString();
    const one = (level: string, module: string, minutes: number) => ({
      level,
      module,
      message: 'm',
      timestamp: at(minutes),
    });
    await writeMany(who, [
      one('INFO', 'a', 5),
      one('INFO', 'a', 5),
      one('ERROR', 'a', 5),
      one('INFO', 'b', 5),
      one('FATAL', 'b', 3),
    ]);
    await rig.logs.writer.flush();
    await write(who, one('INFO', 'a', 5));
    await rig.logs.writer.flush();
    const count = (groups: string, filter = '') =>
      rig.ask(
        who,
        `{ logAggregation(groupBy: [${groups}] ${filter}) { total buckets { start level module count perSecond errorShare } } }`,
      );
    expect(
      (await count('LEVEL, MODULE')).buckets.map(({ level, module, count: n }: Json) => [level, module, n]),
    ).toEqual([
      ['INFO', 'a', 3],
      ['INFO', 'b', 1],
      ['ERROR', 'a', 1],
      ['FATAL', 'b', 1],
    ]);
    const { total, buckets } = await count('');
    expect([total, buckets]).toEqual([
      6,
      [
        { start: at(5), level: null, module: null, count: 5, perSecond: 5 / 60, errorShare: 0.2 },
        { start: at(3), level: null, module: null, count: 1, perSecond: 1 / 60, errorShare: 1 },
      ],
    ]);
    expect((await count('', ', filter: { modules: ["b"], levels: [INFO] }')).total).toBe(1);
    await expect(count('', ', filter: { from: "2020-01-01T00:00:00.000Z" }')).rejects.toThrow('at most 1500 intervals');
  });

  it('refuses what breaks a rule, all of a call or none', async () => {
    const who = somebody();
    for (const [input, path] of [
      [{ message: '', module: 'm' }, 'message'],
      [{ message: 'm', module: 'no such name!' }, 'module'],
      [{ message: 'm', module: 'm', traceId: 'ABC' }, 'traceId'],
      [{ message: 'a\0b', module: 'm' }, 'message'],
      [{ message: 'm', module: 'm', metadata: ['no object'] }, 'metadata'],
      [{ message: 'm', module: 'm', metadata: { text: 'x'.repeat(20_000) } }, 'metadata'],
      [{ message: 'm', module: 'm', timestamp: '2020-01-01T00:00:00.000Z' }, 'timestamp'],
    ] as const) {
      const { userErrors } = await write(who, input);
      expect([userErrors[0].code, userErrors[0].path]).toEqual(['VALIDATION_FAILED', ['input', path]]);
    }
    const many = await writeMany(who, [
      { message: 'good', module: 'm' },
      { message: '', module: 'm' },
    ]);
    expect(many.userErrors[0].path).toEqual(['inputs', '1', 'message']);
    const empty = await writeMany(who, []);
    expect(empty.userErrors[0].code).toBe('VALIDATION_FAILED');
    await rig.logs.writer.flush();
    expect(await messages(who)).toEqual([]);
    await expect(
      rig.ask(somebody('t', ['log:read']), 'mutation { writeLog(input: { message: "m", module: "m" }) { id } }'),
    ).rejects.toThrow('log:write');
  });

  it('keeps records from a level on for as long as it was told, and sets the loggers of the operators', async () => {
    const [who, other, operator] = [somebody(), somebody(), somebody(operators)];
    const set = (
      by: typeof who,
      module: string,
      level: string,
      ttlMs: number,
      key: string | null = null,
    ): Promise<Json> =>
      rig.ask(
        by,
        `mutation ($module: String!, $level: PlatformLogLevel!, $ttlMs: DurationMs!, $key: String) {
           setLogLevel(module: $module, level: $level, ttlMs: $ttlMs, idempotencyKey: $key) { rule { module level expiresAt setBy } ${errors} } }`,
        { module, level, ttlMs, key },
      );
    const first = await set(who, 'shop', 'WARN', 1_500, 'key');
    expect(await set(who, 'shop', 'WARN', 1_500, 'key')).toEqual(first);
    expect((await set(who, 'shop', 'INFO', 1_500, 'key')).userErrors[0].code).toBe('IDEMPOTENCY_MISMATCH');
    expect((await set(who, 'shop', 'WARN', 10)).userErrors[0].code).toBe('VALIDATION_FAILED');
    const info = { level: 'INFO', message: 'told', module: 'shop' };
    await expect.poll(async () => (await write(who, info)).accepted).toBe(false);
    expect((await write(other, info)).accepted).toBe(true);
    expect(await writeMany(who, [info, { ...info, level: 'WARN' }])).toMatchObject({ accepted: 1, belowLevel: 1 });
    await expect.poll(async () => (await write(who, info)).accepted, { timeout: 5_000 }).toBe(true);

    const logger = rig.logger.child({ module: 'plan' });
    rig.logs.levels.register('plan', logger);
    await set(who, 'plan', 'DEBUG', 5_000);
    await set(operator, 'plan', 'DEBUG', 1_200);
    await expect.poll(() => logger.level).toBe('debug');
    logger.debug({ token: 'x' }, 'seen while it lasts');
    await expect.poll(() => logger.level, { timeout: 5_000 }).toBe('warn');
    logger.debug('no more');
    rig.logger.error({ error: 'Error: e\n  at f' }, 'of the process');
    await rig.logs.writer.flush();
    expect(
      (await read(operator, { modules: ['plan', 'process'] })).nodes.map(({ message, stack, metadata }: Json) => [
        message,
        stack,
        metadata,
      ]),
    ).toEqual([
      ['of the process', 'Error: e\n  at f', { error: 'Error: e\n  at f' }],
      ['seen while it lasts', null, { token: '[redacted]' }],
    ]);
    expect(await messages(who, { modules: ['plan', 'process'] })).toEqual([]);
    expect(await rig.ask(operator, '{ logLevels { module level setBy } }')).toEqual([]);
  });

  it('keeps in memory what the database does not take, severe records all of them, and stores them when it does', async () => {
    const buffer = createLogBuffer({ capacity: 10 });
    const gone = createSql('postgres://nobody@127.0.0.1:1/none', { applicationName: 'gone', max: 1 });
    const bus = { publish: () => {} };
    const down = startLogWriter({ buffer, sql: gone, bus, operatorTenant: operators, prepare, retryMs: 10 });
    const line = (level: number, n: number) =>
      `{"level":${level},"time":"${new Date().toISOString()}","module":"outage","msg":"${level} ${n}"}`;
    for (let n = 0; n < 30; n += 1) {
      buffer.line(line(30, n));
      buffer.line(line(40, n));
    }
    await down.flush();
    await down.close(50);
    await gone.end({ timeout: 0 });
    expect([buffer.size, buffer.dropped]).toEqual([40, 20]);
    const up = startLogWriter({ buffer, sql: rig.sql, bus, operatorTenant: operators, prepare });
    await up.close();
    const [row] =
      await rig.sql`SELECT count(*) FILTER (WHERE level = 40)::int AS severe, count(*) FILTER (WHERE level = 30)::int AS light
      FROM platform.log WHERE tenant_id = ${operators} AND module = 'outage'`;
    expect(row).toEqual({ severe: 30, light: 10 });
  });

  it('tells of records that were dropped', async () => {
    const buffer = createLogBuffer({ capacity: 3 });
    for (let n = 0; n < 8; n += 1)
      buffer.line(`{"level":20,"time":"${new Date().toISOString()}","module":"flood","msg":"${n}"}`);
    const writer = startLogWriter({
      buffer,
      sql: rig.sql,
      bus: { publish: () => {} },
      operatorTenant: 'flooded',
      prepare,
    });
    await writer.close();
    expect(await messages(somebody('flooded'))).toEqual([
      '5 records below WARN were dropped: the buffer was full',
      '2',
      '1',
      '0',
    ]);
  });
});
