import type { Connection } from '#shared/connection.ts';
import type { NetworkApprovalValue, NetworkPendingChange } from './approval/rows.ts';
import type { Balancing } from './balancing.ts';
import type { CircuitConfig } from './detection/circuit.ts';
import type { NetworkAlertValue } from './forecast/alerts.ts';
import type { Layout } from './generation/topologies.ts';
import type { OptimizationResult } from './routing/rows.ts';

export type { InfeasibilityValue, OptimizationResult } from './routing/rows.ts';

export type NetworkStatusValue = 'draft' | 'provisioning' | 'active' | 'degraded' | 'maintenance' | 'retired';
export type NodeStatusValue = 'active' | 'inactive' | 'degraded' | 'unreachable' | 'retired';
export type LinkStatusValue = 'active' | 'inactive' | 'pending' | 'completed' | 'failed' | 'cancelled';
export type ConnectionStatusValue =
  | 'requested'
  | 'establishing'
  | 'established'
  | 'degraded'
  | 'rerouting'
  | 'failed'
  | 'closed';
export type TrafficClass = 'real_time' | 'interactive' | 'bulk' | 'management';

export const trafficClasses = ['real_time', 'interactive', 'bulk', 'management'] as const;

/** What ways are chosen by. */
export const routingAlgorithms = [
  'SHORTEST_PATH',
  'LOAD_BALANCED',
  'COST_AWARE',
  'QUALITY_AWARE',
  'PRIORITY_BASED',
  'ENERGY_AWARE',
  'SECURITY_AWARE',
  'CUSTOM',
] as const;
export type RoutingAlgorithm = (typeof routingAlgorithms)[number];

/** What each figure of a link counts for where ways are chosen by figures of one's own. */
export const routingFigures = [
  'latency',
  'jitter',
  'loss',
  'failure',
  'cost',
  'energy',
  'zoneChange',
  'preference',
] as const;
export type RoutingWeights = Readonly<Record<(typeof routingFigures)[number], number>>;

/** Who offers services, and for how long. */
export const discoveries = ['DYNAMIC', 'STATIC', 'HYBRID', 'REGISTRY', 'BROADCAST', 'DNS'] as const;
export type Discovery = (typeof discoveries)[number];

/** Who takes over the connections that end at a node which is down. */
export const failoverModes = ['ACTIVE_PASSIVE', 'ACTIVE_ACTIVE', 'NONE'] as const;
export type FailoverMode = (typeof failoverModes)[number];

export interface NetworkConfigValue {
  readonly reserveShare: number;
  readonly burst: number;
  readonly classShares: {
    readonly realTime: number;
    readonly interactive: number;
    readonly bulk: number;
    readonly management: number;
  };
  readonly maxConnections: number;
  readonly phiThreshold: number;
  readonly hotSpotUtilization: number;
  /** Of connections that name none; networks of before have none. */
  readonly routing?: RoutingAlgorithm;
  /** Of CUSTOM. */
  readonly routingWeights?: RoutingWeights | null;
  /** Of queries for services that name none. */
  readonly balancing?: Balancing;
  readonly discovery?: Discovery;
  /** Of DNS: where services are asked for. */
  readonly discoveryDomain?: string | null;
  /** Between registrations of a service that lives, ms. */
  readonly discoveryRefreshMs?: number;
  /** Ways beside its own that a connection which names no number is given, 0 to 3. */
  readonly backupPaths?: number;
  /** What all open connections may hold together; 0 for no bound. */
  readonly totalBandwidthMbps?: number;
  readonly circuit?: CircuitConfig;
}

/** What is told of a node's circuit breaker. */
export interface CircuitValue {
  readonly state: 'CLOSED' | 'OPEN' | 'HALF_OPEN';
  readonly failures: number;
  readonly openings: number;
  readonly reason: string | null;
  readonly openedAt: string | null;
  readonly retryAt: string | null;
}

export interface NetworkStatsValue {
  readonly nodeCount: number;
  readonly linkCount: number;
  readonly diameter: number;
  readonly components: number;
  readonly vertexConnectivity: number | null;
  readonly routingTableSize: number;
}

