import type { Bus } from '../bus.ts';
import { type Config, operatorTenantOf } from '../config.ts';
import { createErrorCapture, type ErrorCapture } from '../errorCapture/capture.ts';
import { createPreparation } from '../observedTables.ts';
import type { Sql } from '../sql.ts';
import type { Logger } from '../telemetry.ts';
import { createLogBuffer, type LogBuffer } from './buffer.ts';
import { createLogLevels, type LevelRule, type LogLevels } from './levels.ts';
import { type LogWriter, startLogWriter } from './writer.ts';

/** Log of a process: what takes its records, what stores them, and from which level on. */
export interface Logs {
  readonly buffer: LogBuffer;
  readonly levels: LogLevels;
  readonly writer: LogWriter;
  /** Takes errors, and those that processes log with a stack. */
  readonly errors: ErrorCapture;
  /** Makes today's partitions where they are not there. Before anything is stored. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

export interface LogsOptions {
  /** The one that the process's logger writes to. @default one of its own */
  readonly buffer?: LogBuffer | undefined;
  readonly sql: Sql;
  readonly bus: Bus;
  readonly config: Config;
  readonly logger: Logger;
}

/** Type of the event that tells of a rule of levels. */
export const levelChangedType = 'platform.log.level.changed';

/** Opens the log of a process over the platform module's table. */
export function openLogs({ buffer = createLogBuffer(), sql, bus, config, logger }: LogsOptions): Logs {
  const operatorTenant = operatorTenantOf(config);
  const prepare = createPreparation(sql, config);
  const levels = createLogLevels(operatorTenant);
  const errors = createErrorCapture({ sql, bus, prepare });
  const writer = startLogWriter({ buffer, sql, bus, prepare, operatorTenant, onFailure: errors.addLogged });
  let isClosed = false;

  async function readLevels(): Promise<void> {
    try {
      const rules = (await sql.unsafe(
        `SELECT tenant_id AS "tenantId", module, level, (extract(epoch FROM expires_at) * 1000)::float8 AS "expiresAtMs"
         FROM platform.log_level WHERE expires_at > now()`,
      )) as unknown as LevelRule[];
      if (!isClosed) levels.replace(rules);
    } catch (error) {
      if (!isClosed) logger.warn({ error: String(error) }, 'levels of the log were not read');
    }
  }

  void readLevels();
  const stop = bus.subscribe('platform', (messages) => {
    if (messages.some(({ type }) => type === levelChangedType)) void readLevels();
  });
  return {
    buffer,
    levels,
    writer,
    errors,
    prepare,
    async close() {
      isClosed = true;
      stop();
      levels.close();
      await writer.close();
      await errors.close();
    },
  };
}
