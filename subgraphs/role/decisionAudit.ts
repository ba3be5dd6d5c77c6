import { runForAll } from '#shared/cancellation.ts';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { Publisher } from '#shared/publisher.ts';
import type { Sql } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { createAccessNews } from './accessNews.ts';
import { suspiciousEvent } from './events.ts';
import type { PermissionAuditEntryRow } from './rows.ts';

export interface DecisionAuditDeps {
  readonly sql: Sql;
  readonly logger: Logger;
  /** Tells everyone of what the audit found. @default nobody before the event is read from its table */
  readonly publisher?: Pick<Publisher, 'published'> | undefined;
  /** Decisions that wait at most; while so many wait, `record` answers a promise to wait for. @default 20,000 */
  readonly maxWaiting?: number;
  /** Denials of a subject within the window that are told as suspicious. @default 10 */
  readonly suspiciousDenials?: number;
  /** Milliseconds between two events of a kind about one subject; 0: none. @default 60,000 */
  readonly accessNewsMs?: number;
}

export type AuditedDecision = Omit<PermissionAuditEntryRow, 'id' | 'createdAt'>;

/** Writes decisions down after they were given, in batches. */
export interface DecisionAudit {
  /** Never waits while the buffer has room; the promise resolves when it has room again. */
  record(decision: AuditedDecision): void | Promise<void>;
  /** Resolves when everything recorded before the call is stored. @throws what kept it from being stored. */
  flush(): Promise<void>;
  /** Decisions that wait to be stored. */
  readonly waiting: number;
  /** Stores what waits, trying for ten seconds; what cannot be stored goes to the log in full. */
  close(): Promise<void>;
}

const flushEveryMs = 250;
const batchSize = 1_000;
const windowMs = 300_000;
const maxWindows = 20_000;
const closeForMs = 10_000;

interface Window {
  readonly sinceMs: number;
  count: number;
}

export function createDecisionAudit(deps: DecisionAuditDeps): DecisionAudit {
  const { sql, logger, maxWaiting = 20_000, suspiciousDenials = 10, accessNewsMs = 60_000 } = deps;
  const news = createAccessNews({ everyMs: accessNewsMs });
  let waiting: PermissionAuditEntryRow[] = [];
  let writing: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;
  /** Denials of each subject since the beginning of its window. */
  const windows = new Map<string, Window>();

  async function store(batch: readonly PermissionAuditEntryRow[]): Promise<void> {
    const access = news.of(batch);
    const changes = [...findSuspicious(batch), ...access.changes];
    const events = (await sql.begin(async (tx) => {
      await tx.unsafe(
        `INSERT INTO role.decision (tenant_id, id, subject_id, asked_by, source, action, resource_type, resource_id, context_id, decision, reason, granting_role_id, permission_id, evaluation_us, created_at)
         SELECT * FROM json_to_recordset($1::text::json) AS x("tenantId" text, id uuid, "subjectId" text, "askedBy" text, source text, action text, "resourceType" text, "resourceId" text, "contextId" text, decision text, reason text, "grantingRoleId" text, "permissionId" text, "evaluationUs" int, "createdAt" timestamptz)`,
        [JSON.stringify(batch)],
        { prepare: true },
      );
      return changes.length === 0 ? [] : appendChange(tx, 'role', changes);
    })) as readonly EventRow[];
    access.told();
    for (const { tenantId, subjectId } of batch.filter(({ decision }) => decision === 'DENY'))
      note(tenantId, subjectId);
    await deps.publisher?.published(events);
  }

  const keyOf = (tenantId: string, subjectId: string) => `${tenantId}/${subjectId}`;

  function findSuspicious(batch: readonly PermissionAuditEntryRow[]): Change[] {
    const denied = Map.groupBy(
      batch.filter(({ decision }) => decision === 'DENY'),
      ({ tenantId, subjectId }) => keyOf(tenantId, subjectId),
    );
    return [...denied].flatMap(([key, entries]): Change[] => {
      const known = windows.get(key);
      const before = known === undefined || Date.now() - known.sinceMs > windowMs ? 0 : known.count;
      const { tenantId, subjectId } = entries[0]!;
      const after = before + entries.length;
      if (before >= suspiciousDenials || after < suspiciousDenials) return [];
      return [{ tenantId, actor: subjectId, events: [suspiciousEvent(subjectId, after, entries.at(-1)!)] }];
    });
  }

  function note(tenantId: string, subjectId: string): void {
    const key = keyOf(tenantId, subjectId);
    const known = windows.get(key);
    if (known !== undefined && Date.now() - known.sinceMs <= windowMs) known.count += 1;
    else {
      windows.delete(key);
      windows.set(key, { sinceMs: Date.now(), count: 1 });
    }
    if (windows.size > maxWindows) windows.delete(windows.keys().next().value!);
  }

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchSize);
      await store(batch);
      // Taken out once stored: what fails stays in front and is tried again.
      waiting = waiting.slice(batch.length);
    }
  }

  function flush(): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    writing ??= runForAll(write).finally(() => {
      writing = null;
    });
    return writing;
  }

  function schedule(): void {
    timer ??= setTimeout(() => {
      timer = null;
      flush().catch((error: unknown) => {
        logger.warn({ waiting: waiting.length, error: String(error) }, 'decisions cannot be stored; they wait');
        schedule();
      });
    }, flushEveryMs);
  }

  return {
    record(decision) {
      waiting.push({ ...decision, id: newId(), createdAt: new Date().toISOString() });
      if (waiting.length < maxWaiting) {
        schedule();
        return;
      }
      return flush();
    },
    async flush() {
      // What is being written may have begun before the last record: a second pass takes that along.
      await writing;
      await flush();
    },
    get waiting() {
      return waiting.length;
    },
    async close() {
      const untilMs = Date.now() + closeForMs;
      for (;;) {
        try {
          await writing;
          await flush();
          if (timer !== null) clearTimeout(timer);
          return;
        } catch (error) {
          if (Date.now() > untilMs) {
            logger.error({ error: String(error), decisions: waiting }, 'decisions could not be stored');
            return;
          }
          await new Promise((resolve) => setTimeout(resolve, flushEveryMs));
        }
      }
    },
  };
}
