import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { id, parseInput } from '#shared/validation.ts';

export interface AlertRow {
  readonly tenantId: string;
  readonly id: string;
  readonly ruleId: string;
  readonly ruleName: string;
  readonly state: 'PENDING' | 'FIRING' | 'RESOLVED';
  readonly severity: 'WARNING' | 'CRITICAL';
  readonly action: 'NONE' | 'SCALE_UP' | 'INVESTIGATE' | 'FAILOVER';
  readonly outcome: string | null;
  readonly metric: string;
  readonly value: number;
  readonly threshold: number;
  readonly instance: string | null;
  readonly pendingSince: Date;
  readonly firedAt: Date | null;
  readonly resolvedAt: Date | null;
  readonly acknowledgedAt: Date | null;
  readonly acknowledgedBy: string | null;
}

export const alertColumns = `tenant_id AS "tenantId", id, rule_id AS "ruleId", rule_name AS "ruleName", state, severity, action, outcome, metric, value,
  threshold, instance, pending_since AS "pendingSince", fired_at AS "firedAt", resolved_at AS "resolvedAt",
  acknowledged_at AS "acknowledgedAt", acknowledged_by AS "acknowledgedBy"`;

export const alertChanges = {
  'platform.alert.fired': 'FIRED',
  'platform.alert.acknowledged': 'ACKNOWLEDGED',
  'platform.alert.resolved': 'RESOLVED',
} as const;

/** The alerts of a tenant are one stream. */
export const alertStream = (tenantId: string) => derivedId(`platform alerts ${tenantId}`);

export function alertEvent(change: 'fired' | 'acknowledged' | 'resolved', alert: AlertRow): NewEvent {
  return { streamId: alertStream(alert.tenantId), type: `platform.alert.${change}`, data: { alert }, tags: [] };
}

export function toAlert({ tenantId: _tenant, instance: _instance, ...alert }: AlertRow) {
  return alert;
}

/** Alerts as they are read and acknowledged. */
export function createAlerts({ sql, once }: { readonly sql: Sql; readonly once: Once }) {
  return {
    async alerts({ principal }: RequestScope, states: readonly string[] | null) {
      const rows = (await sql.unsafe(
        `SELECT ${alertColumns} FROM platform.alert WHERE tenant_id = $1 AND ($2::text[] IS NULL OR state = ANY($2))
         ORDER BY pending_since DESC, id LIMIT 1000`,
        [principal.tenantId, states as string[] | null],
      )) as unknown as AlertRow[];
      return rows.map(toAlert);
    },

    /** @throws {NOT_FOUND} {INVALID_STATE} where it is not firing. */
    async acknowledge(scope: RequestScope, alertId: string, key?: string | null) {
      parseInput(id, alertId, ['alertId']);
      const { tenantId, subject } = scope.principal;
      const find = async (db: Sql | SqlTransaction, lock = ''): Promise<AlertRow> => {
        const [row] = (await db.unsafe(
          `SELECT ${alertColumns} FROM platform.alert WHERE tenant_id = $1 AND id = $2 ${lock}`,
          [tenantId, alertId],
        )) as unknown as AlertRow[];
        if (!row) throw new PlatformError('NOT_FOUND', 'no such alert', { path: ['alertId'] });
        return row;
      };
      const alert = await once<AlertRow>(scope, {
        call: callOf(scope, key, 'acknowledgeAlert', { alertId }),
        repeat: () => find(sql),
        async write(tx) {
          const row = await find(tx, 'FOR UPDATE');
          if (row.acknowledgedAt !== null) return { row, response: {}, changes: [] };
          if (row.state !== 'FIRING')
            throw new PlatformError('INVALID_STATE', `expected an alert that is FIRING, it is ${row.state}`, {
              path: ['alertId'],
            });
          const [written] = (await tx.unsafe(
            `UPDATE platform.alert SET acknowledged_at = now(), acknowledged_by = $3 WHERE tenant_id = $1 AND id = $2 RETURNING ${alertColumns}`,
            [tenantId, alertId, subject],
          )) as unknown as AlertRow[];
          const audit = [{ action: 'platform.alert.acknowledged', resource: 'PlatformAlert', resourceId: alertId }];
          return { row: written!, response: {}, changes: [{ events: [alertEvent('acknowledged', written!)], audit }] };
        },
      });
      return toAlert(alert);
    },
  };
}
