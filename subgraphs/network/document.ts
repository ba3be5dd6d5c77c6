import type { NetworkNodeRow, NetworkRow } from './rows.ts';

const version = '1.0.0';

/** The frozen MPLP form: snake_case, unset optionals absent. It knows nodes only; links stay in the platform's own record. */
export function toDocument(row: NetworkRow, nodes: readonly NetworkNodeRow[]): Record<string, unknown> {
  const kept = row.protocol ?? {};
  return {
    meta: kept['meta'] ?? {
      protocol_version: version,
      schema_version: version,
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
    ...(kept['governance'] === undefined ? {} : { governance: kept['governance'] }),
    network_id: row.id,
    context_id: row.contextId,
    name: row.name,
    ...(row.description === null ? {} : { description: row.description }),
    topology_type: row.topologyType,
    status: row.status,
    ...(nodes.length === 0 && kept['hasNodes'] !== true
      ? {}
      : {
          nodes: nodes.map((node) => ({
            node_id: node.id,
            ...(node.name === null ? {} : { name: node.name }),
            kind: node.kind,
            ...(node.roleId === null ? {} : { role_id: node.roleId }),
            status: node.status,
          })),
        }),
    ...(kept['trace'] === undefined ? {} : { trace: kept['trace'] }),
    ...(kept['events'] === undefined ? {} : { events: kept['events'] }),
  };
}
