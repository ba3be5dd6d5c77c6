import DataLoader from 'dataloader';
import {
  type Connection,
  type CursorValue,
  createConnection,
  type Page,
  type PageInput,
  readPage,
} from './connection.ts';
import { PlatformError } from './errors.ts';
import { isId } from './ids.ts';
import type { Sql } from './sql.ts';

type SortType = 'uuid' | 'text' | 'timestamptz' | 'bigint';

/** A list that stands below a parent of some kind: what a page of one parent holds, for many parents at once. */
export interface ChildList<Row> {
  /** Names its cursors. */
  readonly list: string;
  /** Select list of a row. */
  readonly columns: string;
  /** Tables with their aliases; `k.parent` is the parent. Values go to the parameters, as those of the conditions do. */
  from(parameters: unknown[]): string;
  /** Condition that ties a row to `k.parent`. */
  readonly parent: { readonly type: 'uuid' | 'text'; readonly condition: string };
  /** Sort key; its last column is unique among the rows of a parent. */
  readonly sort: readonly {
    readonly column: string;
    readonly type: SortType;
    readonly keyOf: (row: Row) => CursorValue;
  }[];
  readonly descending?: boolean;
  /** Further conditions, the tenant's among them; their values are appended to the parameters. */
  conditions(parameters: unknown[]): readonly string[];
}

interface ChildPage {
  readonly parent: string;
  readonly page: Page;
}

/** Reads page arguments of a list and what its cursors hold. @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
export function readChildPage(
  { list, sort }: { readonly list: string; readonly sort: readonly { readonly type: SortType }[] },
  input: PageInput,
): Page {
  const page = readPage(list, sort.length, input);
  page.from?.forEach((value, at) => {
    if (!fits(value, sort[at]!.type))
      throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  });
  return page;
}

function fits(value: CursorValue, type: SortType): boolean {
  switch (type) {
    case 'uuid':
      return isId(value);
    case 'text':
      return typeof value === 'string' && !value.includes('\0');
    case 'bigint':
      return /^-?\d{1,18}$/.test(String(value));
    case 'timestamptz':
      return (
        typeof value === 'string' &&
        /^[1-9]\d{3}-/.test(value) &&
        !Number.isNaN(Date.parse(value)) &&
        value.length <= 32
      );
  }
}

/** A page of one parent, and how many rows the parent has where that is asked for. */
export interface ChildConnection<Row> extends Connection<Row> {
  count(): Promise<number>;
}

interface ListKey<Filter> {
  readonly parent: string;
  readonly filter: Filter;
}

const byContent = { cacheKeyFn: (key: object) => JSON.stringify(key) };

/** Keys with the same filter are read together. */
function inGroups<Filter, Row, Key extends ListKey<Filter>, Value>(
  kindOf: (filter: Filter) => ChildList<Row>,
  read: (kind: ChildList<Row>, keys: readonly Key[]) => Promise<readonly Value[]>,
) {
  return async (keys: readonly Key[]): Promise<readonly Value[]> => {
    const values = new Array<Value>(keys.length);
    const groups = Map.groupBy(keys.keys(), (at) => JSON.stringify(keys[at]!.filter));
    await Promise.all(
      [...groups.values()].map(async (places) => {
        const found = await read(
          kindOf(keys[places[0]!]!.filter),
          places.map((at) => keys[at]!),
        );
        places.forEach((at, index) => {
          values[at] = found[index]!;
        });
      }),
    );
    return values;
  };
}

/**
 * Loads pages below parents: those that are asked for together, with the same filter, are one statement, and so are
 * their counts. Every request has one for each list of its module and reads through few: nothing is made before that.
 */
export class ChildPageLoader<Filter, Row> {
  readonly #sql: Sql;
  readonly #kindOf: (filter: Filter) => ChildList<Row>;
  #pages: DataLoader<ListKey<Filter> & ChildPage, Connection<Row>, string> | undefined;
  #counts: DataLoader<ListKey<Filter>, number, string> | undefined;

  constructor(sql: Sql, kindOf: (filter: Filter) => ChildList<Row>) {
    this.#sql = sql;
    this.#kindOf = kindOf;
  }

  clearAll(): void {
    this.#pages?.clearAll();
    this.#counts?.clearAll();
  }

