import { AsyncLocalStorage } from 'node:async_hooks';
import type { Bus } from '../bus.ts';
import { derivedId } from '../derivedId.ts';
import type { EphemeralEvent } from '../events.ts';
import { newId } from '../ids.ts';
import type { LogRecord } from '../logs/record.ts';
import { findStored } from '../logs/storedRecords.ts';
import type { Sql } from '../sql.ts';
import { type Classified, classify, fingerprintOf } from './classify.ts';
import { type GroupNews, notifyOfGroups } from './notifyOfGroups.ts';

export interface CapturedError extends Classified {
  readonly tenantId: string;
  readonly id: string;
  readonly atMs: number;
  readonly fingerprint: string;
  readonly code: string;
  readonly message: string;
  readonly module: string;
  readonly operation: string | null;
  readonly correlationId: string | null;
  readonly traceId: string | null;
  readonly userId: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly stack: string | null;
}

export const capturedType = 'platform.error.captured';
/** The errors of a tenant as they come. */
export const errorStream = (tenantId: string) => derivedId(`errors ${tenantId}`);

export interface ErrorCaptureOptions {
  /** Database of the platform module. */
  readonly sql: Sql;
  readonly bus: Pick<Bus, 'publish'>;
  readonly prepare: () => Promise<void>;
  /** Errors that wait at most: further ones are dropped and counted. @default 10_000 */
  readonly capacity?: number;
  /** Longest an error waits for company, ms. @default 20 */
  readonly flushMs?: number;
}

export interface ErrorCapture {
  /** Takes an error. False where it was dropped. Never waits. */
  add(error: CapturedError): boolean;
  /** What a process logs as a failure with its stack is captured too. */
  addLogged(record: LogRecord & { readonly tenantId: string }): void;
  flush(): Promise<void>;
  close(): Promise<void>;
  readonly dropped: number;
}

const maxErrors = 500;
const maxTold = 200;
const retryMs = 500;

const columns =
  'tenant_id, id, at, fingerprint, code, message, severity, category, module, operation, correlation_id, trace_id, user_id, recoverable, status_code, details, stack';
const store = `
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::text::json) AS r(ord int, tenant_id text, id uuid, at timestamptz, fingerprint text, code text, message text,
    severity text, category text, module text, operation text, correlation_id text, trace_id text, user_id text, recoverable boolean,
    status_code int, details jsonb, stack text)
), stored AS (
  INSERT INTO platform.error (${columns}) SELECT ${columns} FROM given ORDER BY ord
)
INSERT INTO platform.error_group AS g (tenant_id, fingerprint, code, message, severity, category, module, operation, count, first_seen, last_seen, news)
SELECT DISTINCT ON (tenant_id, fingerprint) tenant_id, fingerprint, code, message, severity, category, module, operation,
  count(*) OVER w, min(at) OVER w, max(at) OVER w, $2::text::uuid
FROM given WINDOW w AS (PARTITION BY tenant_id, fingerprint) ORDER BY tenant_id, fingerprint, ord DESC
ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET count = g.count + EXCLUDED.count, last_seen = greatest(g.last_seen, EXCLUDED.last_seen),
  message = EXCLUDED.message, severity = EXCLUDED.severity, regressions = g.regressions + (g.status = 'RESOLVED')::int,
  news = CASE WHEN g.status = 'RESOLVED' THEN EXCLUDED.news ELSE g.news END,
  status = CASE WHEN g.status = 'RESOLVED' THEN 'OPEN' ELSE g.status END, revision = g.revision + 1
RETURNING tenant_id AS "tenantId", fingerprint, regressions, news = $2::text::uuid AS "isNews"`;

