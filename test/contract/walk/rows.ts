import type { Sql } from 'postgres';

export interface TenantTable {
  /** Quoted and with its schema. */
  readonly name: string;
}

/**
 * Every table of the modules that holds rows of tenants, partitions left to their parents. Sums of what was measured are
 * stored by the clock, whoever does what, and are left out.
 */
export async function findTenantTables(sql: Sql): Promise<readonly TenantTable[]> {
  return await sql<TenantTable[]>`
    SELECT format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'tenant_id' AND NOT a.attisdropped
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND (n.nspname, c.relname) NOT IN (('core', 'metric_sample'), ('core', 'operation_time'), ('platform', 'metric_rollup'), ('platform', 'cache_report'))
    ORDER BY 1`;
}

/**
 * Rows of every table of the modules. Replicas follow the events of other modules at their own pace and are left out, and so
 * are what the processes tell of themselves, alerts of that, and what seals the audit a moment after it is written. What is of
 * no tenant, as the health that core follows, is told by the processes too. Who was let in, and who was not, is audited up
 * to a second later.
 */
export async function countRows(sql: Sql): Promise<Readonly<Record<string, number>>> {
  const tables = (await findTenantTables(sql))
    .map((table) => table.name)
    .filter((name) => !/\.replica$|^platform\.(log|metric|alert$|audit_(block|chain)$)/.test(name));
  const counts = tables.map(
    (name) =>
      `SELECT '${name.replaceAll("'", "''")}' AS name, count(*)::int AS count FROM ${name} WHERE tenant_id <> ''${name === 'platform.audit' ? ` AND NOT ${ofAccess}` : ''}`,
  );
  const rows = (await sql.unsafe(counts.join(' UNION ALL '), [], { prepare: true })) as unknown as {
    name: string;
    count: number;
  }[];
  return Object.fromEntries(rows.map((row) => [row.name, row.count]));
}

/** Audit rows of who was let in, and who was not. */
const ofAccess = `(action LIKE 'authentication.%' OR action = 'access.refused')`;

/** Rows without what the audit says of access, which callers of the own tenant add to, and without what seals it. */
export function withoutAccess(rows: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, readonly string[]> {
  const kept = [...rows].filter(([table]) => !/^platform[.]audit_(block|chain)$/.test(table));
  return new Map(
    kept.map(([table, list]) => [
      table,
      table === 'platform.audit'
        ? list.filter(
            (row) => !/^(authentication[.]|access[.]refused)/.test((JSON.parse(row) as { action: string }).action),
          )
        : list,
    ]),
  );
}

/** Waits until every consumer has read all events there are, those that consumers wrote meanwhile too. */
export async function waitForConsumers(sql: Sql): Promise<void> {
  const modules = await sql<{ name: string }[]>`
    SELECT n.nspname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'consumer_offset' AND c.relkind = 'r'`;
  const behind = modules.map(
    ({ name }) =>
      `SELECT consumer FROM ${name}.consumer_offset WHERE position < (SELECT coalesce(max(position), 0) FROM ${name}.event)`,
  );
  const deadline = Date.now() + 30_000;
  for (;;) {
    const rows = (await sql.unsafe(behind.join(' UNION ALL '), [], { prepare: true })) as unknown as {
      consumer: string;
    }[];
    if (rows.length === 0) return;
    if (Date.now() > deadline) throw new Error(`still behind: ${rows.map(({ consumer }) => consumer).join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Per table the rows of one tenant as text, sorted: what must not change under another tenant's hands. */
export async function readTenantRows(sql: Sql, tenant: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const tables = await findTenantTables(sql);
  const parts = tables.map(
    ({ name }, index) => `SELECT ${index} AS at, to_jsonb(t)::text AS row FROM ${name} t WHERE tenant_id = $1`,
  );
  // Planning hundreds of tables costs ten times what reading them does.
  await sql.unsafe('SET plan_cache_mode = force_generic_plan');
  const rows = (await sql.unsafe(parts.join(' UNION ALL '), [tenant], { prepare: true })) as unknown as {
    at: number;
    row: string;
  }[];
  const found = tables.map((): string[] => []);
  for (const { at, row } of rows) found[at]!.push(row);
  return new Map(tables.map(({ name }, index) => [name, found[index]!.toSorted()]));
}

/** Waits until background work has nothing left to do for a tenant. */
export async function waitUntilQuiet(sql: Sql, tenant: string): Promise<void> {
  let before = '';
  for (let quiet = 0; quiet < 3; ) {
    const rows = await readTenantRows(sql, tenant);
    const now = JSON.stringify([...rows]);
    quiet = now === before && isSealed(rows) ? quiet + 1 : 0;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

/** Whether blocks cover all audit rows of the tenant. */
function isSealed(rows: ReadonlyMap<string, readonly string[]>): boolean {
  const audits = [...rows].filter(([table]) => table.endsWith('.audit')).flatMap(([, list]) => list);
  const blocks = (rows.get('platform.audit_block') ?? []).map((row) => JSON.parse(row) as { row_count: number });
  return blocks.reduce((sum, block) => sum + block.row_count, 0) === audits.length;
}

/** Payloads of jobs that name a tenant. */
export async function readTenantJobs(sql: Sql, tenant: string): Promise<readonly string[]> {
  const rows = await sql<
    { payload: string }[]
  >`SELECT payload::text AS payload FROM graphile_worker._private_jobs WHERE payload::text LIKE ${`%${tenant}%`} ORDER BY 1`;
  return rows.map(({ payload }) => payload);
}
