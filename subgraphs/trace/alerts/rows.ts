import type { AnomalySeverity } from '../analysis/anomaly.ts';

export interface AlertRuleRow {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly figure: 'metric' | 'duration' | 'errors';
  readonly metric: string | null;
  readonly comparison: 'above' | 'below' | 'deviates';
  readonly threshold: number;
  readonly service: string | null;
  readonly operation: string | null;
  readonly severity: AnomalySeverity;
  readonly cooldownSeconds: number;
  readonly enabled: boolean;
  readonly lastRaisedAt: Date | null;
  readonly revision: number;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
}

export interface AlertRow {
  readonly tenantId: string;
  readonly id: string;
  readonly ruleId: string;
  readonly ruleName: string;
  readonly traceId: string;
  readonly contextId: string | null;
  readonly severity: AnomalySeverity;
  readonly metric: string;
  readonly unit: string | null;
  readonly value: number;
  readonly threshold: number;
  readonly score: number | null;
  readonly count: number;
  readonly raisedAt: Date;
  readonly lastSeenAt: Date;
  readonly acknowledgedAt: Date | null;
  readonly acknowledgedBy: string | null;
  readonly resolvedAt: Date | null;
}

export const ruleColumns = `tenant_id AS "tenantId", id, name, figure, metric, comparison, threshold, service, operation, severity,
  cooldown_seconds AS "cooldownSeconds", enabled, last_raised_at AS "lastRaisedAt", revision, created_at AS "createdAt",
  created_by AS "createdBy", updated_at AS "updatedAt"`;

export const alertColumns = `tenant_id AS "tenantId", id, rule_id AS "ruleId", rule_name AS "ruleName", trace_id AS "traceId",
  context_id AS "contextId", severity, metric, unit, value, threshold, score, count, raised_at AS "raisedAt",
  last_seen_at AS "lastSeenAt", acknowledged_at AS "acknowledgedAt", acknowledged_by AS "acknowledgedBy",
  resolved_at AS "resolvedAt"`;

export const ruleTag = 'traceAlertRules';
export const alertTag = 'traceAlerts';

export function alertState({ acknowledgedAt, resolvedAt }: AlertRow): 'RAISED' | 'ACKNOWLEDGED' | 'RESOLVED' {
  return resolvedAt !== null ? 'RESOLVED' : acknowledgedAt !== null ? 'ACKNOWLEDGED' : 'RAISED';
}
