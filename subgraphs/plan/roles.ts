import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

const deleted = 'deleted';
const byIdText = 'query PlanRole($id: ID!) { role(roleId: $id) { id name status } }';
const byNameText =
  'query PlanRoleByName($name: String!) { roles(filter: { text: $name }, first: 100) { nodes { id name status } } }';

interface AskedRole {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

/** What this module knows of roles: their ids and names. */
export interface Roles {
  /** Id of the role that each name means, by its id or else by its name; null where there is none. In the order given. */
  findIds(principal: Principal, names: readonly string[]): Promise<readonly (string | null)[]>;
  follow(): Promise<Consumer>;
}

export function createRoles(runtime: ModuleRuntime): Roles {
  const { sql, graph } = runtime;
  const replica = createReplica({
    ...{ sql, graph, module: 'plan', type: 'Role' },
    async ask(asked, id, principal) {
      const { data } = await asked.execute<{ role: AskedRole | null }>(byIdText, { id }, principal);
      return data?.role ? toEntry(data.role) : null;
    },
  });

  async function findKnown(tenantId: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = (await sql.unsafe(
      `SELECT k.name, (SELECT r.id FROM plan.replica r WHERE r.tenant_id = $1 AND r.type = 'Role' AND r.status <> '${deleted}'
         AND (r.id = k.id OR r.detail->>'name' = k.name) ORDER BY r.id = k.id DESC NULLS LAST, r.id LIMIT 1) AS id
       FROM unnest($2::text[], $3::uuid[]) AS k(name, id)`,
      [tenantId, names as string[], names.map((name) => (isId(name) ? name : null))],
      { prepare: true },
    )) as unknown as { name: string; id: string | null }[];
    return new Map(rows.flatMap(({ name, id }) => (id === null ? [] : [[name, id] as const])));
  }

  /** A role that no event has told of is looked for in the graph before it is said to be none. */
  async function ask(principal: Principal, name: string): Promise<string | null> {
    if (isId(name)) {
      const entry = await replica.find(principal, name);
      if (entry) return entry.status === deleted ? null : entry.id;
    }
    const { data } = await graph.execute<{ roles: { nodes: readonly AskedRole[] } }>(byNameText, { name }, principal);
    const role = data?.roles?.nodes.find((entry) => entry.name === name);
    if (!role) return null;
    await replica.apply(sql, [{ ...toEntry(role), tenantId: principal.tenantId, sequence: 0 }]);
    return role.id;
  }

  return {
    async findIds(principal, names) {
      const known = await findKnown(principal.tenantId, [...new Set(names)]);
      const missing = [...new Set(names.filter((name) => !known.has(name)))];
      const asked = new Map(
        await Promise.all(missing.map(async (name) => [name, await ask(principal, name)] as const)),
      );
      return names.map((name) => known.get(name) ?? asked.get(name) ?? null);
    },
    follow: () =>
      createConsumer({
        name: 'plan.roles',
        module: 'role',
        types: ['role.created', 'role.updated', 'role.status.changed', 'role.deleted'],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('role'),
        bus: runtime.bus,
        logger: runtime.logger,
        handle: (events) => replica.apply(sql, replicaChanges(events, readRole)),
      }),
  };
}

function toEntry({ id, name, status }: AskedRole): ReplicaEntry {
  return { id, status: status.toLowerCase(), detail: { name } };
}

function readRole(event: EventRow): ReplicaEntry | null {
  const role = event.data['role'] as { id?: unknown; name?: unknown; status?: unknown } | undefined;
  if (typeof role?.id !== 'string' || typeof role.name !== 'string') return null;
  const status = event.type === 'role.deleted' ? deleted : String(role.status);
  return toEntry({ id: role.id, name: role.name, status });
}
