import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion, text } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import { type Admission, findWay, type Way } from './admission.ts';
import { giveBackToTotal, isBounded, takeOfTotal } from './bandwidth.ts';
import { claimTrials } from './circuits.ts';
import type { Commands } from './commands.ts';
import { defaultCircuit } from './detection/circuit.ts';
import { connectionEvent } from './events.ts';
import { furtherWays } from './furtherWays.ts';
import { countAtEnds, heldLinks, Outrun, release, reserve } from './holdings.ts';
import * as inputs from './inputs.ts';
import { notActive, requireOperator } from './nodes.ts';
import type { Probes } from './probes.ts';
import { furtherCount, isSecondTold } from './repair.ts';
import { createReservations, toKbps, toMbps } from './reservations.ts';
import type {
  InfeasibilityValue,
  NetworkConfigValue,
  NetworkConnectionRow,
  NetworkRow,
  RequirementsValue,
  TrafficClass,
} from './rows.ts';
import { openStatuses } from './states.ts';
import { connectionColumns, findNetworks, insertConnections, read, saveConnections } from './store.ts';
import type { NetworkSnapshot, Topologies } from './topologies.ts';
import { avoiding, linkIdsOf, nodeIdsOf, type Topology } from './topology.ts';
import { isWaiting, noWays } from './waiting.ts';

/** How often a way is sought again when others took what it needed meanwhile. */
const maxTries = 8;
/** So old may be what a first search knows of reservations: what it finds is reserved only if it still fits. */
const reservedMaxAgeMs = 1_000;
const reasonText = text({ max: 2_000 }).nullish();
/** Refusals that others may lift by giving something back. */
const passing: ReadonlySet<string> = new Set(['INSUFFICIENT_BANDWIDTH', 'MAX_CONNECTIONS']);
const noRequirements: RequirementsValue = { bandwidthMbps: 0, failoverSupport: false };

export interface ConnectionsDeps {
  readonly commands: Commands;
  readonly topologies: Topologies;
  readonly probes: Probes;
}

export type Connections = ReturnType<typeof createConnections>;

