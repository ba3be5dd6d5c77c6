import { readAnswer } from '#shared/askedConfirm.ts';
import { createRequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId, newId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { createPrincipal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Participants } from './participants.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';

const kind = 'context.participant';

/**
 * Brings who asks to join before the owner of the context, who cannot pass it on: nobody lets others in by being asked. Its
 * target is the request, not the context, whose lock approved Confirms open.
 */
export function askToLetIn(context: ContextRow, participant: ContextParticipantRow): NewEvent {
  const { id, agentId, roles, capabilities } = participant;
  return {
    streamId: id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'other',
        targetId: id,
        contextId: context.id,
        confirmationType: 'join_request',
        title: `${agentId} asks to join "${context.title}"`.slice(0, 500),
        requestedBy: 'system:context',
        requestedByRole: 'service',
        author: agentId,
        subject: { agentId, roles, capabilities },
        approvers: [context.ownerId],
        delegationAllowed: false,
        reference: { kind, contextId: context.id, participantId: id },
      },
    },
    tags: [],
  };
}

/**
 * Does what people have decided about requests to join, in the name of who decided and with no right but that of the owner
 * or the access list. A repeat, or what was decided by hand meanwhile, changes nothing.
 */
export async function answerJoinRequests(
  { logger }: Pick<ModuleRuntime, 'logger'>,
  participants: Pick<Participants, 'decide'>,
  events: readonly EventRow[],
): Promise<void> {
  for (const event of events) {
    const status = (event.data['confirm'] as { readonly status?: unknown } | undefined)?.status;
    if (event.type !== 'confirm.resolved' || (status !== 'approved' && status !== 'rejected')) continue;
    const asked = readAnswer(event, kind);
    const { contextId, participantId } = asked?.reference ?? {};
    if (!isId(contextId) || !isId(participantId)) continue;
    const { resolution } = event.data['confirm'] as { readonly resolution?: string | null };
    const { tenantId, actor } = event;
    const scope = createRequestScope({
      principal: createPrincipal({ tenantId, subject: actor, subjectType: 'human', scopes: [] }),
      correlationId: newId(),
      traceparent: `00-${newId().replaceAll('-', '')}-${newId().replaceAll('-', '').slice(0, 16)}-01`,
    });
    try {
      await participants.decide(scope, contextId, participantId, {
        decision: status === 'approved' ? 'APPROVE' : 'REFUSE',
        reason: status === 'approved' ? null : (resolution?.slice(0, 2_000) ?? null),
        // Nobody is asked again: what was granted is kept until there is a place.
        waits: true,
      });
    } catch (error) {
      // It waits on in the context's own list: locked, or no longer for who decided.
      if (!(error instanceof PlatformError) || error.retryable) throw error;
      logger.info({ contextId, participantId, code: error.code }, 'a request to join stays as it is');
    }
  }
}
