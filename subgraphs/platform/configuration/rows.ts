import { isoText } from '#shared/record.ts';
import type { ConfigScope } from './inputs.ts';

export interface ConfigRow {
  /** Empty for what holds for all tenants. */
  readonly tenantId: string;
  readonly scope: ConfigScope;
  readonly target: string;
  readonly key: string;
  readonly value: unknown;
  /** Schema that values are held to, `name@version`. */
  readonly schemaRef: string | null;
  readonly secret: boolean;
  readonly version: number;
  readonly deleted: boolean;
  readonly updatedBy: string;
  readonly updatedAt: string;
}

/** Select list over config_entry or config_version; a secret's value is never read. */
export const configColumns = `c.tenant_id AS "tenantId", c.scope, c.target, c.key, CASE WHEN c.secret THEN NULL ELSE c.value END AS value,
  c.schema_ref AS "schemaRef", c.secret, c.version, c.deleted, c.updated_by AS "updatedBy", ${isoText('c.updated_at')} AS "updatedAt"`;

function typeOf(value: unknown): 'STRING' | 'NUMBER' | 'BOOLEAN' | 'OBJECT' | 'ARRAY' | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return 'ARRAY';
  if (typeof value === 'string') return 'STRING';
  if (typeof value === 'number') return 'NUMBER';
  return typeof value === 'boolean' ? 'BOOLEAN' : 'OBJECT';
}

export function shownConfig({ tenantId: _tenant, target, scope, ...row }: ConfigRow) {
  return {
    ...row,
    schemaRef: row.schemaRef ?? null,
    type: typeOf(row.value),
    scope: scope.toUpperCase() as 'GLOBAL' | 'TENANT' | 'MODULE' | 'ENVIRONMENT',
    target: target === '' ? null : target,
    source: 'DATABASE' as const,
  };
}
