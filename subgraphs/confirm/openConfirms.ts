import { LRUCache } from 'lru-cache';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { readConfirmLimits } from './limits.ts';

/** After so long what other instances have opened is counted too. */
const countEveryMs = 10_000;

export type OpenConfirms = ReturnType<typeof createOpenConfirms>;

/**
 * How many confirms a tenant, and one who asks in it, may have open. Counted in the process from a look at the table on, so
 * that few requests pay for a count; nobody is refused without one.
 */
export function createOpenConfirms({ sql, config }: Pick<ModuleRuntime, 'sql' | 'config'>) {
  const limits = readConfirmLimits(config);
  const counts = new LRUCache<string, { n: number; readonly readAtMs: number }>({ max: 10_000 });

  async function count(tenantId: string, requester: string | null, limit: number): Promise<number> {
    const [row] = (await sql.unsafe(
      `SELECT count(*)::int AS n FROM (SELECT FROM confirm.confirm c WHERE c.tenant_id = $1 AND c.status = 'pending' AND c.phase <> 'draft'
         ${requester === null ? '' : 'AND c.requested_by = $3'} LIMIT $2) open`,
      requester === null ? [tenantId, limit] : [tenantId, limit, requester],
      { prepare: true },
    )) as unknown as { n: number }[];
    return row!.n;
  }

  /** @throws {QUOTA_EXCEEDED} */
  async function take(tenantId: string, requester: string | null, limit: number): Promise<void> {
    const key = JSON.stringify([tenantId, requester]);
    const known = counts.get(key);
    if (known && known.n < limit && performance.now() - known.readAtMs < countEveryMs) {
      known.n += 1;
      return;
    }
    const n = await count(tenantId, requester, limit);
    if (n >= limit) {
      counts.delete(key);
      throw new PlatformError(
        'QUOTA_EXCEEDED',
        `expected at most ${limit} open confirms ${requester === null ? 'in a tenant' : 'of one who asks'}`,
        { path: ['input'] },
      );
    }
    counts.set(key, { n: n + 1, readAtMs: performance.now() });
  }

  return {
    /** @throws {QUOTA_EXCEEDED} when as many are open as may be. */
    async requireRoom({ tenantId, subject }: Pick<Principal, 'tenantId' | 'subject'>): Promise<void> {
      await take(tenantId, null, limits.maxOpen);
      await take(tenantId, subject, limits.maxOpenOfRequester);
    },
  };
}
