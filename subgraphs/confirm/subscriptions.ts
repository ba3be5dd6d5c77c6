import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import { unknownConfirm } from './changes.ts';
import { consensusStatus, resultOf, voteOf } from './consensus/payload.ts';
import { consensusOf } from './consensus/state.ts';
import { inboxStream } from './events.ts';
import { approverPayload, confirmPayload, decisionPayload, stepOfPart } from './payload.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow } from './rows.ts';
import { findConfirms } from './store.ts';

function place(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return { cursor: encodeCursor(event.streamId, sequence), sequence, timestamp: event.createdAt };
}

const open = { decide: () => 'deliver' as const };

const waitingKinds: Readonly<Record<string, string>> = {
  'approval.waiting': 'WAITING',
  'approval.changed': 'CHANGED',
  'approval.settled': 'SETTLED',
};

/** Fields of `Subscription` that the confirm module feeds. */
export const confirmSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  approvalUpdates: {
    module: 'confirm',
    kind: 'stream',
    streamId: (args) => String(args['confirmId']),
    types: ['confirm.*'],
    payload(event) {
      const confirm = event.data['confirm'] as ConfirmRow;
      const decision = event.data['decision'] as ConfirmDecisionRow | undefined;
      return {
        ...place(event),
        confirmId: event.streamId,
        type: event.type,
        actor: event.actor,
        status: confirm.status.toUpperCase(),
        phase: confirm.phase.toUpperCase(),
        stepId: event.data['stepId'] ?? decision?.stepId ?? null,
        decision: decision ? decisionPayload(decision) : null,
        confirm: confirmPayload(confirm),
      };
    },
    async admit(principal, args, { sql }) {
      const id = args['confirmId'];
      if (!isId(id) || (await findConfirms(sql, principal.tenantId, [id])).length === 0)
        throw unknownConfirm(String(id));
      return open;
    },
  },

  consensusUpdates: {
    module: 'confirm',
    kind: 'stream',
    streamId: (args) => String(args['consensusId']),
    types: ['confirm.created', 'confirm.decided', 'confirm.reminded', 'confirm.resolved'],
    payload(event) {
      const confirm = event.data['confirm'] as ConfirmRow;
      const decision = event.data['decision'] as ConfirmDecisionRow | undefined;
      const told = event.data['consensus'] as
        | { readonly standings: readonly object[]; readonly participation: number }
        | undefined;
      return {
        ...place(event),
        consensusId: event.streamId,
        type: event.type,
        actor: event.actor,
        status: consensusStatus(confirm),
        vote: decision === undefined ? null : voteOf(decision),
        standings: told?.standings ?? null,
        participation: told?.participation ?? null,
        result: resultOf(confirm),
      };
    },
    async admit(principal, args, { sql }) {
      const id = args['consensusId'];
      const [row] = isId(id) ? await findConfirms(sql, principal.tenantId, [id]) : [];
      if (row === undefined || consensusOf(row) === null)
        throw new PlatformError('NOT_FOUND', 'no such consensus process', { path: ['consensusId'] });
      return open;
    },
  },

  approvalsWaiting: {
    module: 'confirm',
    kind: 'stream',
    streamId: (_args, principal) => inboxStream(principal.subject),
    types: Object.keys(waitingKinds),
    payload(event) {
      const confirm = event.data['confirm'] as ConfirmRow;
      const approver = event.data['approver'] as ConfirmApproverRow;
      const { state, dueAt } = approverPayload(approver);
      return {
        ...place(event),
        kind: waitingKinds[event.type] ?? 'CHANGED',
        confirmId: confirm.id,
        stepId: stepOfPart(approver, confirm),
        conditionId: approver.conditionId ?? null,
        state,
        dueAt,
        title: confirm.title,
        confirm: confirmPayload(confirm),
      };
    },
    admit: async () => open,
  },
};
