import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from '../access.ts';
import { keeper } from '../history/targets.ts';
import { dedupeMs } from './breach.ts';
import { alertEvent, findAlertAccess } from './events.ts';
import { type AlertRow, alertColumns, alertTag } from './rows.ts';

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

/** Alerts that were raised, and what becomes of them. */
export function createAlerts({ sql, publisher, config }: ModuleRuntime) {
  async function tell(tx: SqlTransaction, change: 'acknowledged' | 'resolved', rows: readonly AlertRow[], by: string) {
    const access = await findAlertAccess(tx, rows);
    return appendChange(
      tx,
      'trace',
      rows.map((alert) => ({
        tenantId: alert.tenantId,
        actor: by,
        events: [alertEvent(change, alert, access)],
        audit: by === keeper ? [] : [{ action: `trace.alert.${change}`, resource: 'TraceAlert', resourceId: alert.id }],
      })),
    );
  }

  async function resolveQuiet(): Promise<number> {
    const events = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
      const rows = (await tx.unsafe(
        `UPDATE trace.alert SET resolved_at = now() WHERE (tenant_id, id) IN (
           SELECT tenant_id, id FROM trace.alert WHERE resolved_at IS NULL AND last_seen_at < now() - ${dedupeMs} * interval '1 ms'
           ORDER BY last_seen_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)
         RETURNING ${alertColumns}`,
      )) as unknown as AlertRow[];
      return rows.length === 0 ? [] : tell(tx, 'resolved', rows, keeper);
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
        `SELECT ${alertColumns} FROM trace.alert a WHERE a.tenant_id = $1 AND ($2::text IS NULL OR ${visibleCondition('a', '$2')})
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

    /** @throws {NOT_FOUND} {INVALID_STATE} where it is resolved. */
    async acknowledge(scope: RequestScope, alertId: string): Promise<AlertRow> {
      parseInput(id, alertId, ['alertId']);
      const { tenantId, subject } = scope.principal;
      let events: readonly EventRow[] = [];
      const alert = await sql.begin(async (tx) => {
        const [row] = (await tx.unsafe(
          `SELECT ${alertColumns} FROM trace.alert a
           WHERE a.tenant_id = $1 AND a.id = $2 AND ($3::text IS NULL OR ${visibleCondition('a', '$3')}) FOR UPDATE`,
          [tenantId, alertId, viewerOf(scope.principal)],
        )) as unknown as AlertRow[];
        if (!row) throw new PlatformError('NOT_FOUND', 'no such alert', { path: ['alertId'] });
        if (row.acknowledgedAt !== null) return row;
        if (row.resolvedAt !== null)
          throw new PlatformError('INVALID_STATE', 'the alert is RESOLVED', { path: ['alertId'] });
        const [written] = (await tx.unsafe(
          `UPDATE trace.alert SET acknowledged_at = now(), acknowledged_by = $3 WHERE tenant_id = $1 AND id = $2 RETURNING ${alertColumns}`,
          [tenantId, alertId, subject],
        )) as unknown as AlertRow[];
        events = await tell(tx, 'acknowledged', [written!], subject);
        return written!;
      });
      await publisher.published(events, scope);
      return alert;
    },

    /** Resolves what has been quiet, and forgets what was resolved long ago. */
    async sweepAlerts(): Promise<void> {
      while ((await resolveQuiet()) === batch);
      await sql.unsafe(`DELETE FROM trace.alert WHERE resolved_at < now() - $1::int * interval '1 hour'`, [
        config.TRACE_FAILED_HOURS,
      ]);
    },
  };
}
