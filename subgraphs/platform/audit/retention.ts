import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { SubgraphName } from '../../names.ts';
import { type AuditBlock, blockColumns } from './blocks.ts';
import { modulesByDatabase } from './databases.ts';

const batch = 500;

/** Drops the rows that the blocks cover in the modules. */
async function drop(
  tx: SqlTransaction,
  modules: readonly SubgraphName[],
  blocks: readonly AuditBlock[],
): Promise<void> {
  await tx`SELECT set_config('mplp.audit_retention', 'on', true)`;
  for (const module of modules) {
    const own = blocks.flatMap(({ tenantId, ranges }) => {
      const range = ranges[module];
      return range === undefined ? [] : [{ tenantId, after: range[0], upTo: range[1] }];
    });
    if (own.length === 0) continue;
    await tx.unsafe(
      `DELETE FROM ${module}.audit a USING unnest($1::text[], $2::bigint[], $3::bigint[]) AS g(tenant_id, after, up_to)
       WHERE a.tenant_id = g.tenant_id AND a.position > g.after AND a.position <= g.up_to`,
      [own.map(({ tenantId }) => tenantId), own.map(({ after }) => after), own.map(({ upTo }) => upTo)],
    );
  }
}

/**
 * Drops the rows of blocks whose last row is older than AUDIT_RETENTION_DAYS. The blocks stay, marked: the chain is
 * verified over them as before, and what is gone is told apart from what was taken away.
 */
export function createAuditRetention({ sql, sqlOf, config }: Pick<ModuleRuntime, 'sql' | 'sqlOf' | 'config'>) {
  async function pruneSome(): Promise<number> {
    const blocks = (await sql.unsafe(
      `SELECT ${blockColumns} FROM platform.audit_block b
       WHERE b.pruned_at IS NULL AND b.last_at < now() - $1::int * interval '1 day' ORDER BY b.last_at LIMIT ${batch}`,
      [config.AUDIT_RETENTION_DAYS],
    )) as unknown as AuditBlock[];
    if (blocks.length === 0) return 0;
    const others = [...modulesByDatabase(sqlOf)].filter(([db]) => db !== sql);
    // Rows in other databases first: what a crash leaves is done again, and marked then.
    for (const [db, modules] of others) await db.begin((tx) => drop(tx, modules, blocks));
    await sql.begin(async (tx) => {
      await drop(tx, modulesByDatabase(sqlOf).get(sql) ?? [], blocks);
      await tx.unsafe(
        `UPDATE platform.audit_block b SET pruned_at = now() FROM unnest($1::text[], $2::bigint[]) AS g(tenant_id, number)
         WHERE b.tenant_id = g.tenant_id AND b.number = g.number`,
        [blocks.map(({ tenantId }) => tenantId), blocks.map(({ number }) => number)],
      );
    });
    return blocks.length;
  }

  return {
    async prune(): Promise<void> {
      while ((await pruneSome()) === batch);
    },
  };
}
