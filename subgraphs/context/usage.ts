import type { SqlTransaction } from '#shared/sql.ts';
import type { ContextRow } from './rows.ts';
import { isOpen } from './states.ts';

/** Open contexts of the owner and of the tenant, as they stand within the transaction. */
export interface Usage {
  readonly owner: number;
  readonly tenant: number;
}

const tenantOwner = '*';

function keyOf(tenantId: string, ownerId: string): string {
  return `${tenantId}/${ownerId}`;
}

interface UsageRow {
  tenant_id: string;
  owner_id: string;
  open_contexts: number;
}

/** Counters of the principals and their tenants, locked: commands of one tenant take turns here only as long as a batch lasts. */
export async function lockUsage(
  tx: SqlTransaction,
  principals: readonly { readonly tenantId: string; readonly subject: string }[],
): Promise<readonly UsageRow[]> {
  const pairs = new Map<string, [string, string]>();
  for (const { tenantId, subject } of principals) {
    pairs.set(keyOf(tenantId, subject), [tenantId, subject]);
    pairs.set(keyOf(tenantId, tenantOwner), [tenantId, tenantOwner]);
  }
  const list = [...pairs.values()];
  const keys = [list.map(([tenantId]) => tenantId), list.map(([, ownerId]) => ownerId)];
  const lock = async () =>
    (await tx.unsafe(
      `SELECT u.tenant_id, u.owner_id, u.open_contexts FROM unnest($1::text[], $2::text[]) AS k(tenant_id, owner_id)
       JOIN context.usage u USING (tenant_id, owner_id) ORDER BY u.tenant_id, u.owner_id FOR UPDATE OF u`,
      keys,
      { prepare: true },
    )) as unknown as UsageRow[];
  const rows = await lock();
  if (rows.length === list.length) return rows;
  // A counter that is not there cannot be locked: two first writers would both find room.
  await tx.unsafe(
    `INSERT INTO context.usage (tenant_id, owner_id) SELECT k.tenant_id, k.owner_id FROM unnest($1::text[], $2::text[]) AS k(tenant_id, owner_id) ORDER BY 1, 2 ON CONFLICT DO NOTHING`,
    keys,
    { prepare: true },
  );
  return lock();
}

export function createUsage(rows: readonly UsageRow[]) {
  const counts = new Map(rows.map((row) => [keyOf(row.tenant_id, row.owner_id), row.open_contexts]));
  const deltas = new Map<string, { tenant_id: string; owner_id: string; delta: number }>();
  const add = (tenantId: string, ownerId: string, delta: number) => {
    const key = keyOf(tenantId, ownerId);
    counts.set(key, (counts.get(key) ?? 0) + delta);
    const entry = deltas.get(key) ?? { tenant_id: tenantId, owner_id: ownerId, delta: 0 };
    entry.delta += delta;
    deltas.set(key, entry);
  };
  const open = (row: ContextRow | null) => row !== null && row.deletedAt === null && isOpen(row.status);
  return {
    of: (tenantId: string, ownerId: string): Usage => ({
      owner: counts.get(keyOf(tenantId, ownerId)) ?? 0,
      tenant: counts.get(keyOf(tenantId, tenantOwner)) ?? 0,
    }),
    change(before: ContextRow | null, after: ContextRow) {
      const delta = Number(open(after)) - Number(open(before));
      if (delta === 0) return;
      add(after.tenantId, after.ownerId, delta);
      add(after.tenantId, tenantOwner, delta);
    },
    async write(tx: SqlTransaction) {
      const changed = [...deltas.values()]
        .filter((entry) => entry.delta !== 0)
        .sort((a, b) => (keyOf(a.tenant_id, a.owner_id) < keyOf(b.tenant_id, b.owner_id) ? -1 : 1));
      if (changed.length === 0) return;
      await tx.unsafe(
        `INSERT INTO context.usage AS u (tenant_id, owner_id, open_contexts)
         SELECT tenant_id, owner_id, delta FROM json_to_recordset($1::text::json) AS d(tenant_id text, owner_id text, delta int)
         ON CONFLICT (tenant_id, owner_id) DO UPDATE SET open_contexts = u.open_contexts + EXCLUDED.open_contexts`,
        [JSON.stringify(changed)],
        { prepare: true },
      );
    },
  };
}
