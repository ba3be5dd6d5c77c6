import * as shared from '#shared/idempotentBatch.ts';
import type { Sql } from '#shared/sql.ts';

export function sortBatch<Item extends shared.IdempotentItem, Result>(
  sql: Sql,
  items: readonly Item[],
  toResult: (response: Readonly<Record<string, unknown>>) => Result,
): Promise<shared.SortedBatch<Item, Result>> {
  return shared.sortBatch({ sql, module: 'dialog' }, items, toResult);
}
