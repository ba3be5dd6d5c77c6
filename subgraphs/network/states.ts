import { PlatformError } from '#shared/errors.ts';
import { weakComponents } from './graph/components.ts';
import type { NetworkNodeRow, NetworkRow, NetworkStatusValue } from './rows.ts';
import { isUp, type Topology } from './topology.ts';

/** Statuses in which connections are taken. */
export const openStatuses: readonly NetworkStatusValue[] = ['active', 'degraded'];

/** Where an operation leads from a status; nothing leads out of retired. */
export const moves: Readonly<Record<'provision' | 'maintain' | 'resume' | 'retire', readonly NetworkStatusValue[]>> = {
  provision: ['draft', 'provisioning'],
  maintain: ['active', 'degraded'],
  resume: ['maintenance'],
  retire: ['provisioning', 'active', 'degraded', 'maintenance'],
};

/** @throws {INVALID_STATE_TRANSITION} */
export function requireMove({ status }: Pick<NetworkRow, 'status'>, move: keyof typeof moves): void {
  if (!moves[move].includes(status))
    throw new PlatformError(
      'INVALID_STATE_TRANSITION',
      `${move}: expected ${moves[move].map((one) => one.toUpperCase()).join(' or ')}, the network is ${status.toUpperCase()}`,
      { path: ['networkId'], details: { status: status.toUpperCase() } },
    );
}

/**
 * How a network in service does: active where all required nodes are up and all that are up reach each other, whatever the
 * direction of links.
 */
export function computedStatus(
  nodes: readonly NetworkNodeRow[],
  topology: Topology,
): { readonly status: NetworkStatusValue; readonly reason: string | null } {
  const down = nodes.filter(({ required, status }) => required && !isUp(status));
  if (down.length > 0)
    return {
      status: 'degraded',
      reason: `${down.length} required ${down.length === 1 ? 'node is' : 'nodes are'} down`,
    };
  if (nodes.every(({ status }) => !isUp(status))) return { status: 'degraded', reason: 'no node is up' };
  const { count } = weakComponents(topology.graph, {
    nodes: topology.isNodeUp.map((up) => 1 - up),
    links: topology.isLinkUp.map((up) => 1 - up),
  });
  return count === 1
    ? { status: 'active', reason: null }
    : { status: 'degraded', reason: `what is up has fallen into ${count} parts` };
}
