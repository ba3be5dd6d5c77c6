import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput } from '#shared/validation.ts';
import { toLinks } from './creation.ts';
import type { Edited, Edits } from './edits.ts';
import * as inputs from './inputs.ts';
import type { WriteOptions } from './networkChanges.ts';
import { capacityToKbps, classLimitKbps, usableKbps } from './reservations.ts';
import type { LinkStatusValue, NetworkConfigValue, NetworkLinkRow } from './rows.ts';
import type { Structure } from './structure.ts';

/** @throws {NOT_FOUND} */
function requireLink({ links }: Structure, linkId: string): NetworkLinkRow {
  const link = links.find(({ id }) => id === linkId.toLowerCase());
  if (!link) throw new PlatformError('NOT_FOUND', 'the network has no such link', { path: ['linkId'] });
  return link;
}

/** Links of networks: added, changed, gone. */
export function createLinks({ edit }: Edits) {
  return {
    /** @throws {DANGLING_LINK} {SHAPE_MISMATCH} */
    add(scope: RequestScope, networkId: string, raw: unknown, options: WriteOptions): Promise<Edited> {
      const input = parseInput(inputs.link, raw, ['link']);
      return edit(scope, networkId, { ...options, operation: 'addLink', input }, (before, network) => {
        const firstPlace = (before.links.at(-1)?.place ?? -1) + 1;
        const of = { tenantId: network.tenantId, networkId: network.id };
        const [link] = toLinks([input], before.nodes, { ...of, firstPlace, path: ['link'] });
        return {
          links: [...before.links, link!],
          type: 'link.added',
          detail: { linkId: link!.id },
          response: null,
        };
      });
    },

    /** @throws {CONFLICT} for a capacity below what stays reserved. */
    update(
      scope: RequestScope,
      networkId: string,
      linkId: string,
      raw: unknown,
      options: WriteOptions,
    ): Promise<Edited> {
      const patch = parseInput(inputs.linkPatch, raw, ['patch']);
      return edit(
        scope,
        networkId,
        { ...options, operation: 'updateLink', input: { linkId, patch } },
        (before, network) => {
          const link = requireLink(before, linkId);
          const changed: NetworkLinkRow = {
            ...link,
            status: (patch.status?.toLowerCase() as LinkStatusValue | undefined) ?? link.status,
            weight: patch.weight ?? link.weight,
            latencyMs: patch.latencyMs ?? link.latencyMs,
            jitterMs: patch.jitterMs ?? link.jitterMs,
            lossRate: patch.lossRate ?? link.lossRate,
            reliability: patch.reliability ?? link.reliability,
            costPerGb: patch.costPerGb ?? link.costPerGb,
            energyPerGb: patch.energyPerGb ?? link.energyPerGb,
            capacityKbps: patch.capacityMbps == null ? link.capacityKbps : capacityToKbps(patch.capacityMbps),
          };
          if (changed.capacityKbps < link.capacityKbps) requireCapacity(changed, network.config);
          return {
            links: before.links.map((one) => (one === link ? changed : one)),
            type: 'link.updated',
            detail: { linkId: link.id, linkStatus: [link.status, changed.status] },
            response: null,
          };
        },
      );
    },

    remove(scope: RequestScope, networkId: string, linkId: string, options: WriteOptions): Promise<Edited> {
      return edit(scope, networkId, { ...options, operation: 'removeLink', input: { linkId } }, (before) => {
        const link = requireLink(before, linkId);
        return {
          links: before.links.filter((one) => one !== link),
          type: 'link.removed',
          detail: { linkId: link.id },
          response: null,
        };
      });
    },
  };
}

function requireCapacity(link: NetworkLinkRow, config: NetworkConfigValue): void {
  const reserved = [
    ['real_time', link.reservedRealTime],
    ['interactive', link.reservedInteractive],
    ['bulk', link.reservedBulk],
    ['management', link.reservedManagement],
  ] as const;
  const total = reserved.reduce((sum, [, kbps]) => sum + kbps, 0);
  const isOver =
    total > usableKbps(link.capacityKbps, config) ||
    reserved.some(([name, kbps]) => kbps > classLimitKbps(link.capacityKbps, config, name));
  if (isOver)
    throw new PlatformError(
      'CONFLICT',
      `the link holds ${total} kbps in classes that the capacity would not leave them`,
      {
        path: ['patch', 'capacityMbps'],
        details: { reservedKbps: total },
      },
    );
}
