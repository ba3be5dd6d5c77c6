import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId } from '#shared/ids.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { id, parseInput, requireVersion } from '#shared/validation.ts';
import { toLabels } from './dashboards.ts';
import { type MetricQuery, ruleInput } from './inputs.ts';

const maxRules = 100;

export interface AlertCondition {
  readonly query: MetricQuery;
  readonly windowSeconds: number;
  readonly comparison: 'ABOVE' | 'BELOW';
  readonly threshold: number;
}

export interface AlertRuleRow {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly conditions: readonly AlertCondition[];
  /** How many of them it takes. */
  readonly match: 'ANY' | 'ALL';
  readonly forSeconds: number;
  readonly severity: 'WARNING' | 'CRITICAL';
  readonly action: 'NONE' | 'SCALE_UP' | 'INVESTIGATE' | 'FAILOVER';
  readonly channels: readonly string[];
  readonly enabled: boolean;
  readonly version: number;
  readonly createdBy: string;
  readonly updatedAt: Date;
}

export const ruleColumns = `tenant_id AS "tenantId", id, name, description, conditions, upper(match) AS match, for_seconds AS "forSeconds", severity, action, channels,
  enabled, revision AS version, created_by AS "createdBy", updated_at AS "updatedAt"`;

const noSuchRule = () => new PlatformError('NOT_FOUND', 'no such alert rule', { path: ['alertRuleId'] });

export function toRule({ tenantId: _tenant, conditions, ...row }: AlertRuleRow) {
  return {
    ...row,
    channels: [...row.channels],
    conditions: conditions.map(({ query: { metric, fn, labels, by, dividedBy }, ...rest }) => ({
      ...rest,
      metric,
      fn,
      labels: toLabels(labels),
      by: [...(by ?? [])],
      dividedBy,
    })),
  };
}

interface RuleTarget {
  readonly alertRuleId: string | null;
  readonly expectedVersion?: number | null;
  readonly key?: string | null;
}

