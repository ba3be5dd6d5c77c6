import { runForAll } from './cancellation.ts';
import { appendChange, type Change } from './outbox.ts';
import type { Sql } from './sql.ts';
import type { Logger } from './telemetry.ts';

/** Who was let in, or was not. */
export interface AccessEntry {
  readonly tenantId: string;
  readonly actor: string;
  readonly action: 'authentication.accepted' | 'authentication.refused' | 'access.refused';
  readonly resource: 'Token' | 'Operation';
  /** Id of the token, address, or root field. */
  readonly resourceId: string;
  readonly traceparent?: string | undefined;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface AccessAudit {
  /** Never waits. */
  note(entry: AccessEntry): void;
  close(): Promise<void>;
}

export interface AccessAuditOptions {
  /** Database of the platform module. */
  readonly sql: Sql;
  readonly logger: Pick<Logger, 'warn'>;
  /** Time in which entries alike become one row with their `count`, ms. @default 1_000 */
  readonly flushMs?: number;
}

/** Rows written at a time: whoever tries more than this in a second is told of by number alone. */
const maxRows = 500;

/**
 * Writes authentications and refusals into the audit, where they are sealed as changes are. Entries alike within a second
 * become one row, so that who knocks a thousand times costs a row and no thousand.
 */
export function createAccessAudit({ sql, logger, flushMs = 1_000 }: AccessAuditOptions): AccessAudit {
  let waiting = new Map<string, { readonly entry: AccessEntry; count: number }>();
  let dropped = 0;
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  function flush(): Promise<void> {
    const taken = waiting;
    const more = dropped;
    waiting = new Map();
    dropped = 0;
    if (taken.size === 0) return writing;
    writing = writing.then(() => write([...taken.values()], more));
    return writing;
  }

  async function write(entries: readonly { readonly entry: AccessEntry; readonly count: number }[], more: number) {
    const changes = entries.map(({ entry, count }, at): Change => {
      const { tenantId, actor, traceparent, action, resource, resourceId, detail } = entry;
      const told = { ...detail, count, ...(at === 0 && more > 0 ? { furtherEntries: more } : {}) };
      return { tenantId, actor, traceparent, events: [], audit: [{ action, resource, resourceId, detail: told }] };
    });
    try {
      await sql.begin((tx) => appendChange(tx, 'platform', changes));
    } catch (error) {
      logger.warn({ error: String(error), entries: entries.length }, 'who was let in could not be audited');
    }
  }

  return {
    note(entry) {
      const key = JSON.stringify([entry.tenantId, entry.actor, entry.action, entry.resourceId, entry.detail]);
      const known = waiting.get(key);
      if (known) known.count += 1;
      else if (waiting.size >= maxRows) dropped += 1;
      else waiting.set(key, { entry, count: 1 });
      timer ??= setTimeout(() => {
        timer = null;
        void runForAll(flush);
      }, flushMs).unref();
    },
    async close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      await flush();
    },
  };
}