/** Connections from admission to their end. Ways are sought on what was read, without a lock, and reserved only if all of it still holds. */
export function createConnections({ sql }: ModuleRuntime, { commands, topologies, probes }: ConnectionsDeps) {
  /** @throws {NOT_FOUND} {NETWORK_NOT_ACTIVE} {NODE_UNREACHABLE} {VALIDATION_FAILED} */
  async function snapshotFor(
    scope: RequestScope,
    input: inputs.EstablishInput,
    options: { readonly reservedMaxAgeMs?: number },
  ): Promise<NetworkSnapshot> {
    const { principal } = scope;
    const [snapshot] = await Promise.all([
      topologies.find(sql, principal.tenantId, input.networkId, options),
      requireVisible(sql, principal, input.networkId),
    ]);
    if (!snapshot) throw unknownNetwork();
    if (!openStatuses.includes(snapshot.status)) throw notActive(snapshot.status);
    if (snapshot.openConnections >= snapshot.config.maxConnections)
      throw new PlatformError('MAX_CONNECTIONS', `the network holds ${snapshot.config.maxConnections} connections`, {
        path: ['input', 'networkId'],
      });
    return snapshot;
  }

  async function attempt(scope: RequestScope, input: inputs.EstablishInput, isFirst: boolean): Promise<string> {
    const snapshot = await snapshotFor(scope, input, isFirst ? { reservedMaxAgeMs } : {});
    const { config } = snapshot;
    const topology = avoiding(snapshot.topology, snapshot.blocked);
    requireLetThrough(snapshot, input);
    const source = requireEnd(topology, input.source.nodeId, ['input', 'source', 'nodeId']);
    const target = requireEnd(topology, input.destination.nodeId, ['input', 'destination', 'nodeId']);
    if (source === target)
      throw new PlatformError('VALIDATION_FAILED', 'expected two nodes, got one', {
        path: ['input', 'destination', 'nodeId'],
      });
    const asked = input.requirements ?? noRequirements;
    const requirements = ownRouting(asked, config);
    const trafficClass = input.trafficClass.toLowerCase() as TrafficClass;
    const bandwidthKbps = toKbps(requirements.bandwidthMbps);
    const reservations = createReservations(topology.capacityKbps, snapshot.reserved, config);
    const request = { source, target, requirements, bandwidthKbps, trafficClass };
    const admission = findWay(topology, reservations, request);
    // Nobody is refused for what was reserved a moment ago.
    if (admission.kind !== 'way' && isFirst) throw new Outrun();
    if (admission.kind !== 'way') throw refusal(topology, admission, requirements.bandwidthMbps);
    const { way } = admission;
    const now = new Date().toISOString();
    const { nodeId: sourceId, ...sourceEnd } = input.source;
    const { nodeId: targetId, ...targetEnd } = input.destination;
    const row: NetworkConnectionRow = {
      tenantId: scope.principal.tenantId,
      id: newId(),
      networkId: input.networkId,
      type: input.type.toLowerCase(),
      ...{ status: 'established', statusReason: null, sourceId, targetId },
      endpoints: { source: sourceEnd, destination: targetEnd },
      ...{ requirements, trafficClass, priority: input.priority, bandwidthKbps },
      ...waysOf(topology, way, requirements),
      furtherBackups: furtherWays(topology, reservations, request, {
        ...{ beside: [way.arcs, ...(way.backup ? [way.backup] : [])], count: furtherCount(requirements) },
      }),
      predicted: way.metrics,
      openedBy: scope.principal.subject,
      ...{ version: 1, createdAt: now, updatedAt: now, closedAt: null, waitUntil: null },
    };
    const circuit = config.circuit ?? defaultCircuit;
    const trials = row.nodeIds.filter((id) => snapshot.trials.has(id));
    const { connectionId } = await commands.run(scope, callOf(input), async (tx) => {
      // Sent at once, carried out in this order: the network is locked before its links, these before its nodes, last what all
      // connections of a network share.
      await Promise.all([
        requireUnchanged(tx, snapshot, row.tenantId),
        reserve(tx, snapshot, row),
        countAtEnds(tx, topology, row, 1),
        insertConnections(tx, [row]),
        claimTrials(tx, row, trials, circuit.openMs),
        ...(isBounded(config) ? [takeOfTotal(tx, row)] : []),
      ]);
      return {
        response: { connectionId: row.id },
        events: [connectionEvent('connection.established', { id: row.networkId, contextId: snapshot.contextId }, row)],
        audit: [{ action: 'network.connect', resource: 'NetworkConnection', resourceId: row.id }],
      };
    });
    if (connectionId === row.id) topologies.addReserved(row, trafficClass, heldLinks(row), bandwidthKbps);
    return connectionId;
  }

  /** Keeps a request that found no room, where it would find some on the empty network; else what refused it stands. */
  async function enqueue(scope: RequestScope, input: inputs.EstablishInput, refused: PlatformError): Promise<string> {
    const { tenantId, subject } = scope.principal;
    const snapshot = await topologies.find(sql, tenantId, input.networkId);
    if (!snapshot) throw unknownNetwork();
    if (!openStatuses.includes(snapshot.status)) throw notActive(snapshot.status);
    const { topology, config } = snapshot;
    const source = requireEnd(topology, input.source.nodeId, ['input', 'source', 'nodeId']);
    const target = requireEnd(topology, input.destination.nodeId, ['input', 'destination', 'nodeId']);
    const requirements = ownRouting(input.requirements ?? noRequirements, config);
    const trafficClass = input.trafficClass.toLowerCase() as TrafficClass;
    const bandwidthKbps = toKbps(requirements.bandwidthMbps);
    const none = topology.linkIds.map(() => 0);
    const empty = createReservations(
      topology.capacityKbps,
      { real_time: none, interactive: none, bulk: none, management: none },
      config,
    );
    if (findWay(topology, empty, { source, target, requirements, bandwidthKbps, trafficClass }).kind !== 'way')
      throw refused;
    const now = new Date();
    const { nodeId: sourceId, ...sourceEnd } = input.source;
    const { nodeId: targetId, ...targetEnd } = input.destination;
    const row: NetworkConnectionRow = {
      ...{ tenantId, id: newId(), networkId: input.networkId, type: input.type.toLowerCase() },
      ...{ status: 'requested', statusReason: refused.message, sourceId, targetId },
      endpoints: { source: sourceEnd, destination: targetEnd },
      ...{ requirements, trafficClass, priority: input.priority, bandwidthKbps },
      ...noWays,
      ...{ openedBy: subject, version: 1, createdAt: now.toISOString(), updatedAt: now.toISOString(), closedAt: null },
      waitUntil: new Date(now.getTime() + input.waitMs!).toISOString(),
    };
    const { connectionId } = await commands.run(scope, callOf(input), async (tx) => {
      await requireUnchanged(tx, snapshot, tenantId);
      await insertConnections(tx, [row]);
      return {
        response: { connectionId: row.id },
        events: [connectionEvent('connection.requested', { id: row.networkId, contextId: snapshot.contextId }, row)],
        audit: [{ action: 'network.connect', resource: 'NetworkConnection', resourceId: row.id }],
      };
    });
    return connectionId;
  }

  async function attemptOrWait(scope: RequestScope, input: inputs.EstablishInput, isFirst: boolean): Promise<string> {
    try {
      return await attempt(scope, input, isFirst);
    } catch (error) {
      if ((input.waitMs ?? 0) === 0 || !(error instanceof PlatformError) || !passing.has(error.code)) throw error;
      return enqueue(scope, input, error);
    }
  }

  return {
    /**
     * @throws {PROBE_REFUSED} {NO_PATH} {QOS_UNSATISFIABLE} {INSUFFICIENT_BANDWIDTH} {NODE_UNREACHABLE} {MAX_CONNECTIONS} {NETWORK_NOT_ACTIVE} {NOT_FOUND}
     */
    async establish(scope: RequestScope, raw: unknown): Promise<string> {
      const input = parseInput(inputs.establish, raw, ['input']);
      // A repeat is not refused for what its first call has taken.
      const known = await commands.known<{ readonly connectionId: string }>(scope, callOf(input));
      if (known) return known.connectionId;
      if (input.probe)
        await probes.requireReached(scope, input.networkId, input.destination.nodeId, [
          'input',
          'destination',
          'nodeId',
        ]);
      for (let tries = 1; ; tries += 1) {
        try {
          return await attemptOrWait(scope, input, tries === 1);
        } catch (error) {
          if (!(error instanceof Outrun)) throw error;
          if (tries >= maxTries)
            throw new PlatformError('UNAVAILABLE', 'the network changes faster than a way can be reserved', {
              retryAfterMs: 100,
            });
        }
      }
    },

    /** @throws {NOT_FOUND} {PERMISSION_DENIED} {CONNECTION_CLOSED} {VERSION_CONFLICT} */
    async terminate(
      scope: RequestScope,
      connectionId: string,
      options: {
        readonly reason?: unknown;
        readonly expectedVersion?: number | null | undefined;
        readonly idempotencyKey?: string | null | undefined;
      },
    ): Promise<string> {
      const reason = parseInput(reasonText, options.reason, ['reason']) ?? null;
      const { tenantId, subject } = scope.principal;
      const call = {
        operation: 'terminateConnection',
        input: { connectionId, reason, expectedVersion: options.expectedVersion ?? null },
        idempotencyKey: options.idempotencyKey,
      };
      const { connectionId: closed, networkId } = await commands.run(scope, call, async (tx) => {
        const { row, network } = await lockConnection(tx, tenantId, connectionId);
        await requireVisible(tx, scope.principal, network.id);
        if (row.openedBy !== subject) requireOperator(scope, network.contextId);
        requireVersion(options.expectedVersion, row.version);
        if (row.closedAt !== null)
          throw new PlatformError('CONNECTION_CLOSED', `the connection is ${row.status.toUpperCase()}`, {
            path: ['connectionId'],
          });
        const holds = !isWaiting(row);
        if (holds) await release(tx, row);
        if (holds)
          await tx.unsafe(
            'UPDATE network.node SET open_connections = open_connections - 1 WHERE tenant_id = $1 AND network_id = $2 AND id = ANY($3::uuid[])',
            [tenantId, row.networkId, [row.sourceId, row.targetId]],
            { prepare: true },
          );
        const now = new Date().toISOString();
        const after: NetworkConnectionRow = {
          ...row,
          ...{ status: 'closed', statusReason: reason, backupReserved: false, waitUntil: null },
          ...{ version: row.version + 1, updatedAt: now, closedAt: now },
        };
        await saveConnections(tx, [after]);
        if (holds && isBounded(network.config)) await giveBackToTotal(tx, row, [row]);
        return {
          response: { connectionId: row.id, networkId: row.networkId },
          events: [connectionEvent('connection.closed', network, after)],
          audit: [{ action: 'network.disconnect', resource: 'NetworkConnection', resourceId: row.id }],
        };
      });
      topologies.forgetReserved(tenantId, networkId);
      return closed;
    },
  };
}

