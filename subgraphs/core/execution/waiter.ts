import type { Bus } from '#shared/bus.ts';
import type { Sql } from '#shared/sql.ts';

export interface EndWatch {
  /** Resolves when the execution is over, or after `waitMs`. */
  ended(tenantId: string, waitMs: number): Promise<void>;
  stop(): void;
}

export interface EndWaiter {
  watch(executionId: string): EndWatch;
  close(): void;
}

const overTypes = new Set([
  'workflow.completed',
  'workflow.failed',
  'workflow.cancelled',
  'workflow.timed.out',
  'workflow.compensated',
]);
/** The bus may lose something: then the row says it. */
const lookEveryMs = 1_000;

/** Tells callers when an execution has come to its end. */
export function createEndWaiter({ bus, sql }: { readonly bus: Bus; readonly sql: Sql }): EndWaiter {
  const waiting = new Map<string, Set<() => void>>();
  const unsubscribe = bus.subscribe('core', (events) => {
    if (waiting.size === 0) return;
    for (const { streamId, type } of events)
      if (overTypes.has(type)) for (const resolve of waiting.get(streamId) ?? []) resolve();
  });
  return {
    watch(executionId) {
      const over = Promise.withResolvers<void>();
      const list = waiting.get(executionId) ?? new Set();
      waiting.set(executionId, list.add(over.resolve));
      let timers: NodeJS.Timeout[] = [];
      return {
        async ended(tenantId, waitMs) {
          const look = async () => {
            const [row] = await sql.unsafe(
              'SELECT 1 FROM core.execution WHERE tenant_id = $1 AND id = $2 AND completed_at IS NOT NULL',
              [tenantId, executionId],
              { prepare: true },
            );
            if (row) over.resolve();
          };
          timers = [setTimeout(over.resolve, waitMs), setInterval(() => void look().catch(() => {}), lookEveryMs)];
          await over.promise;
        },
        stop() {
          for (const timer of timers) clearTimeout(timer);
          list.delete(over.resolve);
          if (list.size === 0) waiting.delete(executionId);
        },
      };
    },
    close: unsubscribe,
  };
}
