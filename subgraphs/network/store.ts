import { isoText, type RecordShape } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import {
  connectionRecord,
  linkRecord,
  messageRecord,
  networkRecord,
  nodeRecord,
  runRecord,
  serviceRecord,
} from './columns.ts';
import type {
  NetworkConnectionRow,
  NetworkLinkRow,
  NetworkMessageRow,
  NetworkNodeRow,
  NetworkOptimizationRow,
  NetworkRow,
  NetworkServiceRow,
} from './rows.ts';

export type Db = Sql | SqlTransaction;

const networkColumns = networkRecord.select('n');
const linkColumns = linkRecord.select('l');
export const connectionColumns = connectionRecord.select('c');
export const serviceColumns = serviceRecord.select('s');
const messageColumns = messageRecord.select('m');
const runColumns = runRecord.select('r');

export { networkColumns };

/** SQL for what is told of a node's circuit, `c` being its row; null of one that never failed. */
const circuitColumn = `CASE WHEN c.node_id IS NULL THEN NULL ELSE json_build_object(
  'state', CASE WHEN c.opened_at IS NULL OR c.trial_until <= clock_timestamp() THEN 'CLOSED' WHEN c.retry_at > clock_timestamp() OR c.trial_until IS NOT NULL THEN 'OPEN' ELSE 'HALF_OPEN' END,
  'failures', cardinality(c.failed_at), 'openings', c.openings, 'reason', c.reason, 'openedAt', ${isoText('c.opened_at')}, 'retryAt', ${isoText('c.retry_at')}) END AS circuit`;

/** A node with the last sign of life and its circuit. */
export const nodeColumns = `${nodeRecord.select('d')}, h.load, ${isoText('h.last_at')} AS "lastHeartbeatAt", ${circuitColumn}`;
export const nodeTables =
  'network.node d LEFT JOIN network.heartbeat h ON h.tenant_id = d.tenant_id AND h.network_id = d.network_id AND h.node_id = d.id LEFT JOIN network.circuit c ON c.tenant_id = d.tenant_id AND c.network_id = d.network_id AND c.node_id = d.id';