/** What a tenant wants to be told of. */
export function createAlertRules({
  sql,
  once,
  operatorTenant,
}: {
  readonly sql: Sql;
  readonly once: Once;
  readonly operatorTenant: string;
}) {
  async function find(
    db: Sql | SqlTransaction,
    tenantId: string,
    ruleId: string,
    lock = '',
  ): Promise<AlertRuleRow | null> {
    if (!isId(ruleId)) return null;
    const [row] = (await db.unsafe(
      `SELECT ${ruleColumns} FROM platform.alert_rule WHERE tenant_id = $1 AND id = $2 ${lock}`,
      [tenantId, ruleId],
    )) as unknown as AlertRuleRow[];
    return row ?? null;
  }

  const changed = (change: string, { tenantId, id: ruleId, name }: Pick<AlertRuleRow, 'tenantId' | 'id' | 'name'>) => ({
    events: [
      {
        streamId: derivedId(`alert rules ${tenantId}`),
        type: `platform.rule.${change}`,
        data: { id: ruleId, name },
        tags: [],
      },
    ],
    audit: [{ action: `platform.rule.${change}`, resource: 'PlatformAlertRule', resourceId: ruleId }],
  });

  return {
    async rules({ principal }: RequestScope) {
      const rows = (await sql.unsafe(
        `SELECT ${ruleColumns} FROM platform.alert_rule WHERE tenant_id = $1 ORDER BY name`,
        [principal.tenantId],
      )) as unknown as AlertRuleRow[];
      return rows.map(toRule);
    },

    /** Makes one, or changes the one named. @throws {VALIDATION_FAILED} {NOT_FOUND} {VERSION_CONFLICT} {DUPLICATE_NAME} {QUOTA_EXCEEDED} {PERMISSION_DENIED} */
    async putRule(scope: RequestScope, given: unknown, { alertRuleId, expectedVersion, key }: RuleTarget) {
      const input = parseInput(ruleInput, given);
      if (alertRuleId !== null) parseInput(id, alertRuleId, ['alertRuleId']);
      const { tenantId, subject } = scope.principal;
      if (input.action !== 'NONE' && tenantId !== operatorTenant)
        throw new PlatformError(
          'VALIDATION_FAILED',
          'input.action: expected NONE outside the tenant of the operators',
          {
            path: ['input', 'action'],
          },
        );
      const row = await once<AlertRuleRow>(scope, {
        call: callOf(scope, key, alertRuleId === null ? 'createAlertRule' : 'updateAlertRule', {
          given,
          alertRuleId,
          expectedVersion,
        }),
        async repeat(response) {
          const found = await find(sql, tenantId, (response as { id: string }).id);
          if (!found) throw noSuchRule();
          return found;
        },
        async write(tx) {
          // Rules of a tenant are changed one after the other, so that their number and names hold.
          await tx.unsafe('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`platform.alert_rule/${tenantId}`]);
          const rules = (await tx.unsafe(`SELECT ${ruleColumns} FROM platform.alert_rule WHERE tenant_id = $1`, [
            tenantId,
          ])) as unknown as AlertRuleRow[];
          const before = alertRuleId === null ? null : rules.find((rule) => rule.id === alertRuleId);
          if (before === undefined) throw noSuchRule();
          if (before) requireVersion(expectedVersion, before.version);
          if (rules.some((rule) => rule.name === input.name && rule.id !== alertRuleId))
            throw new PlatformError('DUPLICATE_NAME', `there is an alert rule ${input.name}`, {
              path: ['input', 'name'],
            });
          if (before === null && rules.length >= maxRules)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxRules} alert rules`, { path: ['input'] });
          const written = await writeRule(tx, {
            ...input,
            tenantId,
            id: alertRuleId ?? newId(),
            description: input.description ?? null,
            channels: input.channels ?? [],
            createdBy: subject,
          });
          return {
            row: written,
            response: { id: written.id },
            changes: [changed(before ? 'updated' : 'created', written)],
          };
        },
      });
      return toRule(row);
    },

    /** @throws {NOT_FOUND} {VERSION_CONFLICT} */
    async deleteRule(
      scope: RequestScope,
      alertRuleId: string,
      expectedVersion?: number | null,
      key?: string | null,
    ): Promise<string> {
      parseInput(id, alertRuleId, ['alertRuleId']);
      const { tenantId } = scope.principal;
      return once<string>(scope, {
        call: callOf(scope, key, 'deleteAlertRule', { alertRuleId, expectedVersion }),
        repeat: async () => alertRuleId,
        async write(tx) {
          const row = await find(tx, tenantId, alertRuleId, 'FOR UPDATE');
          if (!row) throw noSuchRule();
          requireVersion(expectedVersion, row.version);
          await tx.unsafe('DELETE FROM platform.alert_rule WHERE tenant_id = $1 AND id = $2', [tenantId, alertRuleId]);
          await tx.unsafe('DELETE FROM platform.alert WHERE tenant_id = $1 AND rule_id = $2 AND resolved_at IS NULL', [
            tenantId,
            alertRuleId,
          ]);
          return { row: alertRuleId, response: {}, changes: [changed('deleted', row)] };
        },
      });
    },
  };
}

export type NewRule = Omit<AlertRuleRow, 'version' | 'updatedAt'>;

/** Makes a rule or changes the one of its id; who made it stays. */
export async function writeRule(
  db: Sql | SqlTransaction,
  rule: NewRule,
  onConflict: 'update' | 'keep' = 'update',
): Promise<AlertRuleRow> {
  const [row] = (await db.unsafe(
    `INSERT INTO platform.alert_rule AS r (tenant_id, id, name, description, conditions, for_seconds, severity, action, channels, enabled, created_by, match)
     VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9, $10, $11, lower($12))
     ${
       onConflict === 'keep'
         ? 'ON CONFLICT DO NOTHING'
         : `ON CONFLICT (tenant_id, id) DO UPDATE SET name = $3, description = $4, conditions = $5::text::jsonb, for_seconds = $6, severity = $7,
       action = $8, channels = $9, enabled = $10, match = lower($12), revision = r.revision + 1, updated_at = now()`
     } RETURNING ${ruleColumns}`,
    [
      rule.tenantId,
      rule.id,
      rule.name,
      rule.description,
      JSON.stringify(rule.conditions),
      rule.forSeconds,
      rule.severity,
      rule.action,
      rule.channels as string[],
      rule.enabled,
      rule.createdBy,
      rule.match,
    ],
  )) as unknown as AlertRuleRow[];
  return row!;
}

/** Brings a rule of the platform's own up to what it is now, unless somebody has changed it since it was made. */
export async function renewRule(db: Sql | SqlTransaction, rule: NewRule): Promise<void> {
  const { tenantId, id: ruleId, description, conditions, forSeconds, match } = rule;
  await db.unsafe(
    `UPDATE platform.alert_rule SET description = $3, conditions = $4::text::jsonb, for_seconds = $5, match = lower($6), updated_at = now()
     WHERE tenant_id = $1 AND id = $2 AND revision = 1
       AND (description, conditions, for_seconds, match) IS DISTINCT FROM ($3, $4::text::jsonb, $5::int, lower($6))`,
    [tenantId, ruleId, description, JSON.stringify(conditions), forSeconds, match],
  );
}
