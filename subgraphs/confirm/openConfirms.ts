import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { readConfirmLimits } from './limits.ts';

/** After so long what other instances have opened is counted too. */
const countEveryMs = 10_000;
/** Looks at the table before what ended meanwhile is counted on top. */
const maxLooks = 5;

/** What is known of one quota's use. */
interface Place {
  /** Open ones by the last count, and those let in since. */
  n: number;
  readAtMs: number;
  /** Let in, and perhaps not stored yet. */
  underWay: number;
  /** How many of those let in have ended, well or not. */
  ended: number;
  /** Counts of one place come one after the other. */
  turn: Promise<unknown>;
}

/**
 * How many confirms a tenant, and one who asks in it, may have open. Counted in the process from a look at the table on, so
 * that few requests pay for a count; nobody is refused without one. Several instances may together go beyond it by what they
 * open within ten seconds.
 */
export function createOpenConfirms({ sql, config }: Pick<ModuleRuntime, 'sql' | 'config'>) {
  const limits = readConfirmLimits(config);
  const places = createLru<Place>(10_000);

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
  async function enter(tenantId: string, requester: string | null, limit: number): Promise<Place> {
    const key = JSON.stringify([tenantId, requester]);
    const place = places.get(key) ?? {
      n: 0,
      readAtMs: Number.NEGATIVE_INFINITY,
      underWay: 0,
      ended: 0,
      turn: Promise.resolve(),
    };
    places.set(key, place);
    const isAdmitted = () => {
      if (place.n >= limit || performance.now() - place.readAtMs >= countEveryMs) return false;
      place.n += 1;
      place.underWay += 1;
      return true;
    };
    if (isAdmitted()) return place;
    const turn = place.turn.then(async () => {
      if (isAdmitted()) return true;
      place.n = await countAll(place, () => count(tenantId, requester, limit));
      place.readAtMs = performance.now();
      return isAdmitted();
    });
    place.turn = turn.catch(() => undefined);
    if (await turn) return place;
    const whose = requester === null ? 'in a tenant' : 'of one who asks';
    throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${limit} open confirms ${whose}`, { path: ['input'] });
  }

  /**
   * What stands in the table and what is under way. One that ends while the table is looked at may be in neither, so then it
   * is looked at again; after a few times such a one is counted on top, perhaps twice.
   */
  async function countAll(place: Place, countStored: () => Promise<number>): Promise<number> {
    for (let look = 1; ; look += 1) {
      const before = place.ended;
      const stored = await countStored();
      if (place.ended === before) return stored + place.underWay;
      if (look === maxLooks) return stored + place.underWay + (place.ended - before);
    }
  }

  /** Opens a confirm where there is room for it. @throws {QUOTA_EXCEEDED} when as many are open as may be. */
  return async function inRoom<Result>(
    { tenantId, subject }: Pick<Principal, 'tenantId' | 'subject'>,
    open: () => Promise<Result>,
  ): Promise<Result> {
    const entered: Place[] = [];
    try {
      entered.push(await enter(tenantId, null, limits.maxOpen));
      entered.push(await enter(tenantId, subject, limits.maxOpenOfRequester));
      return await open();
    } finally {
      for (const place of entered) {
        place.underWay -= 1;
        place.ended += 1;
      }
    }
  };
}