/** Takes errors from whoever sees them, and stores them in groups behind them. */
export function createErrorCapture(options: ErrorCaptureOptions): ErrorCapture {
  const { sql, bus, prepare, capacity = 10_000, flushMs = 20 } = options;
  let waiting: CapturedError[] = [];
  let dropped = 0;
  // What is stored belongs to no request, though one may have set it off: neither its trace nor its end concern it.
  const outside = AsyncLocalStorage.snapshot();
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<boolean> | null = null;
  let closed = false;

  function schedule(delayMs: number): void {
    if (timer !== null || closed) return;
    timer = outside(() =>
      setTimeout(() => {
        timer = null;
        void run();
      }, delayMs),
    );
    timer.unref();
  }

  async function writeOnce(): Promise<boolean> {
    const taken = waiting.slice(0, maxErrors);
    if (taken.length === 0) return true;
    waiting = waiting.slice(taken.length);
    const settled = new Set<CapturedError>();
    try {
      await prepare();
      await storeAll(taken, settled);
      return true;
    } catch {
      waiting = [...taken.filter((error) => !settled.has(error)), ...waiting];
      return false;
    }
  }

  /** An error that the server refuses for what stands in it must not take the others with it. */
  async function storeAll(errors: readonly CapturedError[], settled: Set<CapturedError>): Promise<void> {
    const settle = (some: readonly CapturedError[]) => {
      for (const error of some) settled.add(error);
      bus.publish(some.slice(-maxTold).map(toEvent));
    };
    try {
      await sql.begin(async (tx) => {
        const groups = (await tx.unsafe(store, [JSON.stringify(errors.map(toRow)), newId()], {
          prepare: true,
        })) as unknown as (GroupNews & {
          isNews: boolean;
        })[];
        const news = groups.filter(({ isNews }) => isNews);
        if (news.length > 0) await notifyOfGroups(tx, news);
      });
      settle(errors);
    } catch (error) {
      const code = String((error as { code?: unknown }).code);
      if (code === '23505') {
        // With their groups and notifications: all of it was one transaction.
        const stored = await findStored(sql, 'platform.error', errors);
        settle(errors.filter(({ id }) => stored.has(id)));
        const left = errors.filter(({ id }) => !stored.has(id));
        if (stored.size > 0) return left.length === 0 ? undefined : storeAll(left, settled);
        if (errors.length === 1) throw error;
      } else if (!code.startsWith('22')) throw error;
      if (errors.length === 1) {
        settled.add(errors[0]!);
        dropped += 1;
        return;
      }
      const middle = errors.length >> 1;
      await storeAll(errors.slice(0, middle), settled);
      await storeAll(errors.slice(middle), settled);
    }
  }

  function run(): Promise<boolean> {
    writing ??= writeOnce().then((stored) => {
      writing = null;
      if (waiting.length > 0) schedule(stored ? 0 : retryMs);
      return stored;
    });
    return writing;
  }

  async function flush(): Promise<void> {
    while (writing !== null || waiting.length > 0) if (!(await run())) return;
  }

  const capture: ErrorCapture = {
    add(error) {
      if (waiting.length >= capacity) {
        dropped += 1;
        return false;
      }
      waiting.push(error);
      schedule(flushMs);
      return true;
    },
    addLogged(record) {
      const { tenantId, atMs, module, operation, correlationId, traceId, userId, metadata, stack } = record;
      if (stack === null) return;
      const said = metadata['code'];
      const code = typeof said === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(said) ? said : 'INTERNAL_ERROR';
      const message = stack.split('\n')[0]!;
      const path = metadata['path'];
      const place = operation ?? (Array.isArray(path) && typeof path[0] === 'string' ? path[0] : null);
      const { error: _error, ...details } = metadata;
      const fingerprint = fingerprintOf({ code, module, operation: place, message, stack });
      capture.add({
        ...classify(code),
        tenantId,
        id: newId(),
        atMs,
        fingerprint,
        code,
        message,
        module,
        operation: place,
        correlationId,
        traceId,
        userId,
        details: { ...details, logged: record.message },
        stack,
      });
    },
    flush,
    async close() {
      await flush();
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await writing;
    },
    get dropped() {
      return dropped;
    },
  };
  return capture;
}

function toRow(error: CapturedError, ord: number): Record<string, unknown> {
  return {
    ord,
    tenant_id: error.tenantId,
    id: error.id,
    at: new Date(error.atMs).toISOString(),
    fingerprint: error.fingerprint,
    code: error.code,
    message: error.message,
    severity: error.severity,
    category: error.category,
    module: error.module,
    operation: error.operation,
    correlation_id: error.correlationId,
    trace_id: error.traceId,
    user_id: error.userId,
    recoverable: error.recoverable,
    status_code: error.statusCode,
    details: error.details,
    stack: error.stack,
  };
}

function toEvent(error: CapturedError): EphemeralEvent {
  return {
    tenantId: error.tenantId,
    module: 'platform',
    streamId: errorStream(error.tenantId),
    type: capturedType,
    actor: error.userId ?? 'platform',
    data: { error },
    createdAt: new Date(error.atMs).toISOString(),
  };
}