  /** @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
  async load(parent: string, filter: Filter, input: PageInput): Promise<ChildConnection<Row>> {
    const page = readChildPage(this.#kindOf(filter), input);
    this.#pages ??= new DataLoader(
      inGroups(this.#kindOf, (kind, keys: readonly (ListKey<Filter> & ChildPage)[]) =>
        readChildPages(this.#sql, kind, keys),
      ),
      byContent,
    );
    return { ...(await this.#pages.load({ parent, filter, page })), count: () => this.#count({ parent, filter }) };
  }

  #count(key: ListKey<Filter>): Promise<number> {
    this.#counts ??= new DataLoader(
      inGroups(this.#kindOf, (kind, keys) =>
        countChildren(
          this.#sql,
          kind,
          keys.map(({ parent }) => parent),
        ),
      ),
      byContent,
    );
    return this.#counts.load(key);
  }
}

export function createChildPageLoader<Filter, Row>(
  sql: Sql,
  kindOf: (filter: Filter) => ChildList<Row>,
): ChildPageLoader<Filter, Row> {
  return new ChildPageLoader(sql, kindOf);
}

/** The pages of all parents: one statement for each direction that is asked for. */
async function readChildPages<Row>(
  sql: Sql,
  kind: ChildList<Row>,
  keys: readonly ChildPage[],
): Promise<readonly Connection<Row>[]> {
  const byDirection = Map.groupBy(keys.keys(), (at) => keys[at]!.page.direction);
  const found = await Promise.all(
    [...byDirection].map(([direction, places]) => select(sql, kind, keys, places, direction)),
  );
  const rows = Map.groupBy(found.flat(), ({ keyAt }) => keyAt);
  return keys.map(({ page }, at) =>
    createConnection<Row>(kind.list, page, (rows.get(at) ?? []) as unknown as Row[], (row) =>
      kind.sort.map(({ keyOf }) => keyOf(row)),
    ),
  );
}

async function select<Row>(
  sql: Sql,
  kind: ChildList<Row>,
  keys: readonly ChildPage[],
  places: readonly number[],
  direction: Page['direction'],
): Promise<readonly { readonly keyAt: number }[]> {
  const wanted = places.map((at) => {
    const { parent, page } = keys[at]!;
    return {
      at,
      parent,
      most: page.limit + 1,
      ...Object.fromEntries((page.from ?? []).map((value, index) => [`f${index}`, value])),
    };
  });
  const descending = (kind.descending === true) === (direction === 'forward');
  const order = descending ? 'DESC' : 'ASC';
  const parameters: unknown[] = [JSON.stringify(wanted)];
  const from = kind.from(parameters);
  const columns = kind.sort.map(({ column }) => column);
  const froms = kind.sort.map((_, index) => `k.f${index}`);
  const where = [
    kind.parent.condition,
    ...kind.conditions(parameters),
    `(${froms.at(-1)} IS NULL OR (${columns.join(', ')}) ${descending ? '<' : '>'} (${froms.join(', ')}))`,
  ];
  const given = kind.sort.map(({ type }, index) => `, f${index} ${type}`).join('');
  const sorted = kind.sort.map(({ column }, index) => `${column} AS "s${index}"`).join(', ');
  return (await sql.unsafe(
    `SELECT k.at AS "keyAt", found.* FROM json_to_recordset($1::text::json) AS k(at int, parent ${kind.parent.type}, most int${given})
     CROSS JOIN LATERAL (
       SELECT ${kind.columns}, ${sorted} FROM ${from} WHERE ${where.join(' AND ')}
       ORDER BY ${columns.map((column) => `${column} ${order}`).join(', ')} LIMIT k.most
     ) AS found ORDER BY k.at, ${kind.sort.map((_, index) => `found."s${index}" ${order}`).join(', ')}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as readonly { readonly keyAt: number }[];
}

/** How many rows each parent has, in the order of the parents. */
async function countChildren<Row>(
  sql: Sql,
  kind: ChildList<Row>,
  parents: readonly string[],
): Promise<readonly number[]> {
  const parameters: unknown[] = [JSON.stringify(parents.map((parent, at) => ({ at, parent })))];
  const from = kind.from(parameters);
  const where = [kind.parent.condition, ...kind.conditions(parameters)];
  const rows = (await sql.unsafe(
    `SELECT (SELECT count(*)::int FROM ${from} WHERE ${where.join(' AND ')}) AS n
     FROM json_to_recordset($1::text::json) AS k(at int, parent ${kind.parent.type}) ORDER BY k.at`,
    parameters as never[],
    { prepare: true },
  )) as unknown as readonly { readonly n: number }[];
  return rows.map(({ n }) => n);
}
