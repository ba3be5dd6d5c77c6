import { createHash } from 'node:crypto';
import { isoText } from '#shared/record.ts';
import type { SubgraphName } from '../../names.ts';
import { type Pruning, pruningWords } from './pruning.ts';

/** Positions a block covers by module: those after the first, up to the second. */
export type Ranges = Readonly<Partial<Record<SubgraphName, readonly [after: number, upTo: number]>>>;

export interface AuditBlock {
  readonly tenantId: string;
  /** From 1, without gaps. */
  readonly number: number;
  /** Hex; zeros before the first block. */
  readonly previousHash: string;
  readonly hash: string;
  readonly rowsHash: string;
  readonly rowCount: number;
  readonly ranges: Ranges;
  readonly firstAt: string;
  readonly lastAt: string;
  readonly sealedAt: string;
  /** Where it tells of rows that were dropped by age; it has none of its own then. */
  readonly pruning: Pruning | null;
  readonly prunedAt: string | null;
  /** The block that tells of it. A mark that anybody who writes to the table can set: it is believed as far as that block goes. */
  readonly prunedBy: number | null;
}

export const noHash = '0'.repeat(64);

export const blockColumns = `b.tenant_id AS "tenantId", b.number, encode(b.previous_hash, 'hex') AS "previousHash",
  encode(b.hash, 'hex') AS hash, encode(b.rows_hash, 'hex') AS "rowsHash", b.row_count AS "rowCount", b.ranges,
  ${isoText('b.first_at')} AS "firstAt", ${isoText('b.last_at')} AS "lastAt", ${isoText('b.sealed_at')} AS "sealedAt",
  b.pruning, ${isoText('b.pruned_at')} AS "prunedAt", b.pruned_by AS "prunedBy"`;

/** SHA-256 over everything a block says and the block before; not over `prunedAt` and `prunedBy`, which come later. */
export function hashBlock(block: Omit<AuditBlock, 'hash' | 'prunedAt' | 'prunedBy'>): string {
  const { tenantId, number, previousHash, rowsHash, rowCount, ranges, firstAt, lastAt, sealedAt, pruning } = block;
  const covered = Object.entries(ranges).toSorted(([one], [two]) => (one < two ? -1 : 1));
  const words = [tenantId, number, previousHash, rowsHash, rowCount, covered, firstAt, lastAt, sealedAt];
  return createHash('sha256')
    .update(JSON.stringify(pruning === null ? words : [...words, pruningWords(pruning)]))
    .digest('hex');
}
