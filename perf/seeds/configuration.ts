import type { Sql } from '#shared/sql.ts';
import { perfTenant } from './context.ts';

export interface ConfigurationSeed {
  readonly entries: number;
}

export const configKey = (entry: number): string => `service.s${entry % 100}.setting${entry}`;

/** Values of the tenant, each in its first version. */
export async function seedConfiguration(
  sql: Sql,
  { entries }: ConfigurationSeed,
  log: (text: string) => void,
): Promise<void> {
  const keys = Array.from({ length: entries }, (_, at) => configKey(at));
  await sql`
    WITH x AS (
      SELECT key, jsonb_build_object('limit', ord, 'label', repeat('value ', 10)) AS value FROM unnest(${keys}::text[]) WITH ORDINALITY AS k(key, ord)
    ), versions AS (
      INSERT INTO platform.config_version (tenant_id, scope, target, key, version, value, secret, deleted, updated_by)
      SELECT ${perfTenant}, 'tenant', '', key, 1, value, false, false, 'seed' FROM x
    )
    INSERT INTO platform.config_entry (tenant_id, scope, target, key, value, secret, version, updated_by)
    SELECT ${perfTenant}, 'tenant', '', key, value, false, 1, 'seed' FROM x`;
  await sql`ANALYZE platform.config_entry, platform.config_version`;
  log(`${entries} values of the configuration`);
}
