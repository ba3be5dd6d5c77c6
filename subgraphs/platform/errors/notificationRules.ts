import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { ErrorSeverity } from '#shared/errorCapture/classify.ts';
import { PlatformError } from '#shared/errors.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { ruleName } from '../monitoring/inputs.ts';
import { notificationRuleInput } from './inputs.ts';

const maxRules = 50;

interface NotificationRuleRow {
  readonly name: string;
  readonly minSeverity: ErrorSeverity;
  readonly modules: readonly string[];
  readonly channels: readonly string[];
  readonly enabled: boolean;
  readonly version: number;
}

const ruleColumns = 'name, min_severity AS "minSeverity", modules, channels, enabled, revision AS version';

/** Which failures are told to whom. */
export function createNotificationRules({ sql, once }: { readonly sql: Sql; readonly once: Once }) {
  const changed = (tenantId: string, change: string, name: string) => ({
    events: [
      {
        streamId: derivedId(`error rules ${tenantId}`),
        type: `platform.error.rule.${change}`,
        data: { name },
        tags: [],
      },
    ],
    audit: [{ action: `platform.error.rule.${change}`, resource: 'PlatformErrorNotificationRule', resourceId: name }],
  });

  return {
    rules: async ({ principal }: RequestScope) =>
      [
        ...(await sql.unsafe(`SELECT ${ruleColumns} FROM platform.error_rule WHERE tenant_id = $1 ORDER BY name`, [
          principal.tenantId,
        ])),
      ] as unknown as NotificationRuleRow[],

    /** Makes one, or changes the one of the name. @throws {VALIDATION_FAILED} {QUOTA_EXCEEDED} */
    async putRule(scope: RequestScope, given: unknown, key?: string | null): Promise<NotificationRuleRow> {
      const input = parseInput(notificationRuleInput, given);
      const { tenantId } = scope.principal;
      return once<NotificationRuleRow>(scope, {
        call: callOf(scope, key, 'createNotificationRule', given),
        repeat: async (response) => response as NotificationRuleRow,
        async write(tx) {
          const [counted] = (await tx.unsafe(
            'SELECT count(*)::int AS count FROM platform.error_rule WHERE tenant_id = $1 AND name <> $2',
            [tenantId, input.name],
          )) as unknown as { count: number }[];
          if (counted!.count >= maxRules)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxRules} rules`, { path: ['input'] });
          const [row] = (await tx.unsafe(
            `INSERT INTO platform.error_rule AS r (tenant_id, name, min_severity, modules, channels, enabled) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, name) DO UPDATE SET min_severity = $3, modules = $4, channels = $5, enabled = $6, revision = r.revision + 1
             RETURNING ${ruleColumns}`,
            [tenantId, input.name, input.minSeverity, input.modules ?? [], input.channels, input.enabled],
          )) as unknown as NotificationRuleRow[];
          return { row: row!, response: row, changes: [changed(tenantId, 'put', input.name)] };
        },
      });
    },

    /** @throws {NOT_FOUND} */
    async deleteRule(scope: RequestScope, name: string, key?: string | null): Promise<string> {
      parseInput(ruleName, name, ['name']);
      const { tenantId } = scope.principal;
      return once<string>(scope, {
        call: callOf(scope, key, 'deleteNotificationRule', { name }),
        repeat: async () => name,
        async write(tx) {
          const gone = await tx.unsafe(
            'DELETE FROM platform.error_rule WHERE tenant_id = $1 AND name = $2 RETURNING 1',
            [tenantId, name],
          );
          if (gone.length === 0) throw new PlatformError('NOT_FOUND', 'no such rule', { path: ['name'] });
          return { row: name, response: {}, changes: [changed(tenantId, 'deleted', name)] };
        },
      });
    },
  };
}
