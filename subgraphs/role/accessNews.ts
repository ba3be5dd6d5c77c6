import { createLru } from '#shared/lru.ts';
import type { Change } from '#shared/outbox.ts';
import { accessEvent } from './events.ts';
import type { PermissionAuditEntryRow } from './rows.ts';

export interface AccessNewsOptions {
  /** Milliseconds between two events of a kind about one subject; 0: none at all. */
  readonly everyMs: number;
  /** Epoch ms. @default Date.now */
  readonly now?: () => number;
}

interface Window {
  readonly toldMs: number;
  /** Decisions since then that were not told. */
  readonly silent: number;
}

/** Subjects whose last event is remembered; of others the next decision is told at once. */
const maxSubjects = 20_000;

/** What is to be told of decisions, and what is to be remembered once it is stored. */
export interface AccessNews {
  of(batch: readonly PermissionAuditEntryRow[]): { readonly changes: Change[]; readonly told: () => void };
}

/**
 * Tells of decisions, a stream for each subject, after they were stored: the first of a kind at once, those that
 * follow within a span of time as a number in the next. Who needs each of them reads the audit log.
 */
export function createAccessNews({ everyMs, now = Date.now }: AccessNewsOptions): AccessNews {
  const windows = createLru<Window>(maxSubjects);
  return {
    of(batch) {
      if (everyMs === 0) return { changes: [], told: () => {} };
      const nowMs = now();
      const next = new Map<string, Window>();
      const changes: Change[] = [];
      const groups = Map.groupBy(batch, ({ tenantId, subjectId, decision }) =>
        JSON.stringify([tenantId, subjectId, decision === 'PERMIT']),
      );
      for (const [key, entries] of groups) {
        const known = windows.get(key);
        const silent = (known?.silent ?? 0) + entries.length;
        if (known !== undefined && nowMs - known.toldMs < everyMs) {
          next.set(key, { toldMs: known.toldMs, silent });
          continue;
        }
        const last = entries.at(-1)!;
        next.set(key, { toldMs: nowMs, silent: 0 });
        changes.push({
          tenantId: last.tenantId,
          actor: last.askedBy,
          events: [accessEvent(last, { decisions: silent, sinceMs: known?.toldMs ?? null })],
        });
      }
      return {
        changes,
        told() {
          for (const [key, window] of next) windows.set(key, window);
        },
      };
    },
  };
}
