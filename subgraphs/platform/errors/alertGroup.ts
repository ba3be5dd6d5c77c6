import { createHash } from 'node:crypto';
import { newId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { AlertRow } from '../monitoring/alerts.ts';

/** Opens the error group of an alert, or reopens it, with the metrics as they stand. Answers its fingerprint. */
export async function openAlertGroup(
  tx: SqlTransaction,
  alert: AlertRow,
  figures: readonly unknown[],
): Promise<string> {
  const fingerprint = createHash('sha256').update(`alert ${alert.ruleId}`).digest('hex').slice(0, 32);
  const message = `${alert.ruleName}: ${alert.metric} is ${alert.value}, over ${alert.threshold}`;
  await tx.unsafe(
    `INSERT INTO platform.error_group AS g (tenant_id, fingerprint, code, message, severity, category, module, operation, count,
       first_seen, last_seen, news, snapshot)
     VALUES ($1, $2, 'UNAVAILABLE', $3, $4, 'PERFORMANCE', 'platform', $5, 1, now(), now(), $6, $7::text::jsonb)
     ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET count = g.count + 1, last_seen = now(), message = EXCLUDED.message,
       snapshot = EXCLUDED.snapshot, regressions = g.regressions + (g.status = 'RESOLVED')::int,
       status = CASE WHEN g.status = 'RESOLVED' THEN 'OPEN' ELSE g.status END, revision = g.revision + 1`,
    [
      alert.tenantId,
      fingerprint,
      message,
      alert.severity === 'CRITICAL' ? 'CRITICAL' : 'MEDIUM',
      alert.ruleName,
      newId(),
      JSON.stringify({ takenAt: new Date(), alertId: alert.id, figures }),
    ],
  );
  return fingerprint;
}
