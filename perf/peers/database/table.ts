import type { Sql } from '../../../subgraphs/shared/sql.ts';

export const tenantId = 'acme';
export const rowCount = 100_000;

/** A table in the form of the modules': the tenant first in the key, an index beside it. */
export async function createRows(sql: Sql): Promise<void> {
  await sql.unsafe(`
    CREATE TABLE peer_row (
      tenant_id text NOT NULL,
      id bigint NOT NULL,
      title text NOT NULL,
      status text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id)
    );
    CREATE INDEX peer_row_status ON peer_row (tenant_id, status, created_at);
    CREATE SEQUENCE peer_row_new START ${rowCount + 1};
    INSERT INTO peer_row (tenant_id, id, title, status)
      SELECT '${tenantId}', n, 'Row no. ' || n, CASE WHEN n % 3 = 0 THEN 'closed' ELSE 'open' END
      FROM generate_series(1, ${rowCount}) AS n;
    ANALYZE peer_row;`);
}

/** Scripts of pgbench: the statements of the workload, a row each. */
export const scripts = {
  read: `\\set n random(1, ${rowCount})
SELECT id, title, status, created_at FROM peer_row WHERE tenant_id = '${tenantId}' AND id = :n;
`,
  write: `INSERT INTO peer_row (tenant_id, id, title, status) VALUES ('${tenantId}', nextval('peer_row_new'), 'A new row', 'open');
`,
} as const;
