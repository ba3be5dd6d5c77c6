import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { type Logs, levelChangedType } from '#shared/logs/openLogs.ts';
import { type LogLevel, type LogRecord, logLevels } from '#shared/logs/record.ts';
import { redactJson, redactText } from '#shared/logs/redaction.ts';
import { callOf, type Once, type Written } from '#shared/once.ts';
import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { levelRule, logInput, maxRecordsPerCall } from './inputs.ts';

export interface LevelRuleRow {
  readonly module: string;
  readonly level: LogLevel;
  readonly expiresAt: string;
  readonly setBy: string;
}

const ruleColumns = `module, level, ${isoText('expires_at')} AS "expiresAt", set_by AS "setBy"`;
/** A rule more than there are modules of any tenant would be a mistake. */
const maxRules = 200;

/** What a tenant tells, and from which level on it is kept. */
export function createLogWriting({ sql, logs, once }: { readonly sql: Sql; readonly logs: Logs; readonly once: Once }) {
  type Outcome = 'accepted' | 'belowLevel' | 'dropped';

  function read({ principal, correlationId, traceparent }: RequestScope, given: unknown, path: (string | number)[]) {
    const input = parseInput(logInput, given, path);
    const isFailure = logLevels[input.level] >= logLevels.ERROR;
    const record: LogRecord = {
      tenantId: principal.tenantId,
      id: newId(),
      atMs: input.timestamp?.getTime() ?? Date.now(),
      level: logLevels[input.level],
      message: redactText(input.message),
      module: input.module,
      operation: input.operation ?? null,
      correlationId: input.correlationId ?? correlationId,
      traceId: input.traceId ?? traceparent.slice(3, 35),
      spanId: input.spanId ?? traceparent.slice(36, 52),
      userId: principal.subject,
      metadata: redactJson(input.metadata ?? {}) as Record<string, unknown>,
      stack: isFailure && input.stack != null ? redactText(input.stack) : null,
    };
    return { record, level: input.level };
  }

  function put({ record, level }: ReturnType<typeof read>): Outcome {
    if (!logs.levels.keeps(record.tenantId!, record.module, level)) return 'belowLevel';
    return logs.buffer.add(record) ? 'accepted' : 'dropped';
  }

  async function findRules(db: Sql | SqlTransaction, tenantId: string): Promise<readonly LevelRuleRow[]> {
    return (await db.unsafe(
      `SELECT ${ruleColumns} FROM platform.log_level WHERE tenant_id = $1 AND expires_at > now() ORDER BY module`,
      [tenantId],
      { prepare: true },
    )) as unknown as LevelRuleRow[];
  }

  /** In the caller's transaction, with the event that makes all processes read the levels anew. @throws {QUOTA_EXCEEDED} */
  async function writeLevel(
    tx: SqlTransaction,
    { principal: { tenantId, subject } }: RequestScope,
    { module, level, ttlMs }: { readonly module: string; readonly level: LogLevel; readonly ttlMs: number },
  ): Promise<Written<LevelRuleRow>> {
    await tx.unsafe('DELETE FROM platform.log_level WHERE expires_at < now()');
    const rules = await findRules(tx, tenantId);
    if (rules.length >= maxRules && !rules.some((rule) => rule.module === module))
      throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxRules} levels`, { path: ['module'] });
    const [row] = (await tx.unsafe(
      `INSERT INTO platform.log_level (tenant_id, module, level, expires_at, set_by)
       VALUES ($1, $2, $3, now() + $4::float8 * interval '1 ms', $5)
       ON CONFLICT (tenant_id, module) DO UPDATE SET level = EXCLUDED.level, expires_at = EXCLUDED.expires_at, set_by = EXCLUDED.set_by
       RETURNING ${ruleColumns}`,
      [tenantId, module, level, ttlMs, subject],
    )) as unknown as LevelRuleRow[];
    const event = {
      streamId: derivedId(`log levels ${tenantId}`),
      type: levelChangedType,
      data: { rule: row! },
      tags: [],
    };
    const audit = [
      { action: levelChangedType, resource: 'PlatformLogLevelRule', resourceId: module, detail: { level } },
    ];
    return { row: row!, response: row, changes: [{ events: [event], audit }] };
  }

  return {
    /** @throws {VALIDATION_FAILED} */
    writeLog(scope: RequestScope, given: unknown) {
      const read_ = read(scope, given, ['input']);
      const accepted = put(read_) === 'accepted';
      return { accepted, id: accepted ? read_.record.id : null };
    },

    /** @throws {VALIDATION_FAILED} where one of them breaks a rule: then none is taken. */
    writeLogs(scope: RequestScope, given: readonly unknown[]) {
      if (given.length < 1 || given.length > maxRecordsPerCall)
        throw new PlatformError(
          'VALIDATION_FAILED',
          `inputs: expected 1 to ${maxRecordsPerCall}, got ${given.length}`,
          {
            path: ['inputs'],
          },
        );
      const outcomes = { accepted: 0, belowLevel: 0, dropped: 0 };
      for (const one of given.map((input, at) => read(scope, input, ['inputs', at]))) outcomes[put(one)] += 1;
      return outcomes;
    },

    rules: ({ principal }: RequestScope) => findRules(sql, principal.tenantId),

    writeLevel,

    /** @throws {VALIDATION_FAILED} {QUOTA_EXCEEDED} */
    async setLevel(scope: RequestScope, given: unknown, key: string | null | undefined): Promise<LevelRuleRow> {
      const rule = parseInput(levelRule, given, []);
      return once<LevelRuleRow>(scope, {
        call: callOf(scope, key, 'setLogLevel', rule),
        repeat: async (response) => response as LevelRuleRow,
        write: (tx) => writeLevel(tx, scope, rule),
      });
    },
  };
}
