import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import type { Commands } from './commands.ts';
import { messageEvent, unknownNode } from './events.ts';
import { byArc } from './graph/digraph.ts';
import { shortestTree } from './graph/shortestPaths.ts';
import * as inputs from './inputs.ts';
import { notActive, requireOperator } from './nodes.ts';
import type { NetworkMessageRow } from './rows.ts';
import { openStatuses } from './states.ts';
import { findMessage, findNetworks, findNodesById, read, saveMessage } from './store.ts';
import type { NetworkSnapshot, Topologies } from './topologies.ts';

/** Messages between nodes: kept until they are acknowledged or their time is over. */
export function createMessages({ sql, publisher }: ModuleRuntime, commands: Commands, topologies: Topologies) {
  /** @throws {NOT_FOUND} {VALIDATION_FAILED} {NO_PATH} */
  function recipientsOf(
    { topology, blocked }: NetworkSnapshot,
    {
      senderId,
      strategy,
      recipients: given,
    }: {
      readonly senderId: string;
      readonly strategy: string;
      readonly recipients?: readonly string[] | null | undefined;
    },
  ): readonly string[] {
    const { graph, nodeIndex, nodeIds, isNodeUp, isLinkUp, latencyMs } = topology;
    const sender = nodeIndex.get(senderId);
    if (sender === undefined) throw unknownNode(['input', 'senderId']);
    const open = byArc(
      graph,
      latencyMs.map((latency, link) => (isLinkUp[link] === 1 ? latency : Number.POSITIVE_INFINITY)),
    );
    const { distance } = shortestTree(graph, sender, open);
    const isReached = (place: number) => isNodeUp[place] === 1 && Number.isFinite(distance[place]!);
    if (strategy === 'BROADCAST') {
      if (given != null)
        throw new PlatformError('VALIDATION_FAILED', 'recipients: expected none of a broadcast', {
          path: ['input', 'recipients'],
        });
      return nodeIds.filter((_id, place) => place !== sender && isReached(place));
    }
    const named = [...new Set(given ?? [])];
    if (named.length === 0 || (strategy === 'DIRECT' && named.length !== 1))
      throw new PlatformError(
        'VALIDATION_FAILED',
        `recipients: expected ${strategy === 'DIRECT' ? 'one' : 'some'}, got ${named.length}`,
        {
          path: ['input', 'recipients'],
        },
      );
    const places = named.map((id) => {
      const place = nodeIndex.get(id);
      if (place === undefined) throw unknownNode(['input', 'recipients']);
      return place;
    });
    const reached = places.filter(isReached);
    if (reached.length === 0 || (strategy !== 'ANYCAST' && reached.length < places.length))
      throw new PlatformError('NO_PATH', 'no links that are up lead to a recipient', { path: ['input', 'recipients'] });
    // Of several the one that does well; where all fail the nearest all the same.
    const wellOff = reached.filter((place) => !blocked.has(nodeIds[place]!));
    const nearest = (wellOff.length > 0 ? wellOff : reached).reduce((best, place) =>
      distance[place]! < distance[best]! ? place : best,
    );
    return strategy === 'ANYCAST' ? [nodeIds[nearest]!] : reached.map((place) => nodeIds[place]!);
  }

  return {
    /** @throws {NOT_FOUND} {NETWORK_NOT_ACTIVE} {NO_PATH} {PERMISSION_DENIED} for a node of another agent. */
    async send(scope: RequestScope, raw: unknown): Promise<NetworkMessageRow> {
      const input = parseInput(inputs.sendMessage, raw, ['input']);
      const { tenantId, subject } = scope.principal;
      const call = { operation: 'sendMessage', input, idempotencyKey: input.idempotencyKey };
      const known = await commands.known<NetworkMessageRow>(scope, call);
      if (known) return known;
      const snapshot = await topologies.find(sql, tenantId, input.networkId);
      if (!snapshot) throw unknownNetwork();
      await requireVisible(sql, scope.principal, input.networkId);
      if (!openStatuses.includes(snapshot.status)) throw notActive(snapshot.status);
      const recipients = recipientsOf(snapshot, input);
      const [sender] = await findNodesById(sql, tenantId, [{ networkId: input.networkId, id: input.senderId }]);
      if (sender?.agentId != null && sender.agentId !== subject) requireOperator(scope, snapshot.contextId);
      const now = Date.now();
      const message: NetworkMessageRow = {
        ...{ tenantId, id: newId(), networkId: input.networkId, senderId: input.senderId },
        strategy: input.strategy.toLowerCase(),
        ...{ recipients, acknowledged: [] },
        priority: input.priority.toLowerCase(),
        reliability: input.reliability.toLowerCase(),
        status: recipients.length === 0 || input.reliability === 'BEST_EFFORT' ? 'delivered' : 'sent',
        payload: input.payload,
        sentAt: new Date(now).toISOString(),
        expiresAt: new Date(now + input.ttlMs).toISOString(),
      };
      const network = { id: input.networkId, contextId: snapshot.contextId };
      if (input.reliability === 'BEST_EFFORT') {
        publisher.ephemeral({
          ...{ tenantId, module: 'network', streamId: input.networkId, type: 'message.passed', actor: subject },
          data: messageEvent('message.passed', network, message).data,
          createdAt: message.sentAt,
        });
        return message;
      }
      return commands.run(scope, call, async (tx) => {
        await saveMessage(tx, message);
        return { response: message, events: [messageEvent('message.sent', network, message)] };
      });
    },

    /** @throws {NOT_FOUND} {VALIDATION_FAILED} for a node that it was not sent to. {PERMISSION_DENIED} {INVALID_STATE} once expired. */
    async acknowledge(scope: RequestScope, messageId: string, nodeId: string): Promise<NetworkMessageRow> {
      const { tenantId, subject } = scope.principal;
      return commands.run(scope, { operation: 'acknowledge', input: null }, async (tx) => {
        if (isId(messageId))
          await tx.unsafe(
            'SELECT 1 FROM network.message WHERE tenant_id = $1 AND id = $2 FOR UPDATE',
            [tenantId, messageId],
            { prepare: true },
          );
        const message = isId(messageId) ? await findMessage(tx, tenantId, messageId) : null;
        const [network] = message ? await findNetworks(tx, tenantId, [message.networkId]) : [];
        if (!message || !network) throw new PlatformError('NOT_FOUND', 'no such message', { path: ['messageId'] });
        await requireVisible(tx, scope.principal, network.id);
        if (!message.recipients.includes(nodeId))
          throw new PlatformError('VALIDATION_FAILED', 'nodeId: expected a recipient of the message', {
            path: ['nodeId'],
          });
        const [node] = await findNodesById(tx, tenantId, [{ networkId: network.id, id: nodeId }]);
        if (node?.agentId != null && node.agentId !== subject) requireOperator(scope, network.contextId);
        if (message.acknowledged.includes(nodeId)) return { response: message };
        if (message.status === 'expired')
          throw new PlatformError('INVALID_STATE', 'the message has expired', { path: ['messageId'] });
        const acknowledged = [...message.acknowledged, nodeId];
        const isDone = acknowledged.length === message.recipients.length;
        const after: NetworkMessageRow = { ...message, acknowledged, status: isDone ? 'delivered' : message.status };
        await saveMessage(tx, after);
        return {
          response: after,
          events: [messageEvent(isDone ? 'message.delivered' : 'message.acknowledged', network, after)],
        };
      });
    },

    /** Ends messages whose time is over; answers how many. */
    async expire(): Promise<number> {
      const due = await read<{ tenantId: string; id: string }>(
        sql,
        `SELECT tenant_id AS "tenantId", id FROM network.message WHERE status = 'sent' AND expires_at <= now() LIMIT 1000`,
        [],
      );
      let count = 0;
      for (const { tenantId, id } of due)
        count += (await commands.runAs(tenantId, 'system', async (tx) => {
          const [open] = await read(
            tx,
            `SELECT 1 FROM network.message WHERE tenant_id = $1 AND id = $2 AND status = 'sent' FOR UPDATE SKIP LOCKED`,
            [tenantId, id],
          );
          const message = open ? await findMessage(tx, tenantId, id) : null;
          const [network] = message ? await findNetworks(tx, tenantId, [message.networkId]) : [];
          if (!message || !network) return { response: 0 };
          const after: NetworkMessageRow = { ...message, status: 'expired' };
          await saveMessage(tx, after);
          return { response: 1, events: [messageEvent('message.expired', network, after)] };
        })) as number;
      return count;
    },
  };
}
