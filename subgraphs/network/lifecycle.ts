import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { holdsIn } from '#shared/rights.ts';
import { parseInput, text } from '#shared/validation.ts';
import { askFor, requireNoneWaits } from './approval/asking.ts';
import { boundTotal } from './bandwidth.ts';
import type { Commands } from './commands.ts';
import { mergeConfig } from './creation.ts';
import { networkEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { type NetworkChanges, requireNetwork, touch, type WriteOptions } from './networkChanges.ts';
import { classLimitKbps, usableKbps } from './reservations.ts';
import { ownTables, retire, whatEnds } from './retirement.ts';
import { type NetworkConfigValue, type NetworkRow, trafficClasses } from './rows.ts';
import { computedStatus, requireMove } from './states.ts';
import { findLinks, findNodes } from './store.ts';
import { createTopology } from './topology.ts';

const reasonText = text({ max: 2_000 }).nullish();

type Named = { readonly networkId: string };

/** What becomes of networks as wholes: their fields, their states, their end. */
export function createNetworkLifecycle({ change }: NetworkChanges, commands: Commands) {
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
    /** @throws {NOT_FOUND} {VERSION_CONFLICT} {GOVERNANCE_LOCKED} {INVALID_STATE} {PERMISSION_DENIED} for who is asked, {CONFLICT} where open connections hold more than the new shares allow. */
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
        if (patch.approval !== undefined) requireApprovalRight(network, scope.principal);
        const row = touch(network, scope.principal.subject, {
          approval: patch.approval === undefined ? network.approval : patch.approval,
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

    /** At once, or when the Confirm it asks for is approved. @throws {INVALID_STATE_TRANSITION} {INVALID_STATE} while another change waits. */
    retire(
      scope: RequestScope,
      networkId: string,
      { reason: rawReason, ...options }: WriteOptions & { readonly reason?: unknown },
    ): Promise<Named> {
      const reason = parseInput(reasonText, rawReason, ['reason']);
      const input = { reason: reason ?? null };
      return change<Named>(scope, networkId, { ...options, operation: 'retire', input }, async (network, tx) => {
        requireMove(network, 'retire');
        requireNoneWaits(network, ['networkId']);
        if (network.approval !== null) {
          const asked = askFor(network, scope.principal, {
            ...{ kind: 'retire', reason: reason ?? null, run: null },
            ...{ title: `Retire the network ${network.name}`, why: await whatEnds(tx, network) },
          });
          return { ...asked, action: 'network.retire.request', response: { networkId } };
        }
        const { row, events } = await retire(tx, network, { actor: scope.principal.subject, reason: reason ?? null });
        return { row, type: 'network.status.changed', events, response: { networkId } };
      });
    },
  };
}

const governanceOf = ({ protocol }: NetworkRow) =>
  protocol?.['governance'] as Readonly<Record<string, unknown>> | undefined;

/** Whoever could take away that others are asked would not have to ask. @throws {PERMISSION_DENIED} */
function requireApprovalRight({ approval, contextId }: NetworkRow, principal: Principal): void {
  const right = approval === null ? 'network:admin' : 'governance:override';
  if (!holdsIn(principal, right, contextId))
    throw new PlatformError(
      'PERMISSION_DENIED',
      approval === null
        ? `who is asked is set with ${right}`
        : `who is asked stands, and is changed with ${right} alone`,
      { path: ['patch', 'approval'], details: { requires: right } },
    );
}

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
