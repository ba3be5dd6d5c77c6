import { AsyncLocalStorage } from 'node:async_hooks';
import type { Bus } from '../bus.ts';
import { derivedId } from '../derivedId.ts';
import type { EphemeralEvent } from '../events.ts';
import { newId } from '../ids.ts';
import type { Sql } from '../sql.ts';
import type { BufferedLog, LogBuffer } from './buffer.ts';
import { readPinoLine } from './pinoLine.ts';
import { type LogRecord, levelName, loggedType, logLevels, type StoredLog } from './record.ts';
import { findStored } from './storedRecords.ts';

export interface LogWriterOptions {
  readonly buffer: LogBuffer;
  /** Database of the platform module. */
  readonly sql: Sql;
  /** Called before anything is stored; a throw puts it off. */
  readonly prepare: () => Promise<void>;
  /** Where stored records are told to who follows the log. */
  readonly bus: Pick<Bus, 'publish'>;
  /** Tenant of what the processes tell of themselves. */
  readonly operatorTenant: string;
  /** Told of records of the processes at ERROR and above, once they are stored. */
  readonly onFailure?: (record: LogRecord & { readonly tenantId: string }) => void;
  /** Longest a record waits for company, ms. @default 100 */
  readonly flushMs?: number;
  /** Records of one statement at most. @default 4_000 */
  readonly maxRecords?: number;
  /** Pause after a failed statement, ms. @default 500 */
  readonly retryMs?: number;
}

export interface LogWriter {
  /** Resolves when everything that was there is stored, or storing fails. */
  flush(): Promise<void>;
  /** Stores what is there, for `deadlineMs` at most. @default 5_000 */
  close(deadlineMs?: number): Promise<void>;
}

type OwnedRecord = LogRecord & { readonly tenantId: string };

/** Records of a tenant told to followers per statement; the rest is in the table only. */
const toldPerFlush = 200;

const columns =
  'tenant_id, id, at, level, module, operation, message, correlation_id, trace_id, span_id, user_id, metadata, stack';
const insert = `
WITH stored AS (
  INSERT INTO platform.log (${columns})
  SELECT ${columns} FROM json_to_recordset($1::text::json) AS r(ord int, tenant_id text, id uuid, at timestamptz, level smallint,
    module text, operation text, message text, correlation_id text, trace_id text, span_id text, user_id text, metadata jsonb, stack text)
  ORDER BY ord
)
INSERT INTO platform.log_rollup AS o (tenant_id, minute, module, level, count)
SELECT tenant_id, minute, module, level, count
FROM json_to_recordset($2::text::json) AS r(tenant_id text, minute timestamptz, module text, level smallint, count int)
ORDER BY tenant_id, minute, module, level
ON CONFLICT (tenant_id, minute, module, level) DO UPDATE SET count = o.count + EXCLUDED.count`;

/** The tail of a tenant's log. */
export const logStream = (tenantId: string) => derivedId(`log ${tenantId}`);

/**
 * Stores what the buffer holds, many records a statement, each with its count by minute, module and level. While the
 * database does not take them they stay in the buffer.
 */
