import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { CapturedError, ErrorCapture } from '#shared/errorCapture/capture.ts';
import { classify, fingerprintOf } from '#shared/errorCapture/classify.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId } from '#shared/ids.ts';
import { redactJson, redactText } from '#shared/logs/redaction.ts';
import { callOf, type Once } from '#shared/once.ts';
import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { errorFilter, errorInput, fingerprint as fingerprintInput } from './inputs.ts';

const list = 'errors';
const dayMs = 86_400_000;

const errorColumns = `id, ${isoText('at')} AS "occurredAt", ordinal, fingerprint, code, message, severity, category, module, operation,
  correlation_id AS "correlationId", trace_id AS "traceId", user_id AS "userId", recoverable, status_code AS "statusCode", details, stack`;
const groupColumns = `fingerprint, code, message, severity, category, module, operation, count::int, status, first_seen AS "firstSeen", last_seen AS "lastSeen",
  regressions, resolution, changed_by AS "changedBy", changed_at AS "changedAt", snapshot, revision AS version`;

type ErrorRow = Omit<CapturedError, 'tenantId' | 'atMs' | 'recovery'> & {
  readonly occurredAt: string;
  readonly ordinal: number;
};

export interface GroupRow {
  readonly fingerprint: string;
  readonly status: 'OPEN' | 'ACKNOWLEDGED' | 'RESOLVED' | 'IGNORED';
  readonly version: number;
}

const withRecovery = (row: ErrorRow) => ({ ...row, recovery: classify(row.code, row).recovery });
const noSuchGroup = () => new PlatformError('NOT_FOUND', 'no such error group', { path: ['fingerprint'] });

interface GroupChange {
  readonly fingerprint: string;
  readonly status: GroupRow['status'];
  readonly resolution?: string | null | undefined;
  readonly expectedVersion?: number | null | undefined;
}