/** Something that is expected of a network and should not be. */
export interface NetworkAlertRow extends Omit<NetworkAlertValue, 'steps'> {
  readonly expectedAt: string;
  readonly raisedAt: string;
}

export interface NetworkRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly name: string;
  readonly description: string | null;
  readonly topologyType: string;
  readonly layout: Layout | 'GIVEN' | 'IMPORTED' | 'NONE';
  readonly status: NetworkStatusValue;
  readonly statusReason: string | null;
  readonly config: NetworkConfigValue;
  readonly stats: NetworkStatsValue;
  /** As it was looked ahead last. */
  readonly alerts: readonly NetworkAlertRow[];
  readonly protocol: Readonly<Record<string, unknown>> | null;
  readonly approval: NetworkApprovalValue | null;
  /** One at a time waits for its Confirm. */
  readonly pending: NetworkPendingChange | null;
  /** Why the last change that was asked for was not made. */
  readonly refusal: string | null;
  readonly structure: number;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export interface NodeLocation {
  readonly lat?: number | null | undefined;
  readonly lon?: number | null | undefined;
  readonly region?: string | null | undefined;
  readonly zone?: string | null | undefined;
  readonly networkZone?: string | null | undefined;
  readonly securityZone?: string | null | undefined;
}

export interface NodeFailover {
  /** Nodes of before have none: ACTIVE_PASSIVE. */
  readonly mode?: FailoverMode | null | undefined;
  readonly heartbeatIntervalMs: number;
  readonly timeoutMs: number;
  readonly backupNodes?: readonly string[] | null | undefined;
}

/** What came of reaching for a node at its address. */
export interface NodeProbe {
  readonly reachable: boolean;
  readonly address: string;
  readonly elapsedMs: number;
  readonly error: string | null;
  readonly at: string;
}

export interface NodeResources {
  readonly cpuCores?: number | null | undefined;
  readonly memoryGb?: number | null | undefined;
  readonly storageGb?: number | null | undefined;
  readonly bandwidthGbps?: number | null | undefined;
  readonly maxConnections?: number | null | undefined;
}

export interface NetworkNodeRow {
  readonly tenantId: string;
  readonly networkId: string;
  readonly id: string;
  readonly place: number;
  readonly name: string | null;
  readonly kind: string;
  readonly status: NodeStatusValue;
  readonly roleId: string | null;
  readonly function: string | null;
  readonly agentId: string | null;
  readonly capabilities: readonly string[];
  readonly address: unknown;
  readonly location: NodeLocation | null;
  readonly resources: NodeResources | null;
  readonly failover: NodeFailover | null;
  readonly required: boolean;
  readonly openConnections: number;
  readonly probe: NodeProbe | null;
  readonly protocol: Readonly<Record<string, unknown>> | null;
  readonly load?: number | null;
  readonly lastHeartbeatAt?: string | null;
  readonly circuit?: CircuitValue | null;
}

export interface LinkMeasured {
  readonly latencyMs?: number | null | undefined;
  readonly jitterMs?: number | null | undefined;
  readonly lossRate?: number | null | undefined;
  readonly throughputMbps?: number | null | undefined;
  readonly at: string;
}

/** Whole kbps. */
export type Reserved = Readonly<Record<TrafficClass, number>>;

export interface NetworkLinkRow {
  readonly tenantId: string;
  readonly id: string;
  readonly networkId: string;
  readonly place: number;
  readonly sourceId: string;
  readonly targetId: string;
  readonly type: string;
  readonly direction: 'unidirectional' | 'bidirectional';
  readonly status: LinkStatusValue;
  readonly weight: number;
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly lossRate: number;
  readonly reliability: number;
  readonly costPerGb: number;
  readonly energyPerGb: number;
  readonly capacityKbps: number;
  readonly reservedRealTime: number;
  readonly reservedInteractive: number;
  readonly reservedBulk: number;
  readonly reservedManagement: number;
  readonly measured: LinkMeasured | null;
}

