import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendNotifications } from '#shared/notifications.ts';
import { appendChange } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type AlertCondition, type AlertRuleRow, ruleColumns } from './alertRules.ts';
import { type AlertRow, alertColumns, alertEvent } from './alerts.ts';
import { queryMetric } from './reading.ts';

/** What an alert of the operators sets off; answers what came of it, told with the alert. */
export type AlertActions = Readonly<
  Record<
    'SCALE_UP' | 'INVESTIGATE' | 'FAILOVER',
    (tx: SqlTransaction, alert: AlertRow) => Promise<{ outcome: string; instance?: string }>
  >
>;

interface Breach {
  readonly metric: string;
  readonly value: number;
  readonly threshold: number;
}

const lockKey = 4_706_112;
const actor = 'platform';

export function isBroken({ comparison, threshold }: AlertCondition, value: number): boolean {
  return comparison === 'ABOVE' ? value > threshold : value < threshold;
}

/** Holds all rules against the figures; one instance at a time does, the others leave it to that one. */
export function createEvaluation({ sql, publisher }: ModuleRuntime, actions: AlertActions) {
  /** The first condition that is broken, of all series together; null unless as many are as it takes. */
  async function findBreach(
    tx: SqlTransaction,
    { tenantId, conditions, match }: AlertRuleRow,
    nowMs: number,
  ): Promise<Breach | null> {
    let first: Breach | null = null;
    for (const condition of conditions) {
      const { query, windowSeconds, threshold } = condition;
      const stepMs = windowSeconds * 1_000;
      // Up to the millisecond: a sample of this very instant counts.
      const series = await queryMetric(
        tx,
        tenantId,
        { ...query, by: query.by ?? [] },
        { fromMs: nowMs + 1 - stepMs, stepMs, steps: 1 },
      );
      const broken = series
        .flatMap(({ points }) => points.map(({ value }) => value))
        .find((value) => isBroken(condition, value));
      if (broken === undefined) {
        if (match === 'ALL') return null;
        continue;
      }
      first ??= { metric: query.metric, value: broken, threshold };
      if (match === 'ANY') break;
    }
    return first;
  }

  async function settle(
    tx: SqlTransaction,
    rule: AlertRuleRow,
    open: AlertRow | null,
    nowMs: number,
  ): Promise<readonly EventRow[]> {
    const breach = await findBreach(tx, rule, nowMs);
    const { tenantId } = rule;
    const now = new Date(nowMs);
    if (!breach) {
      if (!open) return [];
      if (open.state === 'PENDING') {
        await tx.unsafe('DELETE FROM platform.alert WHERE tenant_id = $1 AND id = $2', [tenantId, open.id]);
        return [];
      }
      const [alert] = (await tx.unsafe(
        `UPDATE platform.alert SET state = 'RESOLVED', resolved_at = $3::text::timestamptz WHERE tenant_id = $1 AND id = $2 RETURNING ${alertColumns}`,
        [tenantId, open.id, now.toISOString()],
      )) as unknown as AlertRow[];
      return tell(tx, rule, alert!, 'resolved');
    }
    const [alert] = open
      ? ((await tx.unsafe(
          `UPDATE platform.alert SET metric = $3, value = $4, threshold = $5 WHERE tenant_id = $1 AND id = $2 RETURNING ${alertColumns}`,
          [tenantId, open.id, breach.metric, breach.value, breach.threshold],
        )) as unknown as AlertRow[])
      : ((await tx.unsafe(
          `INSERT INTO platform.alert (tenant_id, id, rule_id, rule_name, state, severity, action, metric, value, threshold, pending_since)
           VALUES ($1, $2, $3, $4, 'PENDING', $5, $6, $7, $8, $9, $10::text::timestamptz) RETURNING ${alertColumns}`,
          [
            tenantId,
            newId(),
            rule.id,
            rule.name,
            rule.severity,
            rule.action,
            breach.metric,
            breach.value,
            breach.threshold,
            now.toISOString(),
          ],
        )) as unknown as AlertRow[]);
    if (alert!.state !== 'PENDING' || nowMs - alert!.pendingSince.getTime() < rule.forSeconds * 1_000) return [];
    const done = rule.action === 'NONE' ? null : await actions[rule.action](tx, alert!);
    const [fired] = (await tx.unsafe(
      `UPDATE platform.alert SET state = 'FIRING', fired_at = $3::text::timestamptz, outcome = $4, instance = $5
       WHERE tenant_id = $1 AND id = $2 RETURNING ${alertColumns}`,
      [tenantId, alert!.id, now.toISOString(), done?.outcome ?? null, done?.instance ?? null],
    )) as unknown as AlertRow[];
    return tell(tx, rule, fired!, 'fired');
  }

  async function tell(
    tx: SqlTransaction,
    rule: AlertRuleRow,
    alert: AlertRow,
    change: 'fired' | 'resolved',
  ): Promise<readonly EventRow[]> {
    const { tenantId } = rule;
    const subject = `${change === 'fired' ? rule.severity : 'RESOLVED'}: ${rule.name}`;
    const { metric, value, threshold, id, outcome } = alert;
    const body = {
      kind: 'alert',
      change,
      alertId: id,
      rule: rule.name,
      severity: rule.severity,
      metric,
      value,
      threshold,
      outcome,
    };
    const jobs = await appendNotifications(tx, { tenantId, channels: rule.channels, subject, body });
    return appendChange(tx, 'platform', [{ tenantId, actor, events: [alertEvent(change, alert)], jobs }]);
  }

  return {
    /** Answers false where another instance is at it. A rule that cannot be evaluated does not hold up the others. */
    async evaluate(nowMs = Date.now(), onFailure: (rule: string, error: unknown) => void = () => {}): Promise<boolean> {
      const events: EventRow[] = [];
      const isOurs = await sql.begin(async (tx) => {
        const [lock] = (await tx.unsafe('SELECT pg_try_advisory_xact_lock($1::bigint) AS ours', [
          lockKey,
        ])) as unknown as { ours: boolean }[];
        if (!lock!.ours) return false;
        const rules = (await tx.unsafe(
          `SELECT ${ruleColumns} FROM platform.alert_rule WHERE enabled ORDER BY tenant_id, id`,
        )) as unknown as AlertRuleRow[];
        const open = (await tx.unsafe(
          `SELECT ${alertColumns} FROM platform.alert WHERE resolved_at IS NULL ORDER BY tenant_id, id FOR UPDATE`,
        )) as unknown as AlertRow[];
        const openOf = new Map(open.map((alert) => [`${alert.tenantId}/${alert.ruleId}`, alert]));
        for (const rule of rules) {
          try {
            await tx.savepoint(async (inner) => {
              events.push(...(await settle(inner, rule, openOf.get(`${rule.tenantId}/${rule.id}`) ?? null, nowMs)));
            });
          } catch (error) {
            onFailure(rule.name, error);
          }
        }
        return true;
      });
      await publisher.published(events);
      return isOurs;
    },
  };
}