export function startLogWriter(options: LogWriterOptions): LogWriter {
  const { buffer, sql, bus, prepare, operatorTenant, flushMs = 100, maxRecords = 4_000, retryMs = 500 } = options;
  // What is stored belongs to no request, though one may have set it off: neither its trace nor its end concern it.
  const outside = AsyncLocalStorage.snapshot();
  let timer: NodeJS.Timeout | null = null;
  /** What the timer is for. Only waiting for company is cut short: a database that refuses is left in peace. */
  let waitsFor: 'company' | 'turn' | 'retry' = 'company';
  let writing: Promise<boolean> | null = null;
  let toldDropped = 0;
  /** What tells of records that were dropped, until it is stored. */
  let loss: OwnedRecord | null = null;
  /** What processes tell of themselves, where it was put back: it keeps its id, by which it is found if it was stored. */
  const fromProcesses = new WeakSet<LogRecord>();
  let closed = false;

  function schedule(next: typeof waitsFor, delayMs: number): void {
    if (closed || (timer !== null && (waitsFor !== 'company' || next === 'company'))) return;
    if (timer !== null) clearTimeout(timer);
    waitsFor = next;
    timer = outside(() =>
      setTimeout(() => {
        timer = null;
        void run();
      }, delayMs),
    );
    timer.unref();
  }

  function withTenant(record: LogRecord): OwnedRecord {
    return { ...record, tenantId: record.tenantId ?? operatorTenant };
  }

  function ofProcess(record: LogRecord): OwnedRecord {
    const owned = withTenant(record);
    fromProcesses.add(owned);
    return owned;
  }

  function readAll(taken: readonly BufferedLog[]): readonly OwnedRecord[] {
    return taken.flatMap((one): OwnedRecord | readonly OwnedRecord[] => {
      if (typeof one !== 'string') return fromProcesses.has(one) ? (one as OwnedRecord) : withTenant(one);
      const read = readPinoLine(one);
      return read === null ? [] : ofProcess(read);
    });
  }

  /** What tenants write about themselves is no failure of a process. */
  function tellFailures(records: readonly OwnedRecord[]): void {
    if (!options.onFailure) return;
    for (const record of records)
      if (record.level >= logLevels.ERROR && fromProcesses.has(record)) options.onFailure(record);
  }

  /** A record that the server refuses for what stands in it must not hold up the others. */
  async function store(records: readonly OwnedRecord[], settled: Set<OwnedRecord>): Promise<void> {
    const settle = (some: readonly OwnedRecord[]) => {
      for (const record of some) settled.add(record);
      tell(some);
      tellFailures(some);
    };
    try {
      await sql.unsafe(insert, [JSON.stringify(records.map(toRow)), JSON.stringify(countsOf(records))], {
        prepare: true,
      });
      settle(records);
    } catch (error) {
      const code = String((error as { code?: unknown }).code);
      if (code === '23505') {
        const stored = await findStored(sql, 'platform.log', records);
        settle(records.filter(({ id }) => stored.has(id)));
        const left = records.filter(({ id }) => !stored.has(id));
        if (stored.size > 0) return left.length === 0 ? undefined : store(left, settled);
        if (records.length === 1) throw error;
      } else if (!code.startsWith('22')) throw error;
      if (records.length === 1) return void settled.add(records[0]!);
      const middle = records.length >> 1;
      await store(records.slice(0, middle), settled);
      await store(records.slice(middle), settled);
    }
  }

  function tell(records: readonly OwnedRecord[]): void {
    bus.publish(
      records.slice(-toldPerFlush).map((record): EphemeralEvent => {
        const { atMs, level, ...rest } = record;
        const log: StoredLog = { ...rest, timestamp: new Date(atMs).toISOString(), level: levelName(level) };
        return {
          tenantId: record.tenantId,
          module: 'platform',
          streamId: logStream(record.tenantId),
          type: loggedType,
          actor: record.userId ?? 'platform',
          data: { log },
          createdAt: log.timestamp,
        };
      }),
    );
  }

  /** False where the database took nothing. */
  async function writeOnce(): Promise<boolean> {
    const taken = buffer.take(maxRecords);
    if (taken.length === 0) return true;
    const { dropped } = buffer;
    const read = readAll(taken);
    if (loss === null && dropped > toldDropped) {
      loss = ofProcess(lossOf(dropped - toldDropped));
      toldDropped = dropped;
    }
    const records = loss === null ? read : [...read, loss];
    const settled = new Set<OwnedRecord>();
    try {
      await prepare();
      await store(records, settled);
      return true;
    } catch {
      buffer.putBack(read.filter((record) => !settled.has(record)));
      return false;
    } finally {
      if (loss !== null && settled.has(loss)) loss = null;
    }
  }

  /** One statement at a time: what comes meanwhile shares the next. */
  function run(): Promise<boolean> {
    writing ??= writeOnce().then((stored) => {
      writing = null;
      if (!stored) schedule('retry', retryMs);
      // What began to wait meanwhile goes on waiting, unless it fills a statement.
      else if (buffer.size >= maxRecords || (buffer.size > 0 && timer === null)) schedule('turn', 0);
      return stored;
    });
    return writing;
  }

  async function flush(): Promise<void> {
    while (writing !== null || buffer.size > 0) if (!(await run())) return;
  }

  buffer.onPending = (isSevere) => {
    if (writing === null && buffer.size >= maxRecords) schedule('turn', 0);
    else schedule('company', isSevere ? Math.min(flushMs, 20) : flushMs);
  };
  if (buffer.size > 0) schedule('turn', 0);
  return {
    flush,
    async close(deadlineMs = 5_000) {
      buffer.onPending = null;
      const deadline = Date.now() + deadlineMs;
      while (buffer.size > 0 && Date.now() < deadline) {
        await flush();
        if (buffer.size > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(retryMs, 100)));
      }
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await writing;
    },
  };
}

function toRow(record: LogRecord, ord: number): Record<string, unknown> {
  return {
    ord,
    tenant_id: record.tenantId,
    id: record.id,
    at: new Date(record.atMs).toISOString(),
    level: record.level,
    module: record.module,
    operation: record.operation,
    message: record.message,
    correlation_id: record.correlationId,
    trace_id: record.traceId,
    span_id: record.spanId,
    user_id: record.userId,
    metadata: record.metadata,
    stack: record.stack,
  };
}

function countsOf(records: readonly LogRecord[]): readonly Record<string, unknown>[] {
  const counts = new Map<string, Record<string, unknown> & { count: number }>();
  for (const { tenantId, atMs, module, level } of records) {
    const minute = new Date(Math.floor(atMs / 60_000) * 60_000).toISOString();
    const key = JSON.stringify([tenantId, minute, module, level]);
    const known = counts.get(key);
    if (known) known.count += 1;
    else counts.set(key, { tenant_id: tenantId, minute, module, level, count: 1 });
  }
  return [...counts.values()];
}

function lossOf(count: number): LogRecord {
  return {
    tenantId: null,
    id: newId(),
    atMs: Date.now(),
    level: logLevels.WARN,
    message: `${count} records below WARN were dropped: the buffer was full`,
    module: 'platform',
    operation: null,
    correlationId: null,
    traceId: null,
    spanId: null,
    userId: null,
    metadata: { dropped: count },
    stack: null,
  };
}
