import type { Sql, SqlTransaction } from '#shared/sql.ts';

/** What workers of all processes go by; it may change while they run. */
export interface WorkerSettings {
  /** Steps at the same time, of one process. */
  readonly slots: number;
  readonly leaseMs: number;
  /** Longest time between two looks for what is due. */
  readonly pollMs: number;
}

/** Tenant id of what all tenants share: no principal has it. */
export const platformTenant = '';

export const settingNames = { slots: 'worker.slots', pollMs: 'worker.poll', leaseMs: 'worker.lease' } as const;
type Name = keyof typeof settingNames;

export type Settings = ReturnType<typeof createSettings>;

/** The settings in force: the configured ones, and what is stored over them. */
export function createSettings(sql: Sql, configured: WorkerSettings) {
  let current = configured;
  return {
    /** One object per change, so that its fields are always of one time. */
    current: (): WorkerSettings => current,
    configured,
    /** Takes over what is stored. */
    async refresh(): Promise<void> {
      const rows = (await sql.unsafe('SELECT name, value FROM core.setting WHERE tenant_id = $1', [platformTenant], {
        prepare: true,
      })) as unknown as { name: string; value: number }[];
      const stored = new Map(rows.map(({ name, value }) => [name, value]));
      const of = (name: Name) => stored.get(settingNames[name]) ?? configured[name];
      current = { slots: of('slots'), pollMs: of('pollMs'), leaseMs: of('leaseMs') };
    },
  };
}

/** Stores a setting where it still is what the caller takes it for; null is the configured one. */
export async function changeSetting(
  tx: SqlTransaction,
  { name, from, to, by }: { readonly name: string; readonly from: number; readonly to: number; readonly by: string },
): Promise<boolean> {
  const rows = await tx.unsafe(
    `INSERT INTO core.setting AS s (tenant_id, name, value, updated_by) VALUES ($1, $2, $4, $5)
     ON CONFLICT (tenant_id, name) DO UPDATE SET value = EXCLUDED.value, updated_at = now(), updated_by = EXCLUDED.updated_by WHERE s.value = $3 RETURNING 1`,
    [platformTenant, name, from, to, by],
    { prepare: true },
  );
  return rows.length > 0;
}
