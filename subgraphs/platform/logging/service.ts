import type { Logs } from '#shared/logs/openLogs.ts';
import type { Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createLogReading } from './reading.ts';
import { createLogWriting } from './writing.ts';

export type Logging = ReturnType<typeof createLogging>;

/** The log as tenants see it. */
export function createLogging(
  { sql, config }: ModuleRuntime,
  { logs, once }: { readonly logs: Logs; readonly once: Once },
) {
  return {
    ...createLogReading(sql),
    ...createLogWriting({ sql, logs, once }),

    /** Counts go with their records' days. */
    async sweepLogs(): Promise<void> {
      await sql.unsafe(`DELETE FROM platform.log_rollup WHERE minute < now() - $1::int * interval '1 day'`, [
        config.LOG_RETENTION_DAYS,
      ]);
    },
  };
}
