import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

const askRole = 'query CollabRole($id: ID!) { role(roleId: $id) { id name status } }';
const askNodes =
  'query CollabNodes($id: ID!) { network(networkId: $id) { nodes { agentId status circuit { state } } } }';
/** Objects that a collaboration may name, and how the graph is asked which context they lie in. */
const asks = {
  planId: 'query CollabPlan($id: ID!) { found: plan(planId: $id) { context { id } } }',
  dialogId: 'query CollabDialog($id: ID!) { found: dialog(id: $id) { context { id } } }',
  networkId: 'query CollabNetwork($id: ID!) { found: network(networkId: $id) { context { id } } }',
  confirmId: 'query CollabConfirm($id: ID!) { found: confirm(id: $id) { context { id } } }',
} as const;

interface AskedNode {
  readonly agentId: string | null;
  readonly status: string;
  readonly circuit: { readonly state: string };
}

interface AskedRole {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

/** What a collaboration names beside its context: roles, a plan, a dialog, a confirm. */
export function createReferences(runtime: ModuleRuntime) {
  const { sql, graph } = runtime;
  const roles = createReplica({
    ...{ sql, graph, module: 'collab', type: 'Role' },
    async ask(asked, id, principal) {
      const { data, errors } = await asked.execute<{ role: AskedRole | null }>(askRole, { id }, principal);
      if (!data?.role && errors.length > 0 && errors.every(({ code }) => code !== 'NOT_FOUND'))
        throw new PlatformError('UNAVAILABLE', 'the role could not be looked up', { path: ['input', 'roleId'] });
      return data?.role ? toEntry(data.role) : null;
    },
  });

  return {
    /**
     * Ids of roles have to be known; any other text is a name of the session's own, as the frozen form allows it.
     * @throws {ROLE_NOT_FOUND} {UNAVAILABLE}
     */
    async requireRoles(principal: Principal, roleIds: readonly (string | null | undefined)[]): Promise<void> {
      const asked = [...new Set(roleIds.filter((id) => id != null && isId(id)))] as string[];
      const found = await Promise.all(asked.map((id) => roles.find(principal, id)));
      const missing = asked.filter((_id, at) => found[at] === null || found[at]?.status === 'deleted');
      if (missing.length > 0)
        throw new PlatformError('ROLE_NOT_FOUND', 'a participant has a role that does not exist', {
          path: ['input', 'participants'],
          details: { roleIds: missing },
        });
    },

    /** @throws {NOT_FOUND} unless each object named lies in the context. */
    async requireIn(
      principal: Principal,
      contextId: string,
      named: Readonly<Partial<Record<keyof typeof asks, string | null | undefined>>>,
    ): Promise<void> {
      await Promise.all(
        (Object.keys(asks) as (keyof typeof asks)[]).map(async (name) => {
          const id = named[name];
          if (id == null) return;
          const { data, errors } = await graph.execute<{ found: { context: { id: string } | null } | null }>(
            asks[name],
            { id },
            principal,
          );
          if (!data?.found && errors.length > 0)
            throw new PlatformError('UNAVAILABLE', `${name} could not be looked up`, { path: ['input', name] });
          if (data?.found?.context?.id !== contextId)
            throw new PlatformError('NOT_FOUND', `${name}: nothing of this id lies in the context`, {
              path: ['input', name],
            });
        }),
      );
    },

    /**
     * Agents whose node in the network is unreachable or has an open circuit: whoever calls them is likely to fail. Nobody,
     * where the caller may not read the network or it cannot be asked.
     */
    async failingAgents(principal: Principal, networkId: string): Promise<ReadonlySet<string>> {
      const { data } = await graph.execute<{ network: { nodes: readonly AskedNode[] } | null }>(
        askNodes,
        { id: networkId },
        principal,
      );
      return new Set(
        (data?.network?.nodes ?? []).flatMap(({ agentId, status, circuit }) =>
          agentId !== null && (status === 'UNREACHABLE' || circuit.state === 'OPEN') ? [agentId] : [],
        ),
      );
    },

    follow: (): Promise<Consumer> =>
      createConsumer({
        name: 'collab.roles',
        module: 'role',
        types: ['role.created', 'role.updated', 'role.status.changed', 'role.deleted'],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('role'),
        bus: runtime.bus,
        logger: runtime.logger,
        handle: (events) => roles.apply(sql, replicaChanges(events, readRole)),
      }),
  };
}

export type References = ReturnType<typeof createReferences>;

const toEntry = ({ id, name, status }: AskedRole): ReplicaEntry => ({
  id,
  status: status.toLowerCase(),
  detail: { name },
});

function readRole(event: EventRow): ReplicaEntry | null {
  const role = event.data['role'] as Partial<AskedRole> | undefined;
  if (typeof role?.id !== 'string') return null;
  return {
    id: role.id,
    status: event.type === 'role.deleted' ? 'deleted' : String(role.status).toLowerCase(),
    detail: { name: role.name ?? null },
  };
}
