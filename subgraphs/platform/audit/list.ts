import { z } from 'zod';
import { type Connection, createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, text } from '#shared/validation.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import { modulesByDatabase } from './databases.ts';
import { type AuditRow, auditColumns } from './rows.ts';

const list = 'auditEvents';
const word = text({ min: 1, max: 255 });

/** What an auditor looks for; everything given has to hold. */
export const auditFilter = z.object({
  modules: z.array(z.enum(subgraphNames)).min(1).nullish(),
  /** Exact, or a prefix that ends in `.*`. */
  actions: z.array(word).min(1).max(50).nullish(),
  resource: word.nullish(),
  resourceId: word.nullish(),
  actor: word.nullish(),
  correlationId: word.nullish(),
  tokenId: word.nullish(),
  address: word.nullish(),
  from: z.date().nullish(),
  to: z.date().nullish(),
});
export type AuditFilter = z.output<typeof auditFilter>;

/** A row and whether a block covers it. */
export interface ListedAudit extends AuditRow {
  readonly sealed: boolean;
}

/** Last position handed on of each module, in the order of their names; null where none was. */
type Places = readonly (number | null)[];

/** Conditions of a filter over the alias `a`, their values bound by `bind`. */
export function conditionsOf(filter: AuditFilter, bind: (value: unknown, type: string) => string): readonly string[] {
  const conditions: string[] = [];
  if (filter.actions != null) {
    const patterns = filter.actions.map(
      (action) => `${action.replace(/\.\*$/, '.').replace(/[\\%_]/g, '\\$&')}${action.endsWith('.*') ? '%' : ''}`,
    );
    conditions.push(`a.action LIKE ANY(${bind(patterns, 'text[]')})`);
  }
  for (const [column, value] of [
    ['resource', filter.resource],
    ['resource_id', filter.resourceId],
    ['actor', filter.actor],
    ["origin->>'correlationId'", filter.correlationId],
    ["origin->>'tokenId'", filter.tokenId],
    ["origin->>'address'", filter.address],
  ] as const)
    if (value != null) conditions.push(`a.${column} = ${bind(value, 'text')}`);
  if (filter.from != null) conditions.push(`a.created_at >= ${bind(filter.from.toISOString(), 'timestamptz')}`);
  if (filter.to != null) conditions.push(`a.created_at < ${bind(filter.to.toISOString(), 'timestamptz')}`);
  return conditions;
}

export function createAuditList({ sql, sqlOf }: Pick<ModuleRuntime, 'sql' | 'sqlOf'>) {
  /** Newest first by module: the modules' rows are merged by time. */
  async function read(tenantId: string, filter: AuditFilter, places: Places, limit: number): Promise<AuditRow[]> {
    const found: AuditRow[] = [];
    for (const [db, modules] of modulesByDatabase(sqlOf, filter.modules ?? subgraphNames)) {
      const values: unknown[] = [];
      const bind = (value: unknown, type: string) => `$${values.push(value)}::${type}`;
      const tenant = bind(tenantId, 'text');
      const conditions = conditionsOf(filter, bind);
      const most = bind(limit, 'int');
      const parts = modules.map((module) => {
        const place = places[subgraphNames.indexOf(module)];
        const behind = place == null ? [] : [`a.position < ${bind(place, 'bigint')}`];
        return `(SELECT ${auditColumns(module)} FROM ${module}.audit a
          WHERE ${[`a.tenant_id = ${tenant}`, ...conditions, ...behind].join(' AND ')} ORDER BY a.position DESC LIMIT ${most})`;
      });
      found.push(
        ...((await db.unsafe(parts.join(' UNION ALL '), values as never[], {
          prepare: true,
        })) as unknown as AuditRow[]),
      );
    }
    return mergeByTime(found).slice(0, limit);
  }

  async function findSealed(tenantId: string): Promise<Partial<Record<SubgraphName, number>>> {
    const [chain] = await sql<{ positions: Partial<Record<SubgraphName, number>> }[]>`
      SELECT positions FROM platform.audit_chain WHERE tenant_id = ${tenantId}`;
    return chain?.positions ?? {};
  }

  return {
    /** @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
    async page(scope: RequestScope, given: unknown, input: PageInput): Promise<Connection<ListedAudit>> {
      const filter = parseInput(auditFilter, given, ['filter']);
      const page = readPage(list, subgraphNames.length, input);
      const places = (page.from ?? subgraphNames.map(() => null)) as Places;
      const { tenantId } = scope.principal;
      const [rows, sealed] = await Promise.all([read(tenantId, filter, places, page.limit + 1), findSealed(tenantId)]);
      const reached = [...places];
      const cursors = new Map(
        rows.map((row) => {
          reached[subgraphNames.indexOf(row.module)] = row.position;
          return [row.id, [...reached]] as const;
        }),
      );
      const listed = rows.map((row) => ({ ...row, sealed: row.position <= (sealed[row.module] ?? 0) }));
      return createConnection(list, page, listed, (row) => cursors.get(row.id)!);
    },

    /** All rows of a filter, newest first, in pages. */
    async *pages(tenantId: string, filter: AuditFilter, size: number): AsyncGenerator<readonly AuditRow[]> {
      let places: Places = subgraphNames.map(() => null);
      for (;;) {
        const rows = await read(tenantId, filter, places, size);
        if (rows.length > 0) yield rows;
        if (rows.length < size) return;
        const reached = [...places];
        for (const row of rows) reached[subgraphNames.indexOf(row.module)] = row.position;
        places = reached;
      }
    },

    /** Rows of a filter. */
    async count(tenantId: string, filter: AuditFilter): Promise<number> {
      let total = 0;
      for (const [db, modules] of modulesByDatabase(sqlOf, filter.modules ?? subgraphNames)) {
        const values: unknown[] = [];
        const bind = (value: unknown, type: string) => `$${values.push(value)}::${type}`;
        const conditions = [`a.tenant_id = ${bind(tenantId, 'text')}`, ...conditionsOf(filter, bind)].join(' AND ');
        const parts = modules.map((module) => `SELECT count(*) AS n FROM ${module}.audit a WHERE ${conditions}`);
        const [found] = (await db.unsafe(
          `SELECT sum(n)::bigint AS n FROM (${parts.join(' UNION ALL ')}) AS t`,
          values as never[],
        )) as unknown as { n: number }[];
        total += found!.n;
      }
      return total;
    },
  };
}

/**
 * The modules' rows as one list by time. Each module keeps its own order, which is that of its positions: a row
 * written early and committed late does not part a page from the next.
 */
export function mergeByTime<Row extends { readonly module: string; readonly createdAt: string }>(
  rows: readonly Row[],
  order: 'newest first' | 'oldest first' = 'newest first',
): Row[] {
  const precedes = (one: Row, two: Row) =>
    order === 'newest first' ? one.createdAt > two.createdAt : one.createdAt < two.createdAt;
  const queues = [...Map.groupBy(rows, ({ module }) => module).values()].map((queue) => ({ queue, at: 0 }));
  const merged: Row[] = [];
  while (merged.length < rows.length) {
    let next: (typeof queues)[number] | null = null;
    for (const candidate of queues) {
      const row = candidate.queue[candidate.at];
      if (row === undefined) continue;
      if (next === null || precedes(row, next.queue[next.at]!)) next = candidate;
    }
    merged.push(next!.queue[next!.at]!);
    next!.at += 1;
  }
  return merged;
}