/** Failures of a tenant: captured, grouped, looked at, settled. */
export function createErrors({
  sql,
  capture,
  once,
  operatorTenant,
}: {
  readonly sql: Sql;
  readonly capture: ErrorCapture;
  readonly once: Once;
  readonly operatorTenant: string;
}) {
  async function findGroup(
    db: Sql | SqlTransaction,
    tenantId: string,
    fingerprint: string,
    lock = '',
  ): Promise<GroupRow | null> {
    const [row] = (await db.unsafe(
      `SELECT ${groupColumns} FROM platform.error_group WHERE tenant_id = $1 AND fingerprint = $2 ${lock}`,
      [tenantId, fingerprint],
    )) as unknown as GroupRow[];
    return row ?? null;
  }

  return {
    /** @throws {VALIDATION_FAILED} */
    capture({ principal, correlationId, traceparent }: RequestScope, given: unknown) {
      const input = parseInput(errorInput, given);
      const { code, module, operation = null, stack = null } = input;
      const message = redactText(input.message);
      const classified = classify(code, {
        ...(input.severity == null ? {} : { severity: input.severity }),
        ...(input.category == null ? {} : { category: input.category }),
        ...(input.recoverable == null ? {} : { recoverable: input.recoverable }),
        ...(input.statusCode == null ? {} : { statusCode: input.statusCode }),
      });
      const error: CapturedError = {
        ...classified,
        tenantId: principal.tenantId,
        id: newId(),
        atMs: Date.now(),
        fingerprint: fingerprintOf({ code, module, operation, message, stack }),
        code,
        message,
        module,
        operation,
        correlationId: input.correlationId ?? correlationId,
        traceId: traceparent.slice(3, 35),
        userId: principal.subject,
        details: redactJson(input.details ?? {}) as Record<string, unknown>,
        stack: stack === null ? null : redactText(stack),
      };
      const accepted = capture.add(error);
      const { tenantId: _tenant, atMs, ...shown } = error;
      return { accepted, error: accepted ? { ...shown, occurredAt: new Date(atMs) } : null };
    },

    async errors({ principal }: RequestScope, given: unknown, input: PageInput) {
      const page = readPage(list, 2, input);
      const filter = parseInput(errorFilter, given ?? {}, ['filter']);
      const parameters: unknown[] = [principal.tenantId, (filter.from ?? new Date(Date.now() - dayMs)).toISOString()];
      const bind = (value: unknown) => `$${parameters.push(value)}`;
      const conditions = ['tenant_id = $1', 'at >= $2::text::timestamptz'];
      if (filter.to) conditions.push(`at < ${bind(filter.to.toISOString())}::text::timestamptz`);
      for (const [column, values] of [
        ['severity', filter.severities],
        ['category', filter.categories],
        ['code', filter.codes],
        ['module', filter.modules],
      ] as const)
        if (values != null) conditions.push(`${column} = ANY(${bind(values)}::text[])`);
      if (filter.fingerprint != null) conditions.push(`fingerprint = ${bind(filter.fingerprint)}`);
      if (filter.correlationId != null) conditions.push(`correlation_id = ${bind(filter.correlationId)}`);
      if (page.from)
        conditions.push(`(at, ordinal) < (${bind(page.from[0])}::text::timestamptz, ${bind(page.from[1])}::bigint)`);
      const rows = (await sql.unsafe(
        `SELECT ${errorColumns} FROM platform.error WHERE ${conditions.join(' AND ')} ORDER BY at DESC, ordinal DESC LIMIT ${bind(page.limit + 1)}`,
        parameters as string[],
        { prepare: true },
      )) as unknown as ErrorRow[];
      return createConnection(list, page, rows.map(withRecovery), (row) => [row.occurredAt, row.ordinal]);
    },

    groups: async ({ principal }: RequestScope, statuses: readonly string[] | null) =>
      [
        ...(await sql.unsafe(
          `SELECT ${groupColumns} FROM platform.error_group WHERE tenant_id = $1 AND ($2::text[] IS NULL OR status = ANY($2))
           ORDER BY last_seen DESC, fingerprint LIMIT 500`,
          [principal.tenantId, statuses as string[] | null],
        )),
      ] as unknown as GroupRow[],

    group: ({ principal }: RequestScope, fingerprint: string) => findGroup(sql, principal.tenantId, fingerprint),

    async statistics({ principal }: RequestScope, range: { readonly from?: unknown; readonly to?: unknown }) {
      const to = (range.to as Date | null | undefined) ?? new Date();
      const from = (range.from as Date | null | undefined) ?? new Date(to.getTime() - dayMs);
      const rows = (await sql.unsafe(
        `SELECT severity, category, module, code, recoverable, count(*)::int AS count, count(DISTINCT fingerprint)::int AS groups
         FROM platform.error WHERE tenant_id = $1 AND at >= $2::text::timestamptz AND at < $3::text::timestamptz GROUP BY 1, 2, 3, 4, 5`,
        [principal.tenantId, from.toISOString(), to.toISOString()],
        { prepare: true },
      )) as unknown as {
        severity: string;
        category: string;
        module: string;
        code: string;
        recoverable: boolean;
        count: number;
        groups: number;
      }[];
      const by = (name: 'severity' | 'category' | 'module' | 'code') =>
        [...Map.groupBy(rows, (row) => row[name])]
          .map(([key, all]) => ({ key, count: all.reduce((sum, { count }) => sum + count, 0) }))
          .toSorted((one, two) => two.count - one.count || (one.key < two.key ? -1 : 1));
      const total = rows.reduce((sum, { count }) => sum + count, 0);
      const recoverable = rows.filter((row) => row.recoverable).reduce((sum, { count }) => sum + count, 0);
      const hours = Math.max((to.getTime() - from.getTime()) / 3_600_000, 1 / 3_600);
      return {
        from,
        to,
        total,
        perHour: total / hours,
        recoverableShare: total === 0 ? null : recoverable / total,
        bySeverity: by('severity'),
        byCategory: by('category'),
        byModule: by('module'),
        byCode: by('code'),
      };
    },

    /** @throws {VALIDATION_FAILED} {NOT_FOUND} {VERSION_CONFLICT} */
    async changeGroup(
      scope: RequestScope,
      { fingerprint, status, resolution, expectedVersion }: GroupChange,
      key?: string | null,
    ): Promise<GroupRow> {
      parseInput(fingerprintInput, fingerprint, ['fingerprint']);
      if (resolution != null && (resolution.length > 2_000 || redactText(resolution) !== resolution))
        throw new PlatformError(
          'VALIDATION_FAILED',
          'resolution: expected at most 2,000 characters and no credentials',
          { path: ['resolution'] },
        );
      const { tenantId, subject } = scope.principal;
      const require = async (db: Sql | SqlTransaction, lock = '') => {
        const row = await findGroup(db, tenantId, fingerprint, lock);
        if (!row) throw noSuchGroup();
        return row;
      };
      return once<GroupRow>(scope, {
        call: callOf(scope, key, 'resolveErrorGroup', { fingerprint, status, resolution, expectedVersion }),
        repeat: () => require(sql),
        async write(tx) {
          requireVersion(expectedVersion, (await require(tx, 'FOR UPDATE')).version);
          const [row] = (await tx.unsafe(
            `UPDATE platform.error_group SET status = $3, resolution = $4, changed_by = $5, changed_at = now(), revision = revision + 1
             WHERE tenant_id = $1 AND fingerprint = $2 RETURNING ${groupColumns}`,
            [tenantId, fingerprint, status, resolution ?? null, subject],
          )) as unknown as GroupRow[];
          const type = 'platform.error.group.changed';
          const event = {
            streamId: derivedId(`error groups ${tenantId}`),
            type,
            data: { fingerprint, status },
            tags: [],
          };
          const audit = [{ action: type, resource: 'PlatformErrorGroup', resourceId: fingerprint, detail: { status } }];
          return { row: row!, response: {}, changes: [{ events: [event], audit }] };
        },
      });
    },

    /** Has the job that failed run again at once. @throws {NOT_FOUND} {INVALID_STATE} where there is no such job any more. */
    async retry(
      scope: RequestScope,
      errorId: string,
      key?: string | null,
    ): Promise<{ readonly errorId: string; readonly task: string }> {
      const { tenantId } = scope.principal;
      const [row] = isId(errorId)
        ? ((await sql.unsafe('SELECT details FROM platform.error WHERE tenant_id = $1 AND id = $2', [
            tenantId,
            errorId,
          ])) as unknown as {
            details: { jobId?: unknown; task?: unknown };
          }[])
        : [];
      if (!row) throw new PlatformError('NOT_FOUND', 'no such error', { path: ['errorId'] });
      const { jobId, task } = row.details;
      const nothing = () =>
        new PlatformError('INVALID_STATE', 'nothing waits that could be tried again', { path: ['errorId'] });
      // Jobs are everybody's: what a tenant says of itself names none.
      if (tenantId !== operatorTenant) throw nothing();
      if (typeof jobId !== 'string' || !/^\d{1,18}$/.test(jobId) || typeof task !== 'string') throw nothing();
      return once(scope, {
        call: callOf(scope, key, 'retryError', { errorId }),
        repeat: async () => ({ errorId, task }),
        async write(tx) {
          // Ids are used once: with the task it is the job that failed, or none.
          const found = await tx.unsafe(
            `SELECT graphile_worker.reschedule_jobs(ARRAY[j.id], run_at := now(), attempts := 0) FROM graphile_worker._private_jobs j
             JOIN graphile_worker._private_tasks t ON t.id = j.task_id WHERE j.id = $1::text::bigint AND t.identifier = $2 AND j.locked_at IS NULL`,
            [jobId, task],
          );
          if (found.length === 0) throw nothing();
          const audit = [
            { action: 'platform.error.retried', resource: 'PlatformError', resourceId: errorId, detail: { task } },
          ];
          return { row: { errorId, task }, response: {}, changes: [{ events: [], audit }] };
        },
      });
    },

    /** Groups go a month after they were seen last. */
    async sweepErrors(): Promise<void> {
      await sql.unsafe(
        `DELETE FROM platform.error_group WHERE last_seen < now() - interval '30 days' AND status <> 'OPEN'`,
      );
    },
  };
}
