import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type AlertRow, type AlertRuleRow, alertColumns, ruleColumns } from './rows.ts';
import type { Settled, Sighting } from './settle.ts';

/** Whether any tenant asks to be told of anything. */
export async function hasEnabledRules(tx: SqlTransaction): Promise<boolean> {
  const [found] = await tx.unsafe('SELECT 1 FROM trace.alert_rule WHERE enabled LIMIT 1', [], { prepare: true });
  return found !== undefined;
}

/** Rules of the tenants that are on, locked against a change while they are held against something. */
export async function lockEnabledRules(
  tx: SqlTransaction,
  tenantIds: readonly string[],
): Promise<readonly AlertRuleRow[]> {
  return (await tx.unsafe(
    `SELECT ${ruleColumns} FROM trace.alert_rule WHERE tenant_id = ANY($1::text[]) AND enabled ORDER BY tenant_id, id FOR UPDATE`,
    [tenantIds as string[]],
    { prepare: true },
  )) as unknown as AlertRuleRow[];
}

/** Alerts that stand of the rules and traces seen. */
export async function findOpenAlerts(tx: SqlTransaction, sightings: readonly Sighting[]): Promise<readonly AlertRow[]> {
  return (await tx.unsafe(
    `SELECT ${alertColumns} FROM trace.alert WHERE resolved_at IS NULL AND (tenant_id, rule_id, trace_id) IN (
       SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[]))
     ORDER BY last_seen_at, id FOR UPDATE`,
    [
      sightings.map(({ tenantId }) => tenantId),
      sightings.map(({ rule }) => rule.id),
      sightings.map(({ traceId }) => traceId),
    ],
    { prepare: true },
  )) as unknown as AlertRow[];
}

export async function writeAlerts(
  tx: SqlTransaction,
  { raised, repeated, lastRaised }: Settled,
  rules: readonly AlertRuleRow[],
): Promise<void> {
  if (raised.length > 0)
    await tx.unsafe(
      `INSERT INTO trace.alert (tenant_id, id, rule_id, rule_name, trace_id, context_id, severity, metric, unit, value, threshold,
         score, count, raised_at, last_seen_at)
       SELECT "tenantId", id, "ruleId", "ruleName", "traceId", "contextId", severity, metric, unit, value, threshold, score, count,
         "raisedAt", "lastSeenAt"
       FROM json_to_recordset($1::text::json) AS a("tenantId" text, id uuid, "ruleId" uuid, "ruleName" text, "traceId" uuid,
         "contextId" uuid, severity text, metric text, unit text, value float8, threshold float8, score float8, count int,
         "raisedAt" timestamptz, "lastSeenAt" timestamptz)`,
      [JSON.stringify(raised)],
      { prepare: true },
    );
  if (repeated.length > 0)
    await tx.unsafe(
      `UPDATE trace.alert t SET count = a.count, value = a.value, score = a.score, last_seen_at = a."lastSeenAt"
       FROM json_to_recordset($1::text::json) AS a("tenantId" text, id uuid, count int, value float8, score float8, "lastSeenAt" timestamptz)
       WHERE t.tenant_id = a."tenantId" AND t.id = a.id`,
      [JSON.stringify(repeated)],
      { prepare: true },
    );
  const told = rules.filter(({ id }) => lastRaised.has(id));
  if (told.length > 0)
    await tx.unsafe(
      `UPDATE trace.alert_rule r SET last_raised_at = a.at FROM unnest($1::text[], $2::uuid[], $3::text[]::timestamptz[]) AS a(tenant_id, id, at)
       WHERE r.tenant_id = a.tenant_id AND r.id = a.id`,
      [
        told.map(({ tenantId }) => tenantId),
        told.map(({ id }) => id),
        told.map(({ id }) => lastRaised.get(id)!.toISOString()),
      ],
      { prepare: true },
    );
}

export async function findRules(sql: Sql | SqlTransaction, tenantId: string): Promise<readonly AlertRuleRow[]> {
  return (await sql.unsafe(
    `SELECT ${ruleColumns} FROM trace.alert_rule WHERE tenant_id = $1 ORDER BY name, id`,
    [tenantId],
    { prepare: true },
  )) as unknown as AlertRuleRow[];
}

export async function findRule(sql: Sql | SqlTransaction, tenantId: string, id: string): Promise<AlertRuleRow | null> {
  const [row] = (await sql.unsafe(
    `SELECT ${ruleColumns} FROM trace.alert_rule WHERE tenant_id = $1 AND id = $2`,
    [tenantId, id],
    { prepare: true },
  )) as unknown as AlertRuleRow[];
  return row ?? null;
}

export type NewRule = Omit<AlertRuleRow, 'lastRaisedAt' | 'revision' | 'createdAt' | 'updatedAt'>;

/** Makes a rule or changes the one of its id; who made it stays. */
export async function writeRule(tx: SqlTransaction, rule: NewRule): Promise<AlertRuleRow> {
  const [row] = (await tx.unsafe(
    `INSERT INTO trace.alert_rule AS r (tenant_id, id, name, figure, metric, comparison, threshold, service, operation, severity,
       cooldown_seconds, enabled, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     ON CONFLICT (tenant_id, id) DO UPDATE SET name = $3, figure = $4, metric = $5, comparison = $6, threshold = $7, service = $8,
       operation = $9, severity = $10, cooldown_seconds = $11, enabled = $12, revision = r.revision + 1, updated_at = now()
     RETURNING ${ruleColumns}`,
    [
      rule.tenantId,
      rule.id,
      rule.name,
      rule.figure,
      rule.metric,
      rule.comparison,
      rule.threshold,
      rule.service,
      rule.operation,
      rule.severity,
      rule.cooldownSeconds,
      rule.enabled,
      rule.createdBy,
    ],
    { prepare: true },
  )) as unknown as AlertRuleRow[];
  return row!;
}

export async function deleteRule(tx: SqlTransaction, tenantId: string, id: string): Promise<AlertRuleRow | null> {
  const [row] = (await tx.unsafe(
    `DELETE FROM trace.alert_rule WHERE tenant_id = $1 AND id = $2 RETURNING ${ruleColumns}`,
    [tenantId, id],
    { prepare: true },
  )) as unknown as AlertRuleRow[];
  return row ?? null;
}
