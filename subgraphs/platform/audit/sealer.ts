import { backedOff } from '#shared/backoff.ts';
import { runForAll } from '#shared/cancellation.ts';
import { settledPositionsOf } from '#shared/eventSource.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import { type AuditBlock, hashBlock, noHash, type Ranges } from './blocks.ts';
import { type Chain, chainLock, readChains, writeBlocks } from './chain.ts';
import { modulesByDatabase } from './databases.ts';
import { type AuditRange, type AuditRow, hashRows, readAuditRows } from './rows.ts';

const pauseMs = 500;
/** How long a look waits for transactions still open, ms; what they wrote is sealed at a later one. */
const settleMs = 200;
/** Rows of a module taken at a time. */
const pageSize = 5_000;

export interface Sealer extends StartedModule {
  /** Seals everything committed before the call that no open transaction holds back. */
  seal(): Promise<void>;
}

/** The block that a tenant's rows make after the last one of its chain. `reached` says how far each module was read. */
export function nextBlock(
  chain: Chain,
  rows: readonly AuditRow[],
  reached: ReadonlyMap<SubgraphName, number>,
): AuditBlock {
  const ranges: Ranges = Object.fromEntries(
    [...new Set(rows.map(({ module }) => module))].map((module) => [
      module,
      [chain.positions[module] ?? 0, reached.get(module)!],
    ]),
  );
  const times = rows.map(({ createdAt }) => createdAt).toSorted();
  const block = {
    tenantId: chain.tenantId,
    number: chain.number + 1,
    previousHash: chain.hash,
    rowsHash: hashRows(rows).toString('hex'),
    rowCount: rows.length,
    ranges,
    firstAt: times[0]!,
    lastAt: times.at(-1)!,
    sealedAt: new Date().toISOString(),
    pruning: null,
  };
  return { ...block, hash: hashBlock(block), prunedAt: null, prunedBy: null };
}

/**
 * Chains what is committed, each tenant's rows in blocks of their own, at least once a second; one instance at a time.
 * Only positions that are settled are read, so a transaction that commits late lies in a later block, never in none:
 * what a block covers begins where the tenant's last one ended, and both are written in one transaction.
 */
export function createSealer({ sql, sqlOf, consumerSqlOf, logger }: ModuleRuntime): Sealer {
  const ownSql = (consumerSqlOf ?? sqlOf)('platform');
  const settled = new Map(
    subgraphNames.map((module) => [module, settledPositionsOf(sqlOf(module), module, 'audit')] as const),
  );
  /** As far as this instance knows everything sealed. */
  const known = new Map<SubgraphName, number>();

  /** Answers whether more is there to be read. */
  async function page(goal: ReadonlyMap<SubgraphName, number>): Promise<boolean> {
    return (await ownSql.begin(async (tx) => {
      const [lock] = await tx<{ free: boolean }[]>`SELECT pg_try_advisory_xact_lock(${chainLock}) AS free`;
      if (!lock!.free) return false;
      const cursors = new Map(
        (
          await tx<{ module: SubgraphName; position: number }[]>`SELECT module, position FROM platform.audit_cursor`
        ).map(({ module, position }) => [module, position] as const),
      );
      const ranges: AuditRange[] = [];
      for (const [module, upTo] of goal) {
        const after = cursors.get(module) ?? 0;
        if (upTo > after) ranges.push({ module, after, upTo, limit: pageSize });
        else known.set(module, after);
      }
      const rows: AuditRow[] = [];
      for (const [db, modules] of modulesByDatabase(sqlOf)) {
        const own = ranges.filter(({ module }) => modules.includes(module));
        // Of its own database by the connection it has: a second one of a small pool may not come.
        if (own.length > 0) rows.push(...(await readAuditRows(db === sql ? tx : db, own)));
      }
      const reached = new Map<SubgraphName, number>();
      for (const { module, upTo } of ranges) {
        const last = rows.filter((row) => row.module === module);
        reached.set(module, last.length === pageSize ? last.at(-1)!.position : upTo);
      }
      const byTenant = Map.groupBy(rows, ({ tenantId }) => tenantId);
      const chains = await readChains(tx, [...byTenant.keys()]);
      const blocks = [...byTenant].map(([tenantId, own]) =>
        nextBlock(chains.get(tenantId) ?? { tenantId, number: 0, hash: noHash, positions: {} }, own, reached),
      );
      if (blocks.length > 0) await writeBlocks(tx, blocks);
      if (reached.size > 0)
        await tx`
          INSERT INTO platform.audit_cursor (module, position)
          SELECT * FROM unnest(${[...reached.keys()]}::text[], ${[...reached.values()]}::bigint[])
          ON CONFLICT (module) DO UPDATE SET position = EXCLUDED.position`;
      return ranges.some(({ module, upTo }) => reached.get(module)! < upTo);
    })) as boolean;
  }

  async function seal(): Promise<void> {
    // At one moment: modules of a database then share its looks.
    const goal = new Map(
      await Promise.all(
        [...settled].map(async ([module, positions]) => [module, await positions.reach(settleMs)] as const),
      ),
    );
    if ([...goal].every(([module, upTo]) => known.get(module) === upTo)) return;
    while (await page(goal));
  }

  let closed = false;
  let failures = 0;
  let running: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;
  const run = () => {
    running ??= runForAll(seal)
      .then(() => {
        failures = 0;
      })
      .catch((error: unknown) => {
        if (failures === 0 && !closed)
          logger.error({ error: String(error) }, 'audit rows cannot be sealed; tried again');
        failures += 1;
      })
      .finally(() => {
        running = null;
      });
    return running;
  };
  const schedule = () => {
    timer = setTimeout(
      async () => {
        await run();
        if (!closed) schedule();
      },
      backedOff(pauseMs, failures),
    );
  };
  schedule();

  return {
    async seal() {
      await running;
      await seal();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
