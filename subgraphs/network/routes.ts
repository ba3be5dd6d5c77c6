import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import { findWay } from './admission.ts';
import { isBounded, leftOfTotal } from './bandwidth.ts';
import { ownRouting } from './connections.ts';
import { unknownNode } from './events.ts';
import { byArc } from './graph/digraph.ts';
import { kShortestPaths } from './graph/kShortest.ts';
import * as inputs from './inputs.ts';
import { createReservations, toKbps, toMbps } from './reservations.ts';
import type { PathMetrics, TrafficClass } from './rows.ts';
import type { NetworkSnapshot, Topologies } from './topologies.ts';
import { avoiding, linkIdsOf, metricsOf, nodeIdsOf, type Topology } from './topology.ts';

export interface HopValue {
  readonly hop: number;
  readonly linkId: string;
  readonly nodeId: string;
  readonly nextHop: string;
}

export interface RouteValue {
  readonly hops: HopValue[];
  readonly metrics: PathMetrics;
  readonly residualMbps: number | null;
  readonly backup: HopValue[] | null;
}

/** Hops of a way by its links and nodes. */
export function toHops(linkIds: readonly string[], nodeIds: readonly string[]): HopValue[] {
  return linkIds.map((linkId, at) => ({ hop: at + 1, linkId, nodeId: nodeIds[at]!, nextHop: nodeIds[at + 1]! }));
}

const hopsOf = (topology: Topology, arcs: readonly number[]) =>
  toHops(linkIdsOf(topology, arcs), nodeIdsOf(topology, arcs));

/** Ways through networks, as they are now. */
export function createRoutes({ sql }: ModuleRuntime, topologies: Topologies) {
  async function open(scope: RequestScope, networkId: string): Promise<NetworkSnapshot> {
    const snapshot = await topologies.find(sql, scope.principal.tenantId, networkId);
    if (!snapshot) throw unknownNetwork();
    await requireVisible(sql, scope.principal, networkId);
    return snapshot;
  }

  /** @throws {NOT_FOUND} {VALIDATION_FAILED} for two ends that are one. */
  function endsOf({ topology }: NetworkSnapshot, source: string, target: string) {
    const [from, to] = [source, target].map((id, at) => {
      const place = topology.nodeIndex.get(id);
      if (place === undefined) throw unknownNode([at === 0 ? 'source' : 'target']);
      return place;
    }) as [number, number];
    if (from === to) throw new PlatformError('VALIDATION_FAILED', 'expected two nodes, got one', { path: ['target'] });
    return { source: from, target: to };
  }

  return {
    /** Null where no way has what is asked for. @throws {NOT_FOUND} {VALIDATION_FAILED} */
    async route(
      scope: RequestScope,
      args: {
        readonly networkId: string;
        readonly source: string;
        readonly target: string;
        readonly requirements?: unknown;
        readonly trafficClass: string;
      },
    ): Promise<RouteValue | null> {
      const given =
        args.requirements == null ? null : parseInput(inputs.requirements, args.requirements, ['requirements']);
      const snapshot = await open(scope, args.networkId);
      const topology = avoiding(snapshot.topology, snapshot.blocked);
      const asked = given ?? { bandwidthMbps: 0, failoverSupport: false, routing: null };
      const requirements = ownRouting(asked, snapshot.config);
      const trafficClass = args.trafficClass.toLowerCase() as TrafficClass;
      const reservations = createReservations(topology.capacityKbps, snapshot.reserved, snapshot.config);
      const admission = findWay(topology, reservations, {
        ...endsOf(snapshot, args.source, args.target),
        ...{ requirements, trafficClass },
        bandwidthKbps: toKbps(requirements.bandwidthMbps),
      });
      if (admission.kind !== 'way') return null;
      const { tenantId } = scope.principal;
      const left = !isBounded(snapshot.config)
        ? null
        : await leftOfTotal(sql, { tenantId, networkId: args.networkId }, trafficClass);
      if (left !== null && left < toKbps(requirements.bandwidthMbps)) return null;
      const { arcs, metrics, backup } = admission.way;
      const residual = Math.min(
        left ?? Number.POSITIVE_INFINITY,
        ...arcs.map((arc) => reservations.residual(topology.graph.link[arc]!, trafficClass)),
      );
      return {
        hops: hopsOf(topology, arcs),
        metrics,
        residualMbps: toMbps(Math.max(0, residual)),
        backup: backup && hopsOf(topology, backup),
      };
    },

    /** @throws {NOT_FOUND} {VALIDATION_FAILED} */
    async shortest(
      scope: RequestScope,
      args: {
        readonly networkId: string;
        readonly source: string;
        readonly target: string;
        readonly k: number;
        readonly metric: string;
      },
    ): Promise<RouteValue[]> {
      if (args.k < 1 || args.k > 50)
        throw new PlatformError('VALIDATION_FAILED', `k: expected 1 to 50, got ${args.k}`, { path: ['k'] });
      const snapshot = await open(scope, args.networkId);
      const { topology } = snapshot;
      const { graph, isLinkUp } = topology;
      const values =
        args.metric === 'HOPS'
          ? new Float64Array(graph.linkCount).fill(1)
          : args.metric === 'COST'
            ? topology.costPerGb
            : topology.latencyMs;
      const length = byArc(
        graph,
        values.map((value, link) => (isLinkUp[link] === 1 ? value : Number.POSITIVE_INFINITY)),
      );
      return kShortestPaths(graph, endsOf(snapshot, args.source, args.target), length, args.k).map(({ arcs }) => ({
        hops: hopsOf(topology, arcs),
        metrics: metricsOf(topology, arcs),
        residualMbps: null,
        backup: null,
      }));
    },
  };
}
