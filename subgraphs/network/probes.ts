import { createAddressList } from '#shared/addressGuard.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { Circuits } from './circuits.ts';
import type { Commands } from './commands.ts';
import { networkEvent, unknownNode } from './events.ts';
import * as inputs from './inputs.ts';
import { requireNetwork } from './networkChanges.ts';
import type { NodeProbe } from './rows.ts';
import { findNodesById } from './store.ts';
import { ForeignAddress, type Reached, reach } from './transport.ts';

/** Probes at the same time in a process: more would be a scanner. */
const maxAtOnce = 16;

export type Probes = ReturnType<typeof createProbes>;

/** Reaching for nodes at their own addresses, where the operator lets addresses be reached for. */
export function createProbes({ sql, config }: ModuleRuntime, commands: Commands, circuits: Circuits) {
  const isAllowed = createAddressList(config.NETWORK_PROBE_NETWORKS ?? []);
  let running = 0;

  const refused = (path: readonly string[], message: string) => new PlatformError('PROBE_REFUSED', message, { path });

  /** @throws {PROBE_REFUSED} {UNAVAILABLE} */
  async function reachNode(
    { address }: { readonly address: unknown },
    { timeoutMs, path }: { readonly timeoutMs: number; readonly path: readonly string[] },
  ): Promise<Reached> {
    const at = address as { readonly host: string; readonly port: number; readonly protocol: string } | null;
    if (at === null) throw refused(path, 'the node has no address');
    if (at.protocol === 'UDP') throw refused(path, 'nobody answers to opening UDP: there is nothing to see');
    if (running >= maxAtOnce)
      throw new PlatformError('UNAVAILABLE', `${maxAtOnce} probes are under way`, { retryAfterMs: timeoutMs });
    running += 1;
    try {
      const isSecure = at.protocol === 'HTTPS' || at.protocol === 'WSS';
      return await reach({ host: at.host, port: at.port, isSecure }, { isAllowed, timeoutMs });
    } catch (error) {
      if (error instanceof ForeignAddress)
        throw refused(path, 'expected an address among those that the operator lets be reached for');
      throw error;
    } finally {
      running -= 1;
    }
  }

  /** @throws {NOT_FOUND} */
  async function findNode(scope: RequestScope, networkId: string, nodeId: string, path: readonly string[]) {
    if (!isId(networkId) || !isId(nodeId)) throw unknownNode(path);
    await requireVisible(sql, scope.principal, networkId);
    const [node] = await findNodesById(sql, scope.principal.tenantId, [{ networkId, id: nodeId }]);
    if (!node || node.status === 'retired') throw unknownNode(path);
    return node;
  }

  return {
    /**
     * Reaches for a node and keeps what came of it with the node.
     * @throws {NOT_FOUND} {PROBE_REFUSED} {UNAVAILABLE} {GOVERNANCE_LOCKED}
     */
    async probe(scope: RequestScope, raw: unknown): Promise<{ readonly networkId: string; readonly nodeId: string }> {
      const { idempotencyKey, ...input } = parseInput(inputs.probe, raw);
      const { networkId, nodeId, timeoutMs } = input;
      const call = { operation: 'probeNode', input, idempotencyKey };
      const known = await commands.known<{ networkId: string; nodeId: string }>(scope, call);
      if (known) return known;
      const node = await findNode(scope, networkId, nodeId, ['nodeId']);
      const reached = await reachNode(node, { timeoutMs, path: ['nodeId'] });
      const { tenantId } = scope.principal;
      await circuits.observe({ tenantId, networkId, nodeId: node.id }, callOf(reached));
      return commands.run(scope, call, async (tx) => {
        const network = await requireNetwork(tx, scope, networkId, null);
        const probe: NodeProbe = { ...reached, at: new Date().toISOString() };
        await tx.unsafe(
          'UPDATE network.node SET probe = $4::text::jsonb WHERE tenant_id = $1 AND network_id = $2 AND id = $3',
          [network.tenantId, networkId, nodeId, JSON.stringify(probe)],
          { prepare: true },
        );
        return {
          response: { networkId, nodeId },
          events: [networkEvent('node.probed', network, { nodeId, probe })],
          audit: [
            { action: 'network.node.probe', resource: 'Network', resourceId: networkId, detail: { nodeId, ...probe } },
          ],
        };
      });
    },

    /** A connection that asks for it is opened only to where somebody answers. @throws {NODE_UNREACHABLE} {PROBE_REFUSED} {UNAVAILABLE} {NOT_FOUND} */
    async requireReached(scope: RequestScope, networkId: string, nodeId: string, path: readonly string[]) {
      const node = await findNode(scope, networkId, nodeId, path);
      const reached = await reachNode(node, { timeoutMs: inputs.defaultProbeMs, path });
      const { reachable, error } = reached;
      await circuits.observe({ tenantId: scope.principal.tenantId, networkId, nodeId: node.id }, callOf(reached));
      if (!reachable)
        throw new PlatformError('NODE_UNREACHABLE', `nobody answers at the node's address: ${error}`, { path });
    },
  };
}

/** What a probe says of a node. */
const callOf = ({ reachable, error }: Reached) => ({
  ...{ succeeded: Number(reachable), failed: Number(!reachable) },
  reason: reachable ? null : `nobody answers at its address: ${error}`,
});
