import { findWay, type WayRequest } from './admission.ts';
import type { Reservations } from './reservations.ts';
import type { StoredWay } from './rows.ts';
import { linkIdsOf, nodeIdsOf, type Topology } from './topology.ts';

/** The topology without the links of ways that are taken. */
export function besideWays(topology: Topology, ways: readonly (readonly number[])[]): Topology {
  const used = new Set(ways.flat().map((arc) => topology.graph.link[arc]!));
  return { ...topology, isLinkUp: topology.isLinkUp.map((up, link) => (used.has(link) ? 0 : up)) };
}

/** Ways that share no link with each other nor with those there are, up to as many as are asked for, the best first. */
export function furtherWays(
  topology: Topology,
  reservations: Reservations,
  request: WayRequest,
  { beside, count }: { readonly beside: readonly (readonly number[])[]; readonly count: number },
): readonly StoredWay[] {
  const found: (readonly number[])[] = [];
  const alone = { ...request, requirements: { ...request.requirements, failoverSupport: false } };
  while (found.length < count) {
    const next = findWay(besideWays(topology, [...beside, ...found]), reservations, alone);
    if (next.kind !== 'way') break;
    found.push(next.way.arcs);
  }
  return found.map((arcs) => ({ linkIds: linkIdsOf(topology, arcs), nodeIds: nodeIdsOf(topology, arcs) }));
}
