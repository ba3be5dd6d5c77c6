import type { Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import type { Keyring } from '../security/keyring.ts';
import { type AuditBlock, blockColumns, hashBlock, noHash } from './blocks.ts';
import { modulesByDatabase } from './databases.ts';
import type { Pruning } from './pruning.ts';
import { createPruningProofs } from './pruningProofs.ts';
import { type AuditRow, hashRows, readAuditRows } from './rows.ts';

export type AuditProblemKind =
  /** Rows of a block are not those that were sealed: changed, gone or added. */
  | 'ROWS_CHANGED'
  /** A block does not have the hash that its own words make. */
  | 'BLOCK_CHANGED'
  /** A block is not there, or does not follow the one before. */
  | 'BLOCK_MISSING'
  /** Between what two blocks cover lies something that none covers. */
  | 'RANGE_GAP'
  /** Rows of a block are gone, and no block of the chain proves that they had to go. */
  | 'PRUNING_UNPROVEN'
  /** The chain ends before the block that was last. */
  | 'CHAIN_CUT';

export interface AuditProblem {
  readonly kind: AuditProblemKind;
  readonly block: number;
  readonly message: string;
}

export interface AuditVerification {
  readonly valid: boolean;
  readonly firstBlock: number | null;
  readonly lastBlock: number | null;
  readonly blocks: number;
  readonly rows: number;
  /** Rows of blocks whose retention is over: their blocks are held to the chain, which tells of it; they themselves are gone. */
  readonly prunedRows: number;
  /** Told of by the blocks of this look, the newest at most 100. */
  readonly prunings: readonly ToldPruning[];
  /** Committed rows that no block covers yet. */
  readonly unsealedRows: number;
  readonly oldestUnsealedAt: string | null;
  readonly headHash: string | null;
  readonly problems: readonly AuditProblem[];
  /** The block to go on from where this look ended before the range did. */
  readonly nextBlock: number | null;
}

/** What a block tells of rows dropped by age. */
export interface ToldPruning {
  readonly block: number;
  readonly prunedAt: string;
  readonly prunedBy: string;
  readonly retentionDays: number;
  readonly before: string;
  readonly blocks: number;
  readonly rows: number;
}

export interface BlockSpan {
  readonly fromBlock: number;
  readonly toBlock: number | null;
}

const pageSize = 200;
/** Blocks one look takes. */
export const maxBlocks = 20_000;
const maxProblems = 100;
const maxPrunings = 100;

interface Head {
  readonly number: number;
  readonly hash: string;
  readonly positions: Partial<Record<SubgraphName, number>>;
}

export function createVerifier({
  sql,
  sqlOf,
  config,
  keyring,
}: Pick<ModuleRuntime, 'sql' | 'sqlOf' | 'config'> & { readonly keyring: Keyring }) {
  const databases = modulesByDatabase(sqlOf);
  const findDoubts = createPruningProofs({ sql, config, keyring });

  async function findHead(tenantId: string): Promise<Head | null> {
    const [head] = await sql<Head[]>`
      SELECT number, encode(hash, 'hex') AS hash, positions FROM platform.audit_chain WHERE tenant_id = ${tenantId}`;
    return head ?? null;
  }

  async function findBlocks(tenantId: string, from: number, to: number): Promise<readonly AuditBlock[]> {
    return (await sql.unsafe(
      `SELECT ${blockColumns} FROM platform.audit_block b
       WHERE b.tenant_id = $1 AND b.number >= $2::bigint AND b.number <= $3::bigint ORDER BY b.number LIMIT ${pageSize}`,
      [tenantId, from, to],
      { prepare: true },
    )) as unknown as AuditBlock[];
  }

  /** Rows of the blocks, by block. */
  async function rowsOf(
    tenantId: string,
    blocks: readonly AuditBlock[],
  ): Promise<(block: AuditBlock) => readonly AuditRow[]> {
    const byModule = new Map<SubgraphName, readonly AuditRow[]>();
    for (const [db, modules] of databases) {
      const ranges = modules.flatMap((module) => {
        const covered = blocks.flatMap(({ ranges, prunedAt }) => (prunedAt === null ? (ranges[module] ?? []) : []));
        return covered.length === 0 ? [] : [{ module, after: Math.min(...covered), upTo: Math.max(...covered) }];
      });
      const rows = await readAuditRows(db, ranges, tenantId);
      for (const [module, own] of Map.groupBy(rows, (row) => row.module)) byModule.set(module, own);
    }
    return ({ ranges }) =>
      subgraphNames.flatMap((module) => {
        const range = ranges[module];
        if (range === undefined) return [];
        return (byModule.get(module) ?? []).filter(({ position }) => position > range[0] && position <= range[1]);
      });
  }

  /** What every look finds at the end of the chain: rows that wait to be sealed. */
  async function findTail(tenantId: string, positions: Head['positions']) {
    let rows = 0;
    let oldest: string | null = null;
    for (const [db, modules] of databases) {
      const parts = modules.map(
        (module, at) => `SELECT count(*) AS n, min(created_at) AS oldest FROM ${module}.audit
          WHERE tenant_id = $1 AND position > $${at + 2}::bigint`,
      );
      const [found] = (await db.unsafe(
        `SELECT sum(n)::bigint AS n, min(oldest) AS oldest FROM (${parts.join(' UNION ALL ')}) AS t`,
        [tenantId, ...modules.map((module) => positions[module] ?? 0)],
        { prepare: true },
      )) as unknown as { n: number; oldest: Date | null }[];
      rows += found!.n;
      const at = found!.oldest?.toISOString();
      if (at !== undefined && (oldest === null || at < oldest)) oldest = at;
    }
    return { rows, oldest };
  }

  /** Holds every block of the span to its words, its rows and the block before. */
  return async function verify(tenantId: string, { fromBlock, toBlock }: BlockSpan): Promise<AuditVerification> {
    let head = await findHead(tenantId);
    const problems: AuditProblem[] = [];
    const tell = (kind: AuditProblemKind, block: number, message: string) => {
      if (problems.length < maxProblems) problems.push({ kind, block, message });
    };
    const last = Math.min(toBlock ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const end = Math.min(last, fromBlock + maxBlocks - 1);
    let [expected, blocks, rows, prunedRows] = [fromBlock, 0, 0, 0];
    let before: AuditBlock | null =
      fromBlock > 1 ? ((await findBlocks(tenantId, fromBlock - 1, fromBlock - 1))[0] ?? null) : null;
    let previousHash: string | null = fromBlock === 1 ? noHash : (before?.hash ?? null);
    const covered = new Map<SubgraphName, number>();
    const prunings: ToldPruning[] = [];
    const isEmpty = toBlock !== null && toBlock < fromBlock;
    if (fromBlock > 1 && before === null && !isEmpty)
      tell('BLOCK_MISSING', fromBlock - 1, `block ${fromBlock - 1} is not there`);
    for (;;) {
      const page = await findBlocks(tenantId, expected, end);
      if (page.length === 0) {
        // What was sealed since the look began is part of it: its last block is not the one that was last then.
        const known: Head | null = head;
        head = await findHead(tenantId);
        if (head !== null && head.number > (known?.number ?? 0) && expected <= Math.min(end, head.number)) continue;
        break;
      }
      const ownRows = await rowsOf(tenantId, page);
      const doubts = await findDoubts(tenantId, page);
      for (const block of page) {
        if (block.number !== expected)
          tell('BLOCK_MISSING', expected, `blocks ${expected} to ${block.number - 1} are not there`);
        else if (previousHash !== null && block.previousHash !== previousHash)
          tell('BLOCK_MISSING', block.number, 'it does not follow the block before it');
        if (hashBlock(block) !== block.hash) tell('BLOCK_CHANGED', block.number, 'its words do not make its hash');
        for (const [module, [after, upTo]] of Object.entries(block.ranges) as [SubgraphName, [number, number]][]) {
          const reached = covered.get(module) ?? (fromBlock === 1 ? 0 : null);
          // A missing block leaves a gap of its own, which is told already.
          if (reached !== null && reached !== after && block.number === expected)
            tell('RANGE_GAP', block.number, `nothing covers ${module} from ${reached} to ${after}`);
          covered.set(module, upTo);
        }
        if (block.pruning !== null) prunings.push(toldBy(block.number, block.sealedAt, block.pruning));
        let own = ownRows(block);
        let { prunedAt } = block;
        let doubt = doubts.get(block.number);
        if (prunedAt === null && own.length < block.rowCount) {
          // Dropped since the page was read?
          const [now] = await findBlocks(tenantId, block.number, block.number);
          prunedAt = now?.prunedAt ?? null;
          if (now !== undefined && prunedAt !== null) {
            doubt = (await findDoubts(tenantId, [now])).get(block.number);
            own = [];
          }
        }
        if (doubt !== undefined) tell('PRUNING_UNPROVEN', block.number, doubt);
        else if (prunedAt !== null) prunedRows += block.rowCount;
        else {
          rows += own.length;
          if (own.length !== block.rowCount)
            tell('ROWS_CHANGED', block.number, `expected ${block.rowCount} rows, got ${own.length}`);
          else if (hashRows(own).toString('hex') !== block.rowsHash)
            tell('ROWS_CHANGED', block.number, 'its rows do not make their hash');
        }
        blocks += 1;
        previousHash = block.hash;
        expected = block.number + 1;
        before = block;
      }
    }
    const stopped = head !== null && end < last && expected <= head.number && expected > end ? expected : null;
    if (head !== null && stopped === null && last >= head.number && !isEmpty) {
      if (expected <= head.number)
        tell('CHAIN_CUT', expected, `the chain ends at ${expected - 1}, its last block was ${head.number}`);
      else if (previousHash !== head.hash) tell('CHAIN_CUT', head.number, 'the last block is another one');
    } else if (head === null && blocks > 0) tell('CHAIN_CUT', expected - 1, 'the head of the chain is not there');
    const tail = await findTail(tenantId, head?.positions ?? {});
    return {
      valid: problems.length === 0,
      firstBlock: blocks === 0 ? null : fromBlock,
      lastBlock: blocks === 0 ? null : (before?.number ?? null),
      blocks,
      rows,
      prunedRows,
      prunings: prunings.slice(-maxPrunings),
      unsealedRows: tail.rows,
      oldestUnsealedAt: tail.oldest,
      headHash: head?.hash ?? null,
      problems,
      nextBlock: stopped,
    };
  };
}

function toldBy(block: number, prunedAt: string, { by, retentionDays, before, blocks, rows }: Pruning): ToldPruning {
  return { block, prunedAt, prunedBy: by, retentionDays, before, blocks: blocks.length, rows };
}

/** The blocks whose rows were written within a time, first and last; null where there are none. */
export async function findSpan(
  sql: Sql,
  tenantId: string,
  range: { readonly from: Date | null; readonly to: Date | null },
): Promise<BlockSpan | null> {
  if (range.from === null && range.to === null) return { fromBlock: 1, toBlock: null };
  const [span] = await sql<{ first: number | null; last: number | null }[]>`
    SELECT min(number) AS first, max(number) AS last FROM platform.audit_block
    WHERE tenant_id = ${tenantId} AND last_at >= ${(range.from ?? new Date(0)).toISOString()}
      AND (${range.to?.toISOString() ?? null}::timestamptz IS NULL OR first_at <= ${range.to?.toISOString() ?? null})`;
  if (!span || span.first === null) return null;
  return { fromBlock: span.first, toBlock: range.to === null ? null : span.last };
}
