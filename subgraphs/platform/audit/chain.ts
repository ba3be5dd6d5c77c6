import type { SqlTransaction } from '#shared/sql.ts';
import type { SubgraphName } from '../../names.ts';
import type { AuditBlock } from './blocks.ts';

/** Whoever appends blocks holds it until COMMIT: one at a time. */
export const chainLock = 4_706_021;

/** How a tenant's chain ends. */
export interface Chain {
  readonly tenantId: string;
  readonly number: number;
  readonly hash: string;
  readonly positions: Readonly<Partial<Record<SubgraphName, number>>>;
}

/** Chains of the tenants that have one. */
export async function readChains(
  tx: SqlTransaction,
  tenantIds: readonly string[],
): Promise<ReadonlyMap<string, Chain>> {
  const chains = await tx<Chain[]>`
    SELECT tenant_id AS "tenantId", number, encode(hash, 'hex') AS hash, positions
    FROM platform.audit_chain WHERE tenant_id = ANY(${[...tenantIds]})`;
  return new Map(chains.map((chain) => [chain.tenantId, chain] as const));
}

/** Appends blocks, each to the end of its tenant's chain. The caller holds the lock. */
export async function writeBlocks(tx: SqlTransaction, blocks: readonly AuditBlock[]): Promise<void> {
  await tx.unsafe(
    `WITH input AS MATERIALIZED (
       SELECT * FROM json_to_recordset($1::text::json) AS b("tenantId" text, number bigint, "previousHash" text, hash text, "rowsHash" text,
         "rowCount" int, ranges jsonb, "firstAt" timestamptz, "lastAt" timestamptz, "sealedAt" timestamptz, positions jsonb, pruning jsonb)
     ), heads AS (
       INSERT INTO platform.audit_chain AS c (tenant_id, number, hash, positions)
       SELECT "tenantId", number, decode(hash, 'hex'), positions FROM input
       ON CONFLICT (tenant_id) DO UPDATE SET number = EXCLUDED.number, hash = EXCLUDED.hash, positions = c.positions || EXCLUDED.positions
     )
     INSERT INTO platform.audit_block (tenant_id, number, previous_hash, hash, rows_hash, row_count, ranges, first_at, last_at, sealed_at, pruning)
     SELECT "tenantId", number, decode("previousHash", 'hex'), decode(hash, 'hex'), decode("rowsHash", 'hex'), "rowCount", ranges,
       "firstAt", "lastAt", "sealedAt", pruning FROM input`,
    [
      JSON.stringify(
        blocks.map((block) => ({
          ...block,
          positions: Object.fromEntries(Object.entries(block.ranges).map(([module, [, upTo]]) => [module, upTo])),
        })),
      ),
    ],
    { prepare: true },
  );
}