const callOf = (input: inputs.EstablishInput) => ({
  operation: 'establishConnection',
  input,
  idempotencyKey: input.idempotencyKey,
});

/**
 * What is asked for, with what the network does otherwise; kept with the connection, that it is routed anew as it was at first.
 * @throws {VALIDATION_FAILED} for CUSTOM where neither says what figures count for.
 */
export function ownRouting(asked: RequirementsValue, config: NetworkConfigValue): RequirementsValue {
  const routing = asked.routing ?? config.routing ?? 'SHORTEST_PATH';
  const routingWeights = routing === 'CUSTOM' ? (asked.routingWeights ?? config.routingWeights ?? null) : null;
  if (routing === 'CUSTOM' && routingWeights === null)
    throw new PlatformError('VALIDATION_FAILED', 'expected routingWeights for ways chosen by CUSTOM', {
      path: ['input', 'requirements', 'routingWeights'],
    });
  return { ...asked, routing, routingWeights, backupPaths: asked.backupPaths ?? config.backupPaths ?? 1 };
}

export function waysOf(topology: Topology, { arcs, backup }: Omit<Way, 'metrics'>, requirements: RequirementsValue) {
  const second = isSecondTold(requirements) ? backup : null;
  return {
    linkIds: linkIdsOf(topology, arcs),
    nodeIds: nodeIdsOf(topology, arcs),
    backupLinkIds: linkIdsOf(topology, second ?? []),
    backupNodeIds: nodeIdsOf(topology, second ?? []),
    backupReserved: requirements.failoverSupport && second !== null,
  };
}

