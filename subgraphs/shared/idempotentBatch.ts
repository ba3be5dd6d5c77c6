import type { SubgraphName } from '../names.ts';
import { PlatformError } from './errors.ts';
import { findIdempotentResponses, hashInput, type IdempotentCall } from './idempotency.ts';
import type { Sql } from './sql.ts';

export interface IdempotentItem {
  readonly idempotent: IdempotentCall | null;
}

export interface SortedBatch<Item, Result> {
  /** What is answered already; undefined for what is to be done. */
  readonly results: (Result | Error | undefined)[];
  readonly pending: readonly { readonly item: Item; readonly index: number }[];
  /** Fills in those that repeat a neighbour of the batch. */
  settle(): (Result | Error)[];
}

/** Takes out of a batch what earlier calls have answered and what repeats a neighbour. */
export async function sortBatch<Item extends IdempotentItem, Result>(
  { sql, module }: { readonly sql: Sql; readonly module: SubgraphName },
  items: readonly Item[],
  toResult: (response: Readonly<Record<string, unknown>>) => Result,
): Promise<SortedBatch<Item, Result>> {
  const stored = await findIdempotentResponses(
    sql,
    module,
    items.map((item) => item.idempotent),
  );
  const results: (Result | Error | undefined)[] = stored.map((found) => {
    if (found instanceof PlatformError) return found;
    return found === undefined ? undefined : toResult(found.response as Record<string, unknown>);
  });
  const first = new Map<string, number>();
  const repeats: { readonly index: number; readonly of: number }[] = [];
  const pending = items.flatMap((item, index) => {
    if (results[index] !== undefined) return [];
    const call = item.idempotent;
    const identity = call && JSON.stringify([call.tenantId, call.subject, call.key]);
    const earlier = identity === null ? undefined : first.get(identity);
    if (earlier !== undefined) {
      repeats.push({ index, of: earlier });
      return [];
    }
    if (identity !== null) first.set(identity, index);
    return [{ item, index }];
  });
  return {
    results,
    pending,
    settle() {
      for (const { index, of } of repeats) {
        const [mine, theirs] = [items[index]!.idempotent!, items[of]!.idempotent!];
        const same = mine.operation === theirs.operation && hashInput(mine.input) === hashInput(theirs.input);
        results[index] = same
          ? results[of]!
          : new PlatformError(
              'IDEMPOTENCY_MISMATCH',
              `the idempotency key was used before for ${theirs.operation} with other input`,
              { path: ['idempotencyKey'] },
            );
      }
      return results as (Result | Error)[];
    },
  };
}
