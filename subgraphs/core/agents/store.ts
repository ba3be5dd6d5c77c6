import { readChildPage } from '#shared/childPages.ts';
import { type Connection, createConnection, type PageInput } from '#shared/connection.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import * as inputs from './inputs.ts';
import { type AgentRow, agentRecord } from './rows.ts';

type Db = Sql | SqlTransaction;
const list = 'registeredAgents';
const columns = agentRecord.select('a');

async function read(db: Db, text: string, parameters: readonly unknown[]): Promise<AgentRow[]> {
  return (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as AgentRow[];
}

export const findAgents = (db: Db, tenantId: string, ids: readonly string[]): Promise<AgentRow[]> =>
  read(db, `SELECT ${columns} FROM core.agent a WHERE a.tenant_id = $1 AND a.agent_id = ANY($2::text[])`, [
    tenantId,
    ids,
  ]);

export async function lockAgent(tx: SqlTransaction, tenantId: string, agentId: string): Promise<AgentRow | null> {
  const [row] = await read(
    tx,
    `SELECT ${columns} FROM core.agent a WHERE a.tenant_id = $1 AND a.agent_id = $2 FOR UPDATE`,
    [tenantId, agentId],
  );
  return row ?? null;
}

/** Now by the database's clock, ms: instances agree on it. */
export async function readNowMs(tx: SqlTransaction): Promise<number> {
  const [row] = (await tx.unsafe('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms', [], {
    prepare: true,
  })) as unknown as { ms: number }[];
  return row!.ms;
}

/** Stores an agent, or takes over all that is said of it anew. */
export async function saveAgent(tx: SqlTransaction, row: AgentRow): Promise<AgentRow> {
  const [saved] = await read(
    tx,
    `INSERT INTO core.agent AS a (${agentRecord.names}) SELECT ${agentRecord.from('x')} FROM json_to_recordset($1::text::json) AS x(${agentRecord.recordset})
     ON CONFLICT (tenant_id, agent_id) DO UPDATE SET ${agentRecord.assignments(2)}
     RETURNING ${columns}`,
    [JSON.stringify([agentRecord.toRecord(row, 0)])],
  );
  return saved!;
}

export async function setStatus(
  tx: SqlTransaction,
  { tenantId, agentId, version }: AgentRow,
  status: AgentRow['status'],
): Promise<AgentRow> {
  const [row] = await read(
    tx,
    `UPDATE core.agent a SET status = $3, version = $4 WHERE a.tenant_id = $1 AND a.agent_id = $2 RETURNING ${columns}`,
    [tenantId, agentId, status, version + 1],
  );
  return row!;
}

export async function removeAgent(tx: SqlTransaction, tenantId: string, agentId: string): Promise<void> {
  await tx.unsafe('DELETE FROM core.agent WHERE tenant_id = $1 AND agent_id = $2', [tenantId, agentId], {
    prepare: true,
  });
}

export async function countAgents(tx: SqlTransaction, tenantId: string): Promise<number> {
  const [row] = (await tx.unsafe('SELECT count(*)::int AS count FROM core.agent WHERE tenant_id = $1', [tenantId], {
    prepare: true,
  })) as unknown as { count: number }[];
  return row!.count;
}

/** Agents whose silence is longer than they said it would be. */
export async function findSilent(
  sql: Sql,
  limit: number,
): Promise<{ readonly tenantId: string; readonly agentId: string }[]> {
  return (await sql.unsafe(
    `SELECT tenant_id AS "tenantId", agent_id AS "agentId" FROM core.agent WHERE expires_at < clock_timestamp() AND status <> 'lost' ORDER BY expires_at LIMIT $1`,
    [limit],
    { prepare: true },
  )) as unknown as { tenantId: string; agentId: string }[];
}

/** Agents that are online, have all the capabilities and room for so many tasks; those with the most room by their capacity first. */
export function discover(
  sql: Sql,
  tenantId: string,
  {
    capabilities,
    free,
    first,
  }: { readonly capabilities: readonly string[]; readonly free: number; readonly first: number },
): Promise<AgentRow[]> {
  return read(
    sql,
    `SELECT ${columns} FROM core.agent a WHERE a.tenant_id = $1 AND a.status = 'online' AND a.expires_at >= clock_timestamp()
       AND a.capabilities @> $2::text[] AND a.capacity - a.active_tasks >= $3
     ORDER BY a.active_tasks::float8 / a.capacity, coalesce(a.load, 0), a.agent_id LIMIT $4`,
    [tenantId, capabilities, free, first],
  );
}

/** Agents of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listAgents(
  sql: Sql,
  tenantId: string,
  rawFilter: unknown,
  input: PageInput,
): Promise<Connection<AgentRow>> {
  const filter = parseInput(inputs.filter, rawFilter ?? {}, ['filter']);
  const page = readChildPage({ list, sort: [{ type: 'timestamptz' }, { type: 'text' }] }, input);
  const parameters: unknown[] = [tenantId];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const where = ['a.tenant_id = $1'];
  if (filter.status != null)
    where.push(`a.status = ANY(${bind(filter.status.map((one) => one.toLowerCase()))}::text[])`);
  if (filter.capability != null) where.push(`a.capabilities @> ARRAY[${bind(filter.capability)}::text]`);
  if (filter.namePattern != null) where.push(`strpos(lower(a.name), lower(${bind(filter.namePattern)}::text)) > 0`);
  const backward = page.direction === 'backward';
  if (page.from !== null) {
    const [at, id] = page.from;
    where.push(
      `(a.registered_at, a.agent_id) ${backward ? '>' : '<'} (${bind(at)}::text::timestamptz, ${bind(id)}::text)`,
    );
  }
  const order = backward ? 'ASC' : 'DESC';
  const rows = await read(
    sql,
    `SELECT ${columns} FROM core.agent a WHERE ${where.join(' AND ')} ORDER BY a.registered_at ${order}, a.agent_id ${order} LIMIT ${bind(page.limit + 1)}`,
    parameters,
  );
  return createConnection(list, page, rows, (row) => [row.registeredAt, row.agentId]);
}