/** @throws {NOT_FOUND} {NODE_UNREACHABLE} */
function requireEnd({ nodeIndex, isNodeUp }: Topology, nodeId: string, path: readonly string[]): number {
  const at = nodeIndex.get(nodeId);
  if (at === undefined) throw new PlatformError('NOT_FOUND', 'the network has no such node', { path });
  if (isNodeUp[at] === 0) throw new PlatformError('NODE_UNREACHABLE', `the node ${nodeId} is not up`, { path });
  return at;
}

/** @throws {NODE_UNREACHABLE} where the circuit of an end is open. */
function requireLetThrough({ blocked, config }: NetworkSnapshot, { source, destination }: inputs.EstablishInput): void {
  for (const [end, { nodeId }] of Object.entries({ source, destination }))
    if (blocked.has(nodeId))
      throw new PlatformError(
        'NODE_UNREACHABLE',
        `the circuit of the node ${nodeId} is open: it has failed too often`,
        {
          path: ['input', end, 'nodeId'],
          retryAfterMs: (config.circuit ?? defaultCircuit).openMs,
        },
      );
}

/** What stands between a request and its connection. */
export function refusal(
  topology: Topology,
  admission: Exclude<Admission, { kind: 'way' }>,
  mbps: number,
): PlatformError {
  switch (admission.kind) {
    case 'no path':
      return new PlatformError('NO_PATH', 'no links that are up join the two nodes', { path: ['input'] });
    case 'quality':
      return new PlatformError('QOS_UNSATISFIABLE', admission.reason, {
        path: ['input', 'requirements'],
        details: { best: admission.best },
      });
    case 'bandwidth': {
      const cut: InfeasibilityValue = {
        kind: 'ONE_PATH',
        linkIds: admission.cut.links.map((link) => topology.linkIds[link]!),
        nodeIds: admission.cut.nodes.map((node) => topology.nodeIds[node]!),
        capacityMbps: toMbps(admission.cut.kbps),
        demandedMbps: mbps,
        demands: [],
      };
      return new PlatformError(
        'INSUFFICIENT_BANDWIDTH',
        `every way passes one of ${cut.linkIds.length} links on which the class has ${cut.capacityMbps} Mbps left at most, expected ${mbps}`,
        { path: ['input', 'requirements', 'bandwidthMbps'], details: { cut } },
      );
    }
  }
}

/** The structure stays as it was until the end of the transaction. @throws {Outrun} when it no longer is. */
export async function requireUnchanged(tx: SqlTransaction, snapshot: NetworkSnapshot, tenantId: string): Promise<void> {
  const [row] = await read<Pick<NetworkRow, 'structure' | 'status' | 'config'>>(
    tx,
    'SELECT structure, status, config FROM network.network WHERE tenant_id = $1 AND id = $2 FOR SHARE',
    [tenantId, snapshot.networkId],
  );
  if (row?.structure !== snapshot.structure || row.status !== snapshot.status) throw new Outrun();
  // Shares, the reserve and the total are those that hold now: the limits of what is reserved follow from them.
  if (JSON.stringify(row.config) !== JSON.stringify(snapshot.config)) throw new Outrun();
}

/** A connection with its network, neither of which changes until the end of the transaction. @throws {NOT_FOUND} */
async function lockConnection(
  tx: SqlTransaction,
  tenantId: string,
  connectionId: string,
): Promise<{ readonly row: NetworkConnectionRow; readonly network: NetworkRow }> {
  const unknown = new PlatformError('NOT_FOUND', 'no such connection', { path: ['connectionId'] });
  if (!isId(connectionId)) throw unknown;
  // The network before the connection: changes of its structure take them in this order.
  await tx.unsafe(
    `SELECT 1 FROM network.network n WHERE n.tenant_id = $1 AND n.id = (SELECT c.network_id FROM network.connection c WHERE c.tenant_id = $1 AND c.id = $2) FOR SHARE`,
    [tenantId, connectionId],
    { prepare: true },
  );
  const [row] = await read<NetworkConnectionRow>(
    tx,
    `SELECT ${connectionColumns} FROM network.connection c WHERE c.tenant_id = $1 AND c.id = $2 FOR UPDATE`,
    [tenantId, connectionId],
  );
  const [network] = row ? await findNetworks(tx, tenantId, [row.networkId]) : [];
  if (!row || !network) throw unknown;
  return { row, network };
}
