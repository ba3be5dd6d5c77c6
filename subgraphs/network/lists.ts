import type { ChildList } from '#shared/childPages.ts';
import { type Connection, createConnection, type Page, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from './access.ts';
import * as inputs from './inputs.ts';
import type { NetworkConnectionRow, NetworkNodeRow, NetworkRow } from './rows.ts';
import { connectionColumns, networkColumns, nodeColumns, nodeTables, read } from './store.ts';

/** Networks of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listNetworks(
  sql: Sql,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rawFilter: unknown,
  input: PageInput,
): Promise<Connection<NetworkRow>> {
  const filter = parseInput(inputs.filter, rawFilter ?? {}, ['filter']);
  const page = readPage('networks', 2, input);
  const parameters: unknown[] = [scope.principal.tenantId];
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const where = ['n.tenant_id = $1'];
  const viewer = viewerOf(scope.principal);
  if (viewer !== null) where.push(visibleCondition('n', param(viewer)));
  if (filter.contextId != null) where.push(`n.context_id = ${param(filter.contextId)}`);
  const lower = (values: readonly string[]) => values.map((value) => value.toLowerCase());
  if (filter.status != null) where.push(`n.status = ANY(${param(lower(filter.status))}::text[])`);
  if (filter.topologyType != null) where.push(`n.topology_type = ANY(${param(lower(filter.topologyType))}::text[])`);
  if (filter.namePattern != null)
    where.push(`n.name ILIKE ${param(`%${filter.namePattern.replace(/[\\%_]/g, '\\$&')}%`)}`);
  const backward = page.direction === 'backward';
  if (page.from !== null) {
    const [at, id] = placeOf(page.from);
    const time = `${param(at)}::text::timestamptz`;
    where.push(
      `(n.created_at ${backward ? '>' : '<'} ${time} OR (n.created_at = ${time} AND n.id ${backward ? '<' : '>'} ${param(id)}::uuid))`,
    );
  }
  const noted = noteListAccess(sql, scope);
  const rows = await read<NetworkRow>(
    sql,
    `SELECT ${networkColumns} FROM network.network n WHERE ${where.join(' AND ')} ORDER BY n.created_at ${backward ? 'ASC' : 'DESC'}, n.id ${backward ? 'DESC' : 'ASC'} LIMIT ${param(page.limit + 1)}`,
    parameters,
  );
  await noted;
  return createConnection<NetworkRow>('networks', page, rows, (row) => [row.createdAt, row.id]);
}

function placeOf([at, id]: NonNullable<Page['from']>): readonly [string, string] {
  if (typeof at !== 'string' || Number.isNaN(Date.parse(at)) || !isId(id))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  return [at, id];
}

/** Networks of a context that the caller sees, newest first. */
export function networksOfContext(principal: Principal, status: readonly string[] | null): ChildList<NetworkRow> {
  return {
    list: 'contextNetworks',
    columns: networkColumns,
    from: () => 'network.network n',
    parent: { type: 'uuid', condition: 'n.context_id = k.parent' },
    sort: [
      { column: 'n.created_at', type: 'timestamptz', keyOf: ({ createdAt }) => createdAt },
      { column: 'n.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    descending: true,
    conditions(parameters) {
      const viewer = `$${parameters.push(viewerOf(principal))}`;
      return [
        `n.tenant_id = $${parameters.push(principal.tenantId)}`,
        `(${viewer}::text[] IS NULL OR ${visibleCondition('n', viewer)})`,
        ...(status === null ? [] : [`n.status = ANY($${parameters.push(status)}::text[])`]),
      ];
    },
  };
}

/** Connections of a network, newest first. */
export function connectionsOfNetwork(
  tenantId: string,
  status: readonly string[] | null,
): ChildList<NetworkConnectionRow> {
  return {
    list: 'networkConnections',
    columns: connectionColumns,
    from: () => 'network.connection c',
    parent: { type: 'uuid', condition: 'c.network_id = k.parent' },
    sort: [
      { column: 'c.created_at', type: 'timestamptz', keyOf: ({ createdAt }) => createdAt },
      { column: 'c.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    descending: true,
    conditions: (parameters) => [
      `c.tenant_id = $${parameters.push(tenantId)}`,
      ...(status === null ? [] : [`c.status = ANY($${parameters.push(status)}::text[])`]),
    ],
  };
}

/** Nodes that name a role, network by network, of those that the caller sees. */
export function nodesOfRole(principal: Principal): ChildList<NetworkNodeRow> {
  return {
    list: 'roleNetworkNodes',
    columns: nodeColumns,
    from: () => `${nodeTables} JOIN network.network n ON n.tenant_id = d.tenant_id AND n.id = d.network_id`,
    parent: { type: 'text', condition: 'd.role_id = k.parent' },
    sort: [
      { column: 'd.network_id', type: 'uuid', keyOf: ({ networkId }) => networkId },
      { column: 'd.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    conditions(parameters) {
      const viewer = `$${parameters.push(viewerOf(principal))}`;
      return [
        `d.tenant_id = $${parameters.push(principal.tenantId)}`,
        `(${viewer}::text[] IS NULL OR ${visibleCondition('n', viewer)})`,
      ];
    },
  };
}
