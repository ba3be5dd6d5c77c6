import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import { appendChange } from '#shared/outbox.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from '../access.ts';
import { keeper } from '../keeper.ts';
import { alertEvent, findAccess } from './events.ts';
import { type AlertRow, alertColumns, alertTag } from './rows.ts';
import { dedupeMs } from './settle.ts';

const dayMs = 86_400_000;
const batch = 500;
const list = 'traceAlerts';
const stateSql = `CASE WHEN a.resolved_at IS NOT NULL THEN 'RESOLVED' WHEN a.acknowledged_at IS NOT NULL THEN 'ACKNOWLEDGED' ELSE 'RAISED' END`;

export interface AlertSearch {
  readonly ruleId: string | null;
  readonly traceId: string | null;
  readonly state: readonly string[] | null;
  readonly severity: readonly string[] | null;
  readonly from: Date | null;
  readonly to: Date | null;
}

/** Those of the ids that the caller may see. */
export async function findAlerts(
  db: Sql | SqlTransaction,
  { principal }: Pick<RequestScope, 'principal'>,
  ids: readonly string[],
  lock = '',
): Promise<readonly AlertRow[]> {
  return (await db.unsafe(
    `SELECT ${alertColumns} FROM trace.alert a WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[])
       AND ($3::text[] IS NULL OR ${visibleCondition('a', '$3')}) ${lock}`,
    [principal.tenantId, ids as string[], viewerOf(principal)],
  )) as unknown as AlertRow[];
}

/** Alerts that were raised, and what becomes of them. */
export function createAlerts({ sql, publisher, config }: ModuleRuntime, once: Once) {
  async function resolveQuiet(): Promise<number> {
    const events = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
      const rows = (await tx.unsafe(
        `UPDATE trace.alert SET resolved_at = now() WHERE (tenant_id, id) IN (
           SELECT tenant_id, id FROM trace.alert WHERE resolved_at IS NULL AND last_seen_at < now() - ${dedupeMs} * interval '1 ms'
           ORDER BY last_seen_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)
         RETURNING ${alertColumns}`,
      )) as unknown as AlertRow[];
      if (rows.length === 0) return [];
      const access = await findAccess(tx, rows);
      return appendChange(
        tx,
        'trace',
        rows.map((alert) => ({
          tenantId: alert.tenantId,
          actor: keeper,
          events: [alertEvent('resolved', alert, access)],
        })),
      );
    });
    await publisher.published(events);
    return events.length;
  }

  return {
    async alerts(scope: RequestScope, given: AlertSearch, input: PageInput) {
      for (const key of ['ruleId', 'traceId'] as const)
        if (given[key] !== null) parseInput(id, given[key], ['filter', key]);
      const page = readPage(list, 2, input);
      scope.readTags.add(alertTag);
      await noteListAccess(sql, scope);
      const [at, behind] = (page.from ?? [null, null]) as readonly [string | null, string | null];
      const rows = (await sql.unsafe(
        `SELECT ${alertColumns} FROM trace.alert a WHERE a.tenant_id = $1 AND ($2::text[] IS NULL OR ${visibleCondition('a', '$2')})
           AND ($3::uuid IS NULL OR a.rule_id = $3) AND ($4::uuid IS NULL OR a.trace_id = $4)
           AND ($5::text[] IS NULL OR ${stateSql} = ANY($5)) AND ($6::text[] IS NULL OR a.severity = ANY($6))
           AND a.raised_at >= $7::text::timestamptz AND ($8::text IS NULL OR a.raised_at < $8::text::timestamptz)
           AND ($9::text IS NULL OR (a.raised_at, a.id) < ($9::text::timestamptz, $10::text::uuid))
         ORDER BY a.raised_at DESC, a.id DESC LIMIT $11`,
        [
          scope.principal.tenantId,
          viewerOf(scope.principal),
          given.ruleId,
          given.traceId,
          given.state as string[] | null,
          given.severity as string[] | null,
          (given.from ?? new Date(Date.now() - dayMs)).toISOString(),
          given.to?.toISOString() ?? null,
          at,
          behind,
          page.limit + 1,
        ],
      )) as unknown as AlertRow[];
      return createConnection(list, page, rows, (row) => [row.raisedAt.toISOString(), row.id]);
    },

    /** Says that somebody looks after it; again it changes nothing. @throws {NOT_FOUND} {INVALID_STATE} where it is resolved. */
    async acknowledge(scope: RequestScope, alertId: string, call: IdempotentCall | null): Promise<AlertRow> {
      parseInput(id, alertId, ['alertId']);
      const { tenantId, subject } = scope.principal;
      const find = async (db: Sql | SqlTransaction, lock = ''): Promise<AlertRow> => {
        const [row] = await findAlerts(db, scope, [alertId], lock);
        if (!row) throw new PlatformError('NOT_FOUND', 'no such alert', { path: ['alertId'] });
        return row;
      };
      return once<AlertRow>(scope, {
        call,
        repeat: () => find(sql),
        async write(tx) {
          const row = await find(tx, 'FOR UPDATE');
          if (row.acknowledgedAt !== null) return { row, response: {}, changes: [] };
          if (row.resolvedAt !== null)
            throw new PlatformError('INVALID_STATE', 'the alert is RESOLVED', { path: ['alertId'] });
          const [alert] = (await tx.unsafe(
            `UPDATE trace.alert SET acknowledged_at = now(), acknowledged_by = $3 WHERE tenant_id = $1 AND id = $2 RETURNING ${alertColumns}`,
            [tenantId, alertId, subject],
            { prepare: true },
          )) as unknown as AlertRow[];
          const events = [alertEvent('acknowledged', alert!, await findAccess(tx, [alert!]))];
          const audit = [{ action: 'trace.alert.acknowledged', resource: 'TraceAlert', resourceId: alertId }];
          return { row: alert!, response: {}, changes: [{ events, audit }] };
        },
      });
    },

    /** Resolves what has been quiet, and forgets what was resolved as long ago as failed traces are kept. */
    async sweepAlerts(): Promise<void> {
      while ((await resolveQuiet()) === batch);
      await sql.unsafe(
        `DELETE FROM trace.alert WHERE resolved_at < now() - $1::int * interval '1 hour'`,
        [config.TRACE_FAILED_HOURS],
        { prepare: true },
      );
    },
  };
}
