import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Keyring } from '../security/keyring.ts';
import { type AuditBlock, blockColumns, hashBlock } from './blocks.ts';
import { doubtOf, type Pruning } from './pruning.ts';

interface Telling extends AuditBlock {
  readonly nextHash: string | null;
}

interface Proof {
  readonly pruning: Pruning;
  /** Hashes of the blocks it names. */
  readonly hashes: ReadonlyMap<number, string>;
  readonly doubt: string | null;
}

/**
 * Whether blocks whose rows are gone are named by a block of the chain: wherever that one lies, outside of the look too.
 * Answers by number what is wrong with those that are not.
 */
export function createPruningProofs({
  sql,
  config,
  keyring,
}: Pick<ModuleRuntime, 'sql' | 'config'> & { readonly keyring: Keyring }) {
  /** The blocks, each with the hash that what follows it in the chain says it has. */
  async function readTelling(tenantId: string, numbers: readonly number[]): Promise<readonly Telling[]> {
    return (await sql.unsafe(
      `SELECT ${blockColumns}, encode(coalesce(n.previous_hash, CASE WHEN c.number = b.number THEN c.hash END), 'hex') AS "nextHash"
       FROM platform.audit_block b
       LEFT JOIN platform.audit_block n ON n.tenant_id = b.tenant_id AND n.number = b.number + 1
       LEFT JOIN platform.audit_chain c ON c.tenant_id = b.tenant_id
       WHERE b.tenant_id = $1 AND b.number = ANY($2::bigint[])`,
      [tenantId, [...numbers]],
      { prepare: true },
    )) as unknown as Telling[];
  }

  async function prove(tenantId: string, block: Telling): Promise<Proof | string> {
    const { pruning, sealedAt } = block;
    if (pruning === null) return 'the block that it names tells of no pruning';
    if (hashBlock(block) !== block.hash || block.nextHash !== block.hash)
      return 'the block that tells of it is not in the chain';
    return {
      pruning,
      hashes: new Map(pruning.blocks),
      doubt: await doubtOf(pruning, { tenantId, sealedAt, retentionDays: config.AUDIT_RETENTION_DAYS, keyring }),
    };
  }

  return async function findDoubts(
    tenantId: string,
    page: readonly AuditBlock[],
  ): Promise<ReadonlyMap<number, string>> {
    const pruned = page.filter(({ prunedAt }) => prunedAt !== null);
    const numbers = [...new Set(pruned.flatMap(({ prunedBy }) => prunedBy ?? []))];
    const proofs = new Map<number, Proof | string>();
    if (numbers.length > 0)
      for (const block of await readTelling(tenantId, numbers)) proofs.set(block.number, await prove(tenantId, block));
    const doubts = new Map<number, string>();
    for (const { number, hash, lastAt, prunedBy } of pruned) {
      const proof =
        prunedBy === null
          ? 'no block tells of its pruning'
          : (proofs.get(prunedBy) ?? 'the block that it names is not there');
      const doubt =
        typeof proof === 'string'
          ? proof
          : proof.hashes.get(number) !== hash
            ? 'the block that it names tells of others'
            : lastAt >= proof.pruning.before
              ? 'it is younger than what was dropped'
              : proof.doubt;
      if (doubt !== null) doubts.set(number, doubt);
    }
    return doubts;
  };
}
