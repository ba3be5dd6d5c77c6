import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CapturedError, createErrorCapture } from '#shared/errorCapture/capture.ts';
import { classify } from '#shared/errorCapture/classify.ts';
import type { EphemeralEvent } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import type { LogRecord } from '#shared/logs/record.ts';
import { startLogWriter } from '#shared/logs/writer.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';

const hourMs = 3_600_000;

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'lost-answer-test', max: 2 });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

/** The database, whose first `count` answers to what is written are lost after it came about. */
function losing(count: number): Sql {
  let left = count;
  const lose = async <T>(work: Promise<T>): Promise<T> => {
    const answer = await work;
    if (left <= 0) return answer;
    left -= 1;
    throw Object.assign(new Error('connection closed'), { code: 'CONNECTION_CLOSED' });
  };
  return new Proxy(sql, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (name === 'begin') return (work: never) => lose(target.begin(work) as Promise<unknown>);
      if (name === 'unsafe')
        return (text: string, ...rest: never[]) =>
          text.includes('INSERT') ? lose(target.unsafe(text, ...rest) as never) : target.unsafe(text, ...rest);
      return value;
    },
  });
}

function collecting() {
  const told: EphemeralEvent[] = [];
  return { told, publish: (events: readonly EphemeralEvent[]) => void told.push(...events) };
}

const recordOf = (tenantId: string, message: string, level = 30): LogRecord => ({
  ...{ tenantId, id: newId(), atMs: Date.now(), level, message, module: 'lost', operation: null, correlationId: null },
  ...{ traceId: null, spanId: null, userId: null, metadata: {}, stack: null },
});

describe('logs', () => {
  const open = (db: Sql) => {
    const buffer = createLogBuffer();
    const bus = collecting();
    const failures: string[] = [];
    const writer = startLogWriter({
      ...{
        buffer,
        bus,
        sql: db,
        prepare: async () => {},
        operatorTenant: 'operators',
        flushMs: hourMs,
        retryMs: hourMs,
      },
      onFailure: ({ message }) => failures.push(message),
    });
    return { buffer, writer, failures, told: bus.told };
  };
  const messagesOf = async (tenantId: string) =>
    (
      await sql<{ message: string }[]>`SELECT message FROM platform.log WHERE tenant_id = ${tenantId} ORDER BY ordinal`
    ).map(({ message }) => message);
  const countOf = async (tenantId: string) =>
    (await sql<{ n: number }[]>`SELECT sum(count)::int AS n FROM platform.log_rollup WHERE tenant_id = ${tenantId}`)[0]!
      .n;

  it('whose answer is lost are stored, counted and told once, and those after them too', async () => {
    const { buffer, writer, failures, told } = open(losing(2));
    for (const message of ['one', 'two']) buffer.add(recordOf('lost', message));
    buffer.add(recordOf('lost', 'written as an error', 50));
    const line = { level: 50, time: Date.now(), msg: 'a process failed', tenantId: 'lost' };
    buffer.line(JSON.stringify(line));
    await writer.flush();
    expect([buffer.size, told.length, failures]).toEqual([4, 0, []]);
    for (const message of ['three', 'four']) buffer.add(recordOf('lost', message));
    // The second answer is lost as well: of the four that were there nothing is written again.
    await writer.flush();
    await writer.flush();
    const stored = [...(await messagesOf('lost')), ...(await messagesOf('operators'))];
    expect(stored.toSorted()).toEqual(
      ['one', 'two', 'written as an error', 'a process failed', 'three', 'four'].toSorted(),
    );
    expect((await countOf('lost')) + ((await countOf('operators')) ?? 0)).toBe(6);
    expect([buffer.size, told.length, failures]).toEqual([0, 6, ['a process failed']]);
    await writer.close();
  });

  it('that came in twice are stored once and hold nothing up', async () => {
    const { buffer, writer } = open(sql);
    const record = recordOf('twice', 'same');
    for (const one of [record, record, recordOf('twice', 'other')]) buffer.add(one);
    await writer.flush();
    expect([buffer.size, (await messagesOf('twice')).toSorted()]).toEqual([0, ['other', 'same']]);
    await writer.close();
  });
});

describe('captured errors', () => {
  const errorOf = (tenantId: string, message: string): CapturedError => ({
    ...classify('CONFLICT'),
    ...{ tenantId, id: newId(), atMs: Date.now(), fingerprint: 'f', code: 'CONFLICT', message, module: 'lost' },
    ...{ operation: null, correlationId: null, traceId: null, userId: null, details: {}, stack: null },
  });
  const open = (db: Sql) => {
    const bus = collecting();
    const capture = createErrorCapture({ bus, sql: db, prepare: async () => {}, flushMs: hourMs });
    return { capture, told: bus.told };
  };
  const stateOf = async (tenantId: string) => {
    const rows = await sql<{ message: string }[]>`SELECT message FROM platform.error WHERE tenant_id = ${tenantId}`;
    const [group] = await sql<{ count: number }[]>`
      SELECT count::int AS count FROM platform.error_group WHERE tenant_id = ${tenantId}`;
    return { messages: rows.map(({ message }) => message).toSorted(), counted: group!.count };
  };

  it('whose answer is lost are stored, counted and told once, and those after them too', async () => {
    const { capture, told } = open(losing(1));
    for (const message of ['one', 'two']) capture.add(errorOf('lost', message));
    await capture.flush();
    expect(told).toEqual([]);
    capture.add(errorOf('lost', 'three'));
    await capture.flush();
    expect(await stateOf('lost')).toEqual({ messages: ['one', 'three', 'two'], counted: 3 });
    expect([told.length, capture.dropped]).toEqual([3, 0]);
    await capture.close();
  });

  it('that the database refuses for what stands in them are dropped alone', async () => {
    const { capture, told } = open(sql);
    for (const message of ['one', 'a\u0000b', 'two', 'three']) capture.add(errorOf('refused', message));
    await capture.flush();
    expect(await stateOf('refused')).toEqual({ messages: ['one', 'three', 'two'], counted: 3 });
    expect([told.length, capture.dropped]).toEqual([3, 1]);
    await capture.close();
  });
});
