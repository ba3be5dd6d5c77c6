/** Levels by pino's numbers, lowest first. */
export const logLevels = { DEBUG: 20, INFO: 30, WARN: 40, ERROR: 50, FATAL: 60 } as const;

export type LogLevel = keyof typeof logLevels;

export function levelName(level: number): LogLevel {
  if (level >= logLevels.FATAL) return 'FATAL';
  if (level >= logLevels.ERROR) return 'ERROR';
  if (level >= logLevels.WARN) return 'WARN';
  return level >= logLevels.INFO ? 'INFO' : 'DEBUG';
}

/** A record on its way to the table. */
export interface LogRecord {
  /** Null of what a process tells of itself: it belongs to the operators' tenant. */
  readonly tenantId: string | null;
  readonly id: string;
  /** Epoch milliseconds. */
  readonly atMs: number;
  readonly level: number;
  readonly message: string;
  readonly module: string;
  readonly operation: string | null;
  readonly correlationId: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly userId: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Only of ERROR and FATAL. */
  readonly stack: string | null;
}

/** A record as it was stored, told to who follows the log. */
export interface StoredLog extends Omit<LogRecord, 'tenantId' | 'atMs' | 'level'> {
  readonly tenantId: string;
  /** ISO 8601 with milliseconds. */
  readonly timestamp: string;
  readonly level: LogLevel;
}

export const loggedType = 'platform.log.written';
