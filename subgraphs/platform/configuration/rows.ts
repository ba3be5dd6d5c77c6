import { isoText } from '#shared/record.ts';
import type { ConfigScope } from './inputs.ts';

export interface ConfigRow {
  /** Empty for what holds for all tenants. */
  readonly tenantId: string;
  readonly scope: ConfigScope;
  readonly target: string;
  readonly key: string;
  readonly value: unknown;
  readonly secret: boolean;
  readonly version: number;
  readonly deleted: boolean;
  readonly updatedBy: string;
  readonly updatedAt: string;
}

/** Select list over config_entry or config_version; a secret's value is never read. */
export const configColumns = `c.tenant_id AS "tenantId", c.scope, c.target, c.key, CASE WHEN c.secret THEN NULL ELSE c.value END AS value,
  c.secret, c.version, c.deleted, c.updated_by AS "updatedBy", ${isoText('c.updated_at')} AS "updatedAt"`;

export function shownConfig({ tenantId: _tenant, target, scope, ...row }: ConfigRow) {
  return {
    ...row,
    scope: scope.toUpperCase() as 'GLOBAL' | 'TENANT' | 'MODULE' | 'ENVIRONMENT',
    target: target === '' ? null : target,
    source: 'DATABASE' as const,
  };
}
