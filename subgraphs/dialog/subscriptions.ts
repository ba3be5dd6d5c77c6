import { encodeCursor } from '#shared/cursor.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import { admit, createMemberGate, findTombstones, judgeMessage, judgeReceipt, requireReader } from './gate.ts';
import { createOpenGate, findAbsences } from './openGate.ts';
import { analysisPayload, messagePayload, summaryPayload } from './payload.ts';
import { createRedelivery, noteHandovers, type RedeliveryData, redeliveryType } from './redelivery.ts';
import type { DialogRow, DialogSummaryRow, MessageAnalysisRow, MessageRow } from './rows.ts';
import { seesRange } from './visibility.ts';

/** Events are replayed no longer than this, days. */
const maxReplayDays = 31;

const stream = {
  module: 'dialog',
  kind: 'stream',
  streamId: (args: Readonly<Record<string, unknown>>) => String(args['dialogId']),
} as const;
const ephemeral = { ...stream, kind: 'ephemeral' } as const;

const messageKinds: Readonly<Record<string, string>> = {
  'dialog.message.sent': 'MESSAGE',
  'dialog.message.edited': 'EDIT',
  'dialog.message.deleted': 'DELETE',
  'dialog.message.reacted': 'REACTION',
  'dialog.receipt.read': 'RECEIPT',
};

function place(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return {
    cursor: encodeCursor(event.streamId, sequence),
    sequence,
    dialogId: event.streamId,
    timestamp: event.createdAt,
  };
}

/** A message that is sent anew is the one it was: whoever resumes there misses nothing. */
function firstPlace(event: EventRow | EphemeralEvent) {
  const { position, actor, sentAt } = event.data as unknown as RedeliveryData;
  return {
    ...place(event),
    cursor: encodeCursor(event.streamId, position),
    sequence: position,
    actor,
    timestamp: sentAt,
  };
}

/** Fields of `Subscription` that the dialog module feeds. */
export const dialogSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  messageReceived: {
    ...stream,
    types: Object.keys(messageKinds),
    passing: [redeliveryType],
    noteHandovers,
    payload(event) {
      const message = event.data['message'] as MessageRow | undefined;
      const deleted = message !== undefined && message.deletedAt !== null;
      return {
        ...(event.type === redeliveryType ? firstPlace(event) : { ...place(event), actor: event.actor }),
        kind: messageKinds[event.type] ?? 'MESSAGE',
        redelivery: event.type === redeliveryType,
        message: message ? messagePayload(message) : null,
        reaction: deleted ? null : (event.data['reaction'] ?? null),
        receipt: event.data['receipt'] ?? null,
      };
    },
    async admit(principal, args, deps) {
      const admission = await admit(principal, args, deps);
      const view = requireReader(admission);
      const deleted = await findTombstones(admission, deps, maxReplayDays);
      const wantsReceipts = args['receipts'] === true;
      const redelivery = createRedelivery(admission.participant?.id);
      return createMemberGate(admission, view, {
        deleted,
        handed: redelivery.handed,
        judge(event, state) {
          if (event.type === 'dialog.receipt.read') return wantsReceipts ? judgeReceipt(event, state) : 'skip';
          return redelivery.judge(event, state);
        },
      });
    },
  },

  dialogStatusChanged: {
    ...stream,
    types: ['dialog.status.changed', 'dialog.archived'],
    payload(event) {
      const dialog = event.data['dialog'] as DialogRow;
      const changes = event.data['changes'] as {
        readonly status: string;
        readonly from: string;
        readonly reason: string | null;
        readonly archived: boolean;
      };
      return {
        ...place(event),
        status: dialog.status.toUpperCase(),
        previousStatus: changes.from.toUpperCase(),
        reason: changes.reason,
        archived: changes.archived,
        actor: event.actor,
      };
    },
    // Whoever sees the dialog sees how it stands; who is removed from one that is not for all, no longer.
    async admit(principal, args, deps) {
      const admission = await admit(principal, args, deps);
      return createOpenGate(admission, await findAbsences(admission, deps));
    },
  },

  aiAnalysisCompleted: {
    ...stream,
    types: ['dialog.analysis.completed', 'dialog.summary.completed'],
    payload(event) {
      const analysis = event.data['analysis'] as MessageAnalysisRow | undefined;
      const summary = event.data['summary'] as DialogSummaryRow | undefined;
      return {
        ...place(event),
        kind: analysis ? 'MESSAGE' : 'SUMMARY',
        messageId: analysis?.messageId ?? null,
        analysis: analysis ? analysisPayload(analysis) : null,
        summary: summary ? summaryPayload(summary) : null,
      };
    },
    async admit(principal, args, deps) {
      const admission = await admit(principal, args, deps);
      const deleted = await findTombstones(admission, deps, maxReplayDays);
      return createMemberGate(admission, requireReader(admission), {
        deleted,
        judge(event, state) {
          if (event.type === 'dialog.analysis.completed') return judgeMessage(event, state);
          const summary = event.data['summary'] as DialogSummaryRow | undefined;
          return summary && seesRange(state.view, summary.fromSequence, summary.toSequence) ? 'deliver' : 'skip';
        },
      });
    },
  },

  presenceChanged: {
    ...ephemeral,
    types: ['dialog.presence'],
    payload: (event) => ({ dialogId: event.streamId, ...event.data }),
    async admit(principal, args, deps) {
      const admission = await admit(principal, args, deps);
      return createMemberGate(admission, requireReader(admission), { deleted: new Set(), judge: () => 'deliver' });
    },
  },

  typing: {
    ...ephemeral,
    types: ['dialog.typing'],
    payload: (event) => ({ dialogId: event.streamId, ...event.data }),
    async admit(principal, args, deps) {
      const admission = await admit(principal, args, deps);
      return createMemberGate(admission, requireReader(admission), { deleted: new Set(), judge: () => 'deliver' });
    },
  },
};
