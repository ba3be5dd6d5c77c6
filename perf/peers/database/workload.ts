import { createBatcher } from '../../../subgraphs/shared/batch.ts';
import { createRequestScope } from '../../../subgraphs/shared/context.ts';
import { createRowLoader } from '../../../subgraphs/shared/loaders.ts';
import { createPrincipal } from '../../../subgraphs/shared/principal.ts';
import { createSql } from '../../../subgraphs/shared/sql.ts';
import type { CreateWorkload, ServiceOperation } from '../../load/workload.ts';
import { rowCount, tenantId } from './table.ts';

/** `statement`: a row each. `loader`: twenty rows by a request's loader. `group`: rows that come together share a commit. */
export const ourWays = ['read-statement', 'read-loader', 'write-statement', 'write-group'] as const;
export type OurWay = (typeof ourWays)[number];

export interface DatabaseParams {
  readonly url: string;
  readonly way: OurWay;
  readonly connections: number;
}

/** Rows that one operation of a way reads or writes. */
export function rowsOf(way: OurWay): number {
  return way === 'read-loader' ? 20 : 1;
}

interface ReadRow {
  readonly id: number;
  readonly title: string;
}

/** The platform's own ways to the rows: the client of `#shared/sql.ts`, a loader, and group commit. */
export const createWorkload: CreateWorkload<DatabaseParams> = ({ url, way, connections }) => {
  const sql = createSql(url, { max: connections, applicationName: 'peers' });
  const principal = createPrincipal({ tenantId, subject: 'peers' });
  const isRow = (row: ReadRow | null | undefined, id: number): boolean =>
    row?.id === id && row.title === `Row no. ${id}`;
  const batcher = createBatcher<string, number>({
    maxItems: 50,
    maxDelayMs: 1,
    async run(titles) {
      const rows = await sql<{ id: number }[]>`
        INSERT INTO peer_row (tenant_id, id, title, status)
        SELECT ${tenantId}, nextval('peer_row_new'), title, 'open' FROM unnest(${titles as string[]}::text[]) AS title
        RETURNING id`;
      return rows.map(({ id }) => id);
    },
  });

  const calls: Readonly<Record<OurWay, ServiceOperation['call']>> = {
    async 'read-statement'(random) {
      const id = 1 + random.integer(rowCount);
      const [row] = await sql<ReadRow[]>`
        SELECT id, title, status, created_at FROM peer_row WHERE tenant_id = ${tenantId} AND id = ${id}`;
      return isRow(row, id) || `another row than ${id} came back`;
    },
    async 'read-loader'(random) {
      const loader = createRowLoader<string, ReadRow>({
        fetch: (keys) => sql<ReadRow[]>`
          SELECT id, title, status, created_at FROM peer_row
          WHERE tenant_id = ${tenantId} AND id = ANY(${keys.map(Number)}::bigint[])`,
        keyOf: (row) => String(row.id),
        scope: createRequestScope({ principal, correlationId: 'peers', traceparent: '' }),
      });
      const ids = Array.from({ length: rowsOf('read-loader') }, () => 1 + random.integer(rowCount));
      const rows = await Promise.all(ids.map((id) => loader.load(String(id))));
      return ids.every((id, index) => isRow(rows[index], id)) || `other rows than ${ids.join()} came back`;
    },
    async 'write-statement'() {
      const [row] = await sql<{ id: number }[]>`
        INSERT INTO peer_row (tenant_id, id, title, status)
        VALUES (${tenantId}, nextval('peer_row_new'), 'A new row', 'open') RETURNING id`;
      return (row?.id ?? 0) > rowCount || 'no new row';
    },
    'write-group': async () => (await batcher.add('A new row')) > rowCount || 'no new row',
  };
  return {
    operations: [{ name: way, weight: 1, call: calls[way] }],
    async close() {
      await batcher.drain();
      await sql.end();
    },
  };
};