export async function read<Row>(db: Db, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

export function findNetworks(db: Db, tenantId: string, ids: readonly string[]): Promise<NetworkRow[]> {
  return read(db, `SELECT ${networkColumns} FROM network.network n WHERE n.tenant_id = $1 AND n.id = ANY($2::uuid[])`, [
    tenantId,
    ids,
  ]);
}

export async function lockNetwork(tx: SqlTransaction, tenantId: string, id: string): Promise<NetworkRow | null> {
  const [row] = await read<NetworkRow>(
    tx,
    `SELECT ${networkColumns} FROM network.network n WHERE n.tenant_id = $1 AND n.id = $2 FOR UPDATE`,
    [tenantId, id],
  );
  return row ?? null;
}

export function findNodes(db: Db, tenantId: string, networkIds: readonly string[]): Promise<NetworkNodeRow[]> {
  return read(
    db,
    `SELECT ${nodeColumns} FROM ${nodeTables} WHERE d.tenant_id = $1 AND d.network_id = ANY($2::uuid[]) ORDER BY d.network_id, d.place`,
    [tenantId, networkIds],
  );
}

export function findNodesById(
  db: Db,
  tenantId: string,
  keys: readonly { readonly networkId: string; readonly id: string }[],
): Promise<NetworkNodeRow[]> {
  return read(
    db,
    `SELECT ${nodeColumns} FROM unnest($2::uuid[], $3::uuid[]) AS k(network_id, id), ${nodeTables} WHERE d.tenant_id = $1 AND d.network_id = k.network_id AND d.id = k.id`,
    [tenantId, keys.map(({ networkId }) => networkId), keys.map(({ id }) => id)],
  );
}

export function findLinks(db: Db, tenantId: string, networkIds: readonly string[]): Promise<NetworkLinkRow[]> {
  return read(
    db,
    `SELECT ${linkColumns} FROM network.link l WHERE l.tenant_id = $1 AND l.network_id = ANY($2::uuid[]) ORDER BY l.network_id, l.place`,
    [tenantId, networkIds],
  );
}

export function findLinksById(db: Db, tenantId: string, ids: readonly string[]): Promise<NetworkLinkRow[]> {
  return read(db, `SELECT ${linkColumns} FROM network.link l WHERE l.tenant_id = $1 AND l.id = ANY($2::uuid[])`, [
    tenantId,
    ids,
  ]);
}

export function findConnections(db: Db, tenantId: string, ids: readonly string[]): Promise<NetworkConnectionRow[]> {
  return read(
    db,
    `SELECT ${connectionColumns} FROM network.connection c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );
}

/** Open connections of a network, those that wait among them, the more urgent first, then the older. */
export function findOpenConnections(db: Db, tenantId: string, networkId: string): Promise<NetworkConnectionRow[]> {
  return read(
    db,
    `SELECT ${connectionColumns} FROM network.connection c WHERE c.tenant_id = $1 AND c.network_id = $2 AND c.closed_at IS NULL
     ORDER BY c.priority DESC, c.created_at, c.id`,
    [tenantId, networkId],
  );
}

export function findServices(db: Db, tenantId: string, ids: readonly string[]): Promise<NetworkServiceRow[]> {
  return read(db, `SELECT ${serviceColumns} FROM network.service s WHERE s.tenant_id = $1 AND s.id = ANY($2::uuid[])`, [
    tenantId,
    ids,
  ]);
}

/** Services whose time is not over. */
export function findServicesOf(db: Db, tenantId: string, networkIds: readonly string[]): Promise<NetworkServiceRow[]> {
  return read(
    db,
    `SELECT ${serviceColumns} FROM network.service s WHERE s.tenant_id = $1 AND s.network_id = ANY($2::uuid[]) AND (s.expires_at IS NULL OR s.expires_at > now())
     ORDER BY s.network_id, s.name, s.service_version, s.id`,
    [tenantId, networkIds],
  );
}

export async function findMessage(db: Db, tenantId: string, id: string): Promise<NetworkMessageRow | null> {
  const [row] = await read<NetworkMessageRow>(
    db,
    `SELECT ${messageColumns} FROM network.message m WHERE m.tenant_id = $1 AND m.id = $2`,
    [tenantId, id],
  );
  return row ?? null;
}

export async function findRun(db: Db, tenantId: string, id: string): Promise<NetworkOptimizationRow | null> {
  const [row] = await read<NetworkOptimizationRow>(
    db,
    `SELECT ${runColumns} FROM network.run r WHERE r.tenant_id = $1 AND r.id = $2`,
    [tenantId, id],
  );
  return row ?? null;
}

/** Inserts rows in one statement; with keys, takes over everything behind them where a row is there. */
async function write<Row>(
  tx: SqlTransaction,
  table: string,
  shape: RecordShape<Row>,
  { rows, keys }: { readonly rows: readonly Row[]; readonly keys?: readonly [names: string, count: number] },
): Promise<void> {
  if (rows.length === 0) return;
  await tx.unsafe(
    `INSERT INTO ${table} (${shape.names}) SELECT ${shape.from('x')} FROM json_to_recordset($1::text::json) AS x(${shape.recordset}) ORDER BY x.ord${
      keys === undefined ? '' : ` ON CONFLICT (${keys[0]}) DO UPDATE SET ${shape.assignments(keys[1])}`
    }`,
    [JSON.stringify(rows.map((row, ord) => shape.toRecord(row, ord)))],
    { prepare: true },
  );
}

export const insertNetworks = (tx: SqlTransaction, rows: readonly NetworkRow[]) =>
  write(tx, 'network.network', networkRecord, { rows });
export const saveNetwork = (tx: SqlTransaction, row: NetworkRow) =>
  write(tx, 'network.network', networkRecord, { rows: [row], keys: ['tenant_id, id', 2] });
export const insertNodes = (tx: SqlTransaction, rows: readonly NetworkNodeRow[]) =>
  write(tx, 'network.node', nodeRecord, { rows });
export const saveNodes = (tx: SqlTransaction, rows: readonly NetworkNodeRow[]) =>
  write(tx, 'network.node', nodeRecord, { rows, keys: ['tenant_id, network_id, id', 3] });
export const insertLinks = (tx: SqlTransaction, rows: readonly NetworkLinkRow[]) =>
  write(tx, 'network.link', linkRecord, { rows });
export const saveLinks = (tx: SqlTransaction, rows: readonly NetworkLinkRow[]) =>
  write(tx, 'network.link', linkRecord, { rows, keys: ['tenant_id, id', 2] });
export const insertConnections = (tx: SqlTransaction, rows: readonly NetworkConnectionRow[]) =>
  write(tx, 'network.connection', connectionRecord, { rows });
export const saveConnections = (tx: SqlTransaction, rows: readonly NetworkConnectionRow[]) =>
  write(tx, 'network.connection', connectionRecord, { rows, keys: ['tenant_id, id', 2] });
export const saveMessage = (tx: SqlTransaction, row: NetworkMessageRow) =>
  write(tx, 'network.message', messageRecord, { rows: [row], keys: ['tenant_id, id', 2] });
export const insertRun = (tx: SqlTransaction, row: NetworkOptimizationRow) =>
  write(tx, 'network.run', runRecord, { rows: [row] });
export const saveRun = (tx: SqlTransaction, row: NetworkOptimizationRow) =>
  write(tx, 'network.run', runRecord, { rows: [row], keys: ['tenant_id, id', 2] });

/** Registers a service, or renews the one of the same provider, name and version under its own id. */
export async function saveService(tx: SqlTransaction, row: NetworkServiceRow): Promise<NetworkServiceRow> {
  const [saved] = await read<NetworkServiceRow>(
    tx,
    `INSERT INTO network.service AS s (${serviceRecord.names}) SELECT ${serviceRecord.from('x')} FROM json_to_recordset($1::text::json) AS x(${serviceRecord.recordset})
     ON CONFLICT (tenant_id, network_id, provider_node_id, name, service_version) DO UPDATE SET endpoints = EXCLUDED.endpoints, capabilities = EXCLUDED.capabilities,
       weight = EXCLUDED.weight, ttl_ms = EXCLUDED.ttl_ms, expires_at = EXCLUDED.expires_at, registered_by = EXCLUDED.registered_by
     RETURNING ${serviceColumns}`,
    [JSON.stringify([serviceRecord.toRecord(row, 0)])],
  );
  return saved!;
}
