import type { AdmissionDeps, Decision, EphemeralEvent, EventRow, Handover } from '#shared/events.ts';
import { type GateState, judgeMessage } from './gate.ts';
import { followsDelivery } from './messages/followed.ts';
import type { MessageRow } from './rows.ts';

export const redeliveryType = 'dialog.delivery.retried';

/** A followed message as it is sent anew to one recipient. */
export interface RedeliveryData {
  readonly message: MessageRow;
  readonly participantId: string;
  readonly attempt: number;
  /** Sequence, actor and time of the event that first carried it. */
  readonly position: number;
  readonly actor: string;
  readonly sentAt: string;
}

/**
 * Follows one stream of one participant: which messages it has been handed. A message that is sent anew goes to streams
 * of its recipient that began behind it, to each once; where its own event comes after all, that one is passed over.
 */
export function createRedelivery(participantId: string | undefined) {
  /** First event that came in order: whatever stands behind it comes, or came, by itself. */
  let begins: number | null = null;
  const redelivered = new Set<string>();
  return {
    judge(event: EventRow | EphemeralEvent, state: GateState): Decision {
      if ('sequence' in event) {
        begins ??= event.sequence;
        const message = event.data['message'] as MessageRow | undefined;
        if (event.type === 'dialog.message.sent' && message && redelivered.has(message.id)) return 'skip';
        return judgeMessage(event, state);
      }
      const { message, participantId: recipient, position } = event.data as unknown as RedeliveryData;
      if (recipient !== participantId || (begins !== null && position >= begins) || redelivered.has(message.id))
        return 'skip';
      return judgeMessage(event, state);
    },

    /** The delivery that the event's coming to its client completes, where it is one that is followed. */
    handed(event: EventRow | EphemeralEvent): Handover | undefined {
      const isNew = event.type === 'dialog.message.sent';
      if (participantId === undefined || !(isNew || event.type === redeliveryType)) return undefined;
      const message = event.data['message'] as MessageRow;
      if (!isNew) redelivered.add(message.id);
      if (message.senderId === participantId) return undefined;
      if (message.recipients === null && !followsDelivery(message.requiresResponse, message.priority)) return undefined;
      const { tenantId, dialogId, id } = message;
      return { tenant_id: tenantId, dialog_id: dialogId, message_id: id, participant_id: participantId };
    },
  };
}

/** Followed deliveries that a live stream has taken to its client. */
export async function noteHandovers(handovers: readonly Handover[], { sql }: AdmissionDeps): Promise<void> {
  await sql.unsafe(
    `UPDATE dialog.delivery d SET status = 'DELIVERED', next_attempt_at = NULL, updated_at = now()
     FROM (SELECT DISTINCT * FROM json_to_recordset($1::text::json) AS i(tenant_id text, dialog_id uuid, message_id uuid, participant_id uuid)) i
     WHERE d.tenant_id = i.tenant_id AND d.dialog_id = i.dialog_id AND d.message_id = i.message_id AND d.participant_id = i.participant_id
       AND d.status IN ('PENDING', 'SENT', 'FAILED')`,
    [JSON.stringify(handovers)],
    { prepare: true },
  );
}
