import type { Sql } from '#shared/sql.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';

/** Modules by the database they live in. */
export function modulesByDatabase(
  sqlOf: (module: SubgraphName) => Sql,
  modules: readonly SubgraphName[] = subgraphNames,
): ReadonlyMap<Sql, readonly SubgraphName[]> {
  return Map.groupBy(modules, sqlOf);
}
