import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { holdsIn } from '#shared/rights.ts';
import { parseInput, text } from '#shared/validation.ts';
import { toLinks, toNode } from './creation.ts';
import type { Edited, Edits } from './edits.ts';
import { unknownNode } from './events.ts';
import * as inputs from './inputs.ts';
import type { WriteOptions } from './networkChanges.ts';
import type { NetworkNodeRow, NodeStatusValue } from './rows.ts';
import type { Structure } from './structure.ts';
import { isUp } from './topology.ts';

const reasonText = text({ max: 2_000 }).nullish();
const linkList = z.array(inputs.link).max(1_000).nullish();

/** @throws {NOT_FOUND} */
export function requireNode({ nodes }: Structure, nodeId: string, path?: readonly string[]): NetworkNodeRow {
  const node = nodes.find(({ id }) => id === nodeId.toLowerCase());
  if (!node) throw unknownNode(path);
  return node;
}

const nextPlace = (rows: readonly { readonly place: number }[]) => (rows.at(-1)?.place ?? -1) + 1;

const replaced = (nodes: Structure['nodes'], node: NetworkNodeRow) =>
  nodes.map((one) => (one.id === node.id ? node : one));

/** Nodes of networks: added, changed, gone. */
export function createNodes({ edit }: Edits) {
  return {
    /** @throws {DUPLICATE_NODE} {DANGLING_LINK} {SHAPE_MISMATCH} {LIMIT_EXCEEDED} */
    add(
      scope: RequestScope,
      networkId: string,
      raw: { readonly node: unknown; readonly links?: unknown },
      options: WriteOptions,
    ): Promise<Edited> {
      const input = parseInput(inputs.node, raw.node, ['node']);
      const given = parseInput(linkList, raw.links, ['links']);
      return edit(
        scope,
        networkId,
        { ...options, operation: 'addNode', input: { node: input, links: given ?? null } },
        (before, network) => {
          const of = { tenantId: network.tenantId, networkId: network.id };
          const node = toNode(input, of, nextPlace(before.nodes));
          if (before.nodes.some(({ id }) => id === node.id))
            throw new PlatformError('DUPLICATE_NODE', `the network has a node ${node.id}`, { path: ['node', 'id'] });
          const nodes = [...before.nodes, node];
          const links = toLinks(given ?? [], nodes, { ...of, firstPlace: nextPlace(before.links), path: ['links'] });
          return {
            nodes,
            links: [...before.links, ...links],
            type: 'node.added',
            detail: { nodeId: node.id, linkIds: links.map(({ id }) => id) },
            response: null,
          };
        },
      );
    },

    update(
      scope: RequestScope,
      networkId: string,
      nodeId: string,
      raw: unknown,
      options: WriteOptions,
    ): Promise<Edited> {
      const patch = parseInput(inputs.nodePatch, raw, ['patch']);
      return edit(scope, networkId, { ...options, operation: 'updateNode', input: { nodeId, patch } }, (before) => {
        const node = requireNode(before, nodeId);
        const limit = patch.resources?.maxConnections;
        if (limit != null && limit < node.openConnections)
          throw new PlatformError(
            'CONFLICT',
            `${node.openConnections} connections end at the node, got a limit of ${limit}`,
            {
              path: ['patch', 'resources', 'maxConnections'],
            },
          );
        const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
        const changed: NetworkNodeRow = {
          ...node,
          ...given,
          capabilities: patch.capabilities ?? node.capabilities,
          required: patch.required ?? node.required,
          function: patch.function === undefined ? node.function : (patch.function?.toLowerCase() ?? null),
        };
        return {
          nodes: replaced(before.nodes, changed),
          type: 'node.updated',
          detail: { nodeId: node.id },
          response: null,
        };
      });
    },

    /** @throws {INVALID_STATE_TRANSITION} out of RETIRED. */
    changeStatus(
      scope: RequestScope,
      networkId: string,
      {
        nodeId,
        status,
        reason: rawReason,
      }: { readonly nodeId: string; readonly status: string; readonly reason?: unknown },
      options: WriteOptions,
    ): Promise<Edited> {
      const reason = parseInput(reasonText, rawReason, ['reason']) ?? null;
      const wanted = status.toLowerCase() as NodeStatusValue;
      const input = { nodeId, status, reason };
      return edit(scope, networkId, { ...options, operation: 'updateNodeStatus', input }, (before) => {
        const node = requireNode(before, nodeId);
        if (node.status === 'retired' && wanted !== 'retired')
          throw new PlatformError('INVALID_STATE_TRANSITION', 'the node is RETIRED', { path: ['nodeId'] });
        return {
          nodes: replaced(before.nodes, { ...node, status: wanted }),
          type: 'node.status.changed',
          detail: { nodeId: node.id, nodeStatus: [node.status, wanted], reason },
          response: null,
        };
      });
    },

    remove(scope: RequestScope, networkId: string, nodeId: string, options: WriteOptions): Promise<Edited> {
      return edit(scope, networkId, { ...options, operation: 'removeNode', input: { nodeId } }, (before) => {
        const node = requireNode(before, nodeId);
        if (before.nodes.length === 1)
          throw new PlatformError('INVALID_STATE', 'the last node stays', { path: ['nodeId'] });
        const isOwn = (link: { readonly sourceId: string; readonly targetId: string }) =>
          link.sourceId === node.id || link.targetId === node.id;
        return {
          nodes: before.nodes.filter((one) => one !== node),
          links: before.links.filter((link) => !isOwn(link)),
          type: 'node.removed',
          detail: { nodeId: node.id, linkIds: before.links.filter(isOwn).map(({ id }) => id) },
          response: null,
        };
      });
    },

    /** @throws {PERMISSION_DENIED} for an agent other than the caller without network:operate. {NETWORK_NOT_ACTIVE} {CONFLICT} */
    join(scope: RequestScope, raw: unknown): Promise<Edited & { readonly response: string }> {
      const input = parseInput(inputs.join, raw, ['input']);
      const { principal } = scope;
      const agentId = input.agentId ?? principal.subject;
      return edit(
        scope,
        input.networkId,
        { operation: 'join', input, idempotencyKey: input.idempotencyKey },
        (before, network) => {
          if (agentId !== principal.subject) requireOperator(scope, network.contextId);
          if (network.status !== 'active' && network.status !== 'degraded' && network.status !== 'draft')
            throw notActive(network.status);
          if (before.nodes.some((node) => node.agentId === agentId && node.status !== 'retired'))
            throw new PlatformError('CONFLICT', `the agent ${agentId} has a node here`, { path: ['input', 'agentId'] });
          const of = { tenantId: network.tenantId, networkId: network.id };
          const node = toNode(
            {
              kind: 'AGENT',
              status: 'ACTIVE',
              required: false,
              function: 'WORKER',
              agentId,
              name: input.name ?? agentId.slice(0, 255),
              capabilities: input.capabilities,
            },
            of,
            nextPlace(before.nodes),
          );
          const hosts = input.attachTo ?? hub(before);
          const nodes = [...before.nodes, node];
          const links = toLinks(
            [...new Set(hosts)].map((sourceId) => ({
              ...{ sourceId, targetId: node.id, type: 'DATA', direction: 'BIDIRECTIONAL', status: 'ACTIVE' },
            })),
            nodes,
            { ...of, defaults: input.linkDefaults, firstPlace: nextPlace(before.links), path: ['input', 'attachTo'] },
          );
          return {
            nodes,
            links: [...before.links, ...links],
            type: 'node.added',
            detail: { nodeId: node.id, agentId, linkIds: links.map(({ id }) => id) },
            response: node.id,
          };
        },
      );
    },

    /** @throws {PERMISSION_DENIED} for the node of another without network:operate. */
    leave(scope: RequestScope, networkId: string, nodeId: string, options: WriteOptions): Promise<Edited> {
      return edit(scope, networkId, { ...options, operation: 'leave', input: { nodeId } }, (before, network) => {
        const node = requireNode(before, nodeId);
        if (node.agentId !== scope.principal.subject) requireOperator(scope, network.contextId);
        return {
          nodes: replaced(before.nodes, { ...node, status: 'retired' }),
          type: 'node.status.changed',
          detail: { nodeId: node.id, nodeStatus: [node.status, 'retired'], reason: 'it left' },
          response: null,
        };
      });
    },
  };
}

/** The node of most bandwidth that is up, else none. */
function hub({ nodes }: Structure): readonly string[] {
  const up = nodes.filter(({ status }) => isUp(status));
  const most = Math.max(...up.map(({ resources }) => resources?.bandwidthGbps ?? 0));
  const found = up.find(({ resources }) => (resources?.bandwidthGbps ?? 0) === most);
  return found === undefined ? [] : [found.id];
}

/** @throws {PERMISSION_DENIED} */
export function requireOperator({ principal }: RequestScope, contextId: string): void {
  if (!holdsIn(principal, 'network:operate', contextId))
    throw new PlatformError('PERMISSION_DENIED', 'this needs the permission network:operate', {
      details: { permission: 'network:operate' },
    });
}

export function notActive(status: string): PlatformError {
  return new PlatformError('NETWORK_NOT_ACTIVE', `the network is ${status.toUpperCase()}`, {
    path: ['input', 'networkId'],
    details: { status: status.toUpperCase() },
  });
}
