import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { receive } from './broadcastMoves.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { count, find, put, setDeadline, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { active, requireCoordinator, requirePart, requireStatus } from './rights.ts';

/** What is said to everybody at once, and who has received it. */
export function createBroadcasts({ calls }: { readonly calls: Calls }) {
  return {
    /**
     * To all others who take part: in BROADCAST mode anyone of them, in ORCHESTRATED mode the coordinator.
     * @throws {MODE_FORBIDS} {NOT_A_PARTICIPANT} {PERMISSION_DENIED} {COLLAB_NOT_ACTIVE} {INVARIANT_VIOLATED} where nobody would receive it
     */
    async send(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.broadcast, raw);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'broadcast', input, idempotencyKey, expectedVersion, needs: { participant: 'all' } },
        (draft) => {
          const { collab } = draft;
          if (collab.mode !== 'broadcast' && collab.mode !== 'orchestrated')
            throw new PlatformError('MODE_FORBIDS', `there are no broadcasts in ${collab.mode.toUpperCase()} mode`);
          requireStatus(draft, 'active');
          const sender = requirePart(draft, scope.principal);
          if (collab.mode === 'orchestrated') requireCoordinator(draft, scope.principal);
          const others = active(draft).filter(({ participantId }) => participantId !== sender.participantId);
          if (others.length === 0)
            throw new PlatformError('INVARIANT_VIOLATED', 'nobody else takes part', {
              details: { invariant: 'map_broadcast_has_receivers' },
            });
          const broadcast = put(draft, 'broadcast', {
            tenantId: collab.tenantId,
            id: newId(),
            collabId: collab.id,
            senderId: sender.participantId,
            message: input.message,
            status: 'open',
            recipients: others.map(({ participantId }) => participantId),
            receipts: {},
            dueAt: new Date(draft.atMs + (input.timeoutMs ?? collab.turnTaking.timeoutMs)).toISOString(),
            createdAt: draft.at,
          });
          count(draft, { broadcastsSent: 1 });
          setDeadline(draft, `broadcast:${broadcast.id}`, broadcast.dueAt);
          tell(draft, 'collab.broadcast.sent', {
            broadcast,
            initiatorRole: sender.roleId,
            targetRoles: others.flatMap(({ roleId }) => (roleId === null ? [] : [roleId])),
          });
          return { collabId: collab.id, broadcastId: broadcast.id };
        },
      );
    },

    /** A recipient says that it has it; once. @throws {NOT_FOUND} {NOT_A_PARTICIPANT} {TURN_OVER} */
    async acknowledge(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.receipt, raw);
      const collabId = await calls.ownerOf(scope, 'broadcast', input.broadcastId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'acknowledgeBroadcast',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', broadcast: [input.broadcastId] },
        },
        (draft) => {
          const broadcast = find(draft, 'broadcast', input.broadcastId);
          if (broadcast === undefined)
            throw new PlatformError('NOT_FOUND', 'no such broadcast', { path: ['input', 'broadcastId'] });
          const part = requirePart(draft, scope.principal);
          if (!broadcast.recipients.includes(part.participantId))
            throw new PlatformError('NOT_A_PARTICIPANT', 'the broadcast was not for the caller');
          const answer = { collabId, broadcastId: broadcast.id };
          // Received is received: a second time changes nothing.
          if (broadcast.receipts[part.participantId] !== undefined) return answer;
          if (broadcast.status !== 'open')
            throw new PlatformError('TURN_OVER', 'the time to receive the broadcast is over');
          receive(draft, broadcast, part.participantId, input.response ?? null);
          return answer;
        },
      );
    },
  };
}