export interface EndpointValue {
  readonly agentId?: string | null | undefined;
  readonly port?: number | null | undefined;
  readonly protocol?: string | null | undefined;
}

export interface RequirementsValue {
  readonly bandwidthMbps: number;
  readonly latencyMaxMs?: number | null | undefined;
  readonly jitterMaxMs?: number | null | undefined;
  readonly packetLossMax?: number | null | undefined;
  readonly reliability?: number | null | undefined;
  readonly failoverSupport: boolean;
  readonly routing?: RoutingAlgorithm | null | undefined;
  readonly routingWeights?: RoutingWeights | null | undefined;
  readonly backupPaths?: number | null | undefined;
  /** How long it waits for another way where none is left; not there of those of before. */
  readonly rerouteMs?: number | null | undefined;
}

/** A way by its links and nodes. */
export interface StoredWay {
  readonly linkIds: readonly string[];
  readonly nodeIds: readonly string[];
}

export interface PathMetrics {
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly lossRate: number;
  readonly reliability: number;
  readonly hops: number;
  readonly costPerGb: number;
  /** Connections of before have none. */
  readonly energyPerGb?: number;
}

export interface NetworkConnectionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly networkId: string;
  readonly type: string;
  readonly status: ConnectionStatusValue;
  readonly statusReason: string | null;
  readonly sourceId: string;
  readonly targetId: string;
  readonly endpoints: { readonly source: EndpointValue; readonly destination: EndpointValue };
  readonly requirements: RequirementsValue;
  readonly trafficClass: TrafficClass;
  readonly priority: number;
  readonly bandwidthKbps: number;
  readonly linkIds: readonly string[];
  readonly nodeIds: readonly string[];
  readonly backupLinkIds: readonly string[];
  readonly backupNodeIds: readonly string[];
  readonly backupReserved: boolean;
  /** Ways beside the second one; nothing is reserved on them. */
  readonly furtherBackups: readonly StoredWay[];
  readonly predicted: PathMetrics;
  readonly openedBy: string;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly closedAt: string | null;
  /** Until when it waits for a way, and holds nothing; null of one that does not. */
  readonly waitUntil: string | null;
}

export interface NetworkServiceRow {
  readonly tenantId: string;
  readonly id: string;
  readonly networkId: string;
  readonly name: string;
  readonly serviceVersion: string;
  readonly providerNodeId: string;
  readonly endpoints: unknown;
  readonly capabilities: readonly string[];
  readonly weight: number;
  readonly ttlMs: number;
  /** Null where it stays until somebody takes it out. */
  readonly expiresAt: string | null;
  readonly registeredBy: string;
  readonly createdAt: string;
}

export interface NetworkMessageRow {
  readonly tenantId: string;
  readonly id: string;
  readonly networkId: string;
  readonly senderId: string;
  readonly strategy: string;
  readonly recipients: readonly string[];
  readonly acknowledged: readonly string[];
  readonly priority: string;
  readonly reliability: string;
  readonly status: string;
  readonly payload: unknown;
  readonly sentAt: string;
  readonly expiresAt: string;
}

export interface NetworkOptimizationRow {
  readonly tenantId: string;
  readonly id: string;
  readonly networkId: string;
  readonly structure: number;
  readonly inputsHash: string;
  readonly seed: number;
  readonly result: OptimizationResult;
  readonly appliedAt: string | null;
  readonly state: 'computed' | 'waiting' | 'applied' | 'refused';
  readonly refusal: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
}

export type NetworkListConnectionRow = Connection<NetworkRow>;
export type NetworkNodeConnectionRow = Connection<NetworkNodeRow>;
export type NetworkConnectionConnectionRow = Connection<NetworkConnectionRow>;

/** What this subgraph knows of a context in the graph: the rest is its owner's. */
export interface ContextRow {
  readonly id: string;
}

/** What this subgraph knows of a role in the graph. */
export interface RoleRow {
  readonly id: string;
}
