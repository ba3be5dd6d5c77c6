import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput, text } from '#shared/validation.ts';
import { boundTotal } from './bandwidth.ts';
import type { Commands } from './commands.ts';
import { mergeConfig } from './creation.ts';
import { connectionEvent, networkEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { type NetworkChanges, requireNetwork, touch, type WriteOptions } from './networkChanges.ts';
import { classLimitKbps, usableKbps } from './reservations.ts';
import { type NetworkConfigValue, type NetworkRow, trafficClasses } from './rows.ts';
import { computedStatus, moves } from './states.ts';
import { findLinks, findNodes, findOpenConnections, saveConnections, saveLinks, saveNodes } from './store.ts';
import { createTopology } from './topology.ts';

const reasonText = text({ max: 2_000 }).nullish();

/** What is nothing without a network in service. */
const ownTables = ['heartbeat', 'service', 'circuit', 'bandwidth'] as const;

type Named = { readonly networkId: string };

/** What becomes of networks as wholes: their fields, their states, their end. */
export function createNetworkLifecycle({ change }: NetworkChanges, commands: Commands) {
  function requireMove(network: NetworkRow, move: keyof typeof moves): void {
    if (!moves[move].includes(network.status))
      throw new PlatformError(
        'INVALID_STATE_TRANSITION',
        `${move}: expected ${moves[move].map((status) => status.toUpperCase()).join(' or ')}, the network is ${network.status.toUpperCase()}`,
        { path: ['networkId'], details: { status: network.status.toUpperCase() } },
      );
  }

  /** Into service, by what is up now. */
  function enter(
    scope: RequestScope,
    networkId: string,
    move: 'provision' | 'resume',
    options: WriteOptions & { input: unknown },
  ) {
    return change<Named>(scope, networkId, { ...options, operation: move }, async (network, tx) => {
      requireMove(network, move);
      const [nodes, links] = await Promise.all([
        findNodes(tx, network.tenantId, [networkId]),
        findLinks(tx, network.tenantId, [networkId]),
      ]);
      const { status, reason } = computedStatus(nodes, createTopology(nodes, links));
      return {
        row: touch(network, scope.principal.subject, { status, statusReason: reason }),
        type: 'network.status.changed',
        response: { networkId },
      };
    });
  }

  return {
    /** @throws {NOT_FOUND} {VERSION_CONFLICT} {GOVERNANCE_LOCKED} {INVALID_STATE} {CONFLICT} where open connections hold more than the new shares allow. */
    update(scope: RequestScope, networkId: string, raw: unknown, options: WriteOptions): Promise<Named> {
      const patch = parseInput(inputs.patch, raw, ['patch']);
      return change<Named>(scope, networkId, { ...options, operation: 'update', input: patch }, async (network, tx) => {
        if (network.status === 'retired')
          throw new PlatformError('INVALID_STATE', 'the network is RETIRED', { path: ['networkId'] });
        const config = mergeConfig(network.config, patch.config);
        if (patch.config != null) {
          await requireFitting(tx, network, config);
          await boundTotal(tx, network, config);
        }
        const row = touch(network, scope.principal.subject, {
          name: patch.name ?? network.name,
          description: patch.description === undefined ? network.description : patch.description,
          config,
          protocol:
            patch.governance == null
              ? network.protocol
              : { ...network.protocol, governance: { ...governanceOf(network), ...patch.governance } },
        });
        return { row, type: 'network.updated', response: { networkId } };
      });
    },

    /** @throws {NOT_FOUND} {INVALID_STATE} unless it is a draft. */
    remove(scope: RequestScope, networkId: string, options: WriteOptions): Promise<Named> {
      const call = {
        operation: 'delete',
        input: { networkId, expectedVersion: options.expectedVersion ?? null },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const network = await requireNetwork(tx, scope, networkId, options.expectedVersion);
        if (network.status !== 'draft')
          throw new PlatformError('INVALID_STATE', `expected a draft, the network is ${network.status.toUpperCase()}`, {
            path: ['networkId'],
          });
        for (const table of [...ownTables, 'link', 'node', 'message', 'run', 'sample', 'connection'])
          await tx.unsafe(`DELETE FROM network.${table} WHERE tenant_id = $1 AND network_id = $2`, [
            network.tenantId,
            networkId,
          ]);
        await tx.unsafe('DELETE FROM network.network WHERE tenant_id = $1 AND id = $2', [network.tenantId, networkId], {
          prepare: true,
        });
        return {
          response: { networkId },
          events: [networkEvent('network.deleted', network)],
          audit: [{ action: 'network.delete', resource: 'Network', resourceId: networkId }],
        };
      });
    },

    provision: (scope: RequestScope, networkId: string, options: WriteOptions): Promise<Named> =>
      enter(scope, networkId, 'provision', { ...options, input: null }),

    /** @throws {INVALID_STATE_TRANSITION} */
    maintenance(
      scope: RequestScope,
      networkId: string,
      { on, reason: rawReason, ...options }: WriteOptions & { readonly on: boolean; readonly reason?: unknown },
    ): Promise<Named> {
      const reason = parseInput(reasonText, rawReason, ['reason']);
      if (!on) return enter(scope, networkId, 'resume', { ...options, input: { reason: reason ?? null } });
      const input = { on, reason: reason ?? null };
      return change<Named>(scope, networkId, { ...options, operation: 'maintain', input }, async (network) => {
        requireMove(network, 'maintain');
        return {
          row: touch(network, scope.principal.subject, { status: 'maintenance', statusReason: reason ?? null }),
          type: 'network.status.changed',
          response: { networkId },
        };
      });
    },

    /** Closes all connections, releases what they hold, ends services. @throws {INVALID_STATE_TRANSITION} */
    retire(
      scope: RequestScope,
      networkId: string,
      { reason: rawReason, ...options }: WriteOptions & { readonly reason?: unknown },
    ): Promise<Named> {
      const reason = parseInput(reasonText, rawReason, ['reason']);
      const input = { reason: reason ?? null };
      return change<Named>(scope, networkId, { ...options, operation: 'retire', input }, async (network, tx) => {
        requireMove(network, 'retire');
        const { tenantId } = network;
        const now = new Date().toISOString();
        const [open, links, nodes] = await Promise.all([
          findOpenConnections(tx, tenantId, networkId),
          findLinks(tx, tenantId, [networkId]),
          findNodes(tx, tenantId, [networkId]),
        ]);
        const closed = open.map((connection) => ({
          ...connection,
          ...{ status: 'closed' as const, statusReason: 'the network is retired', backupReserved: false },
          ...{ version: connection.version + 1, updatedAt: now, closedAt: now },
        }));
        const nothing = { reservedRealTime: 0, reservedInteractive: 0, reservedBulk: 0, reservedManagement: 0 };
        await saveConnections(tx, closed);
        await saveLinks(
          tx,
          links.map((link) => ({ ...link, ...nothing, status: 'inactive' as const })),
        );
        await saveNodes(
          tx,
          nodes.map((node) => ({ ...node, status: 'retired' as const, openConnections: 0 })),
        );
        for (const table of ownTables)
          await tx.unsafe(
            `DELETE FROM network.${table} WHERE tenant_id = $1 AND network_id = $2`,
            [tenantId, networkId],
            {
              prepare: true,
            },
          );
        const row = touch(network, scope.principal.subject, {
          ...{ status: 'retired', statusReason: reason ?? null, structure: network.structure + 1 },
        });
        return {
          row,
          type: 'network.status.changed',
          events: closed.map((connection) => connectionEvent('connection.closed', row, connection)),
          response: { networkId },
        };
      });
    },
  };
}

const governanceOf = ({ protocol }: NetworkRow) =>
  protocol?.['governance'] as Readonly<Record<string, unknown>> | undefined;

/** @throws {CONFLICT} where what is reserved now would not fit. */
async function requireFitting(
  tx: Parameters<typeof findLinks>[0],
  network: NetworkRow,
  config: NetworkConfigValue,
): Promise<void> {
  const links = await findLinks(tx, network.tenantId, [network.id]);
  for (const link of links) {
    const reserved = {
      real_time: link.reservedRealTime,
      interactive: link.reservedInteractive,
      bulk: link.reservedBulk,
      management: link.reservedManagement,
    };
    const total = trafficClasses.reduce((sum, name) => sum + reserved[name], 0);
    const isOver =
      total > usableKbps(link.capacityKbps, config) ||
      trafficClasses.some((name) => reserved[name] > classLimitKbps(link.capacityKbps, config, name));
    if (isOver)
      throw new PlatformError('CONFLICT', `link ${link.id} holds more than the new shares allow`, {
        path: ['patch', 'config'],
        details: { linkId: link.id },
      });
  }
}
