import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { SubgraphName } from '../../names.ts';
import type { Keyring } from '../security/keyring.ts';
import { type AuditBlock, blockColumns, hashBlock } from './blocks.ts';
import { type Chain, chainLock, readChains, writeBlocks } from './chain.ts';
import { modulesByDatabase } from './databases.ts';
import { type Pruning, sealPruning } from './pruning.ts';
import { hashRows } from './rows.ts';

const batch = 500;
const dayMs = 86_400_000;

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

/** The block that tells of a pruning, at the end of the chain. */
function pruningBlock(chain: Chain, pruning: Pruning): AuditBlock {
  const sealedAt = new Date().toISOString();
  const block = {
    tenantId: chain.tenantId,
    number: chain.number + 1,
    previousHash: chain.hash,
    rowsHash: hashRows([]).toString('hex'),
    rowCount: 0,
    ranges: {},
    firstAt: sealedAt,
    lastAt: sealedAt,
    sealedAt,
    pruning,
  };
  return { ...block, hash: hashBlock(block), prunedAt: null, prunedBy: null };
}

/** Marks the blocks and has the chain of each tenant tell of it. The lock comes last: nothing is sealed while it is held. */
async function record(tx: SqlTransaction, prunings: ReadonlyMap<string, Pruning>): Promise<void> {
  await tx`SELECT pg_advisory_xact_lock(${chainLock})`;
  const chains = await readChains(tx, [...prunings.keys()]);
  const told = [...prunings].map(([tenantId, pruning]) => {
    const chain = chains.get(tenantId);
    if (chain === undefined) throw new Error(`the head of the audit chain of ${tenantId} is not there`);
    return pruningBlock(chain, pruning);
  });
  const marks = told.flatMap(({ tenantId, number, pruning }) =>
    pruning!.blocks.map(([block]) => ({ tenantId, block, by: number })),
  );
  const marked = await tx.unsafe(
    `UPDATE platform.audit_block b SET pruned_at = now(), pruned_by = g.by
     FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS g(tenant_id, number, by)
     WHERE b.tenant_id = g.tenant_id AND b.number = g.number AND b.pruned_at IS NULL`,
    [marks.map(({ tenantId }) => tenantId), marks.map(({ block }) => block), marks.map(({ by }) => by)],
  );
  // Told twice, one of the two would name blocks that it did not prune.
  if (marked.count !== marks.length) throw new Error('audit blocks were pruned by another instance meanwhile');
  await writeBlocks(tx, told);
}

/**
 * Drops the rows of blocks whose last row is older than AUDIT_RETENTION_DAYS. The blocks stay, and the chain goes on with
 * one that names them: it is verified over them as before, and what is gone is told apart from what was taken away.
 */
export function createAuditRetention({
  sql,
  sqlOf,
  config,
  logger,
  keyring,
}: Pick<ModuleRuntime, 'sql' | 'sqlOf' | 'config' | 'logger'> & { readonly keyring: Keyring }) {
  async function pruneSome(): Promise<number> {
    const retentionDays = config.AUDIT_RETENTION_DAYS;
    const before = new Date(Date.now() - retentionDays * dayMs).toISOString();
    const old = (await sql.unsafe(
      `SELECT ${blockColumns} FROM platform.audit_block b
       WHERE b.pruned_at IS NULL AND b.pruning IS NULL AND b.last_at < $1::text::timestamptz ORDER BY b.last_at LIMIT ${batch}`,
      [before],
    )) as unknown as AuditBlock[];
    // Whoever makes a block older than it is has retention hide its rows.
    const blocks = old.filter((block) => hashBlock(block) === block.hash);
    for (const { tenantId, number } of old.filter((block) => !blocks.includes(block)))
      logger.error(
        { tenantId, block: number },
        'an audit block does not have the hash that its words make: its rows are kept',
      );
    if (blocks.length === 0) return 0;
    const prunings = new Map<string, Pruning>();
    for (const [tenantId, own] of Map.groupBy(blocks, (block) => block.tenantId))
      prunings.set(
        tenantId,
        // Before the transaction: keys may lie behind a service.
        await sealPruning(keyring, tenantId, {
          by: 'system:platform',
          retentionDays,
          before,
          rows: own.reduce((sum, { rowCount }) => sum + rowCount, 0),
          blocks: own.map(({ number, hash }) => [number, hash] as const),
        }),
      );
    const others = [...modulesByDatabase(sqlOf)].filter(([db]) => db !== sql);
    // Rows in other databases first: what a crash leaves is done again, and told then.
    for (const [db, modules] of others) await db.begin((tx) => drop(tx, modules, blocks));
    await sql.begin(async (tx) => {
      await drop(tx, modulesByDatabase(sqlOf).get(sql) ?? [], blocks);
      await record(tx, prunings);
    });
    return blocks.length;
  }

  return {
    async prune(): Promise<void> {
      while ((await pruneSome()) === batch);
    },
  };
}
