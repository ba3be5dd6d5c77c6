import type { Access } from '#shared/contextAudience.ts';
import { conditionalAccess, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { findVerdicts } from './access.ts';
import { type AccessChange, partiesOf } from './accessChanges.ts';
import { consensusStatus, resultOf, voteOf } from './consensus/payload.ts';
import { consensusOf } from './consensus/state.ts';
import { inboxStream } from './events.ts';
import { approverPayload, confirmPayload, decisionPayload, stepOfPart } from './payload.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow } from './rows.ts';
import { confirmColumns } from './store.ts';
import { unknownConfirm, unknownConsensus } from './unknownConfirm.ts';

function place(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return { cursor: encodeCursor(event.streamId, sequence), sequence, timestamp: event.createdAt };
}

const open = { decide: () => 'deliver' as const };

interface Followed {
  readonly row: ConfirmRow;
  /** Where a list shows the context under conditions, who sees it and who has a part in the confirm all the same. */
  readonly access: Access | null;
  readonly parties: readonly string[];
}

/** A confirm whose stream the principal may follow; null where there is none. */
async function findFollowed(sql: Sql, principal: Principal, id: unknown): Promise<Followed | null> {
  if (!isId(id)) return null;
  const [[found], verdicts] = await Promise.all([
    sql.unsafe(
      `SELECT ${confirmColumns}, ${conditionalAccess('confirm', { tenantId: 'c.tenant_id', contextId: 'c.context_id' })} AS access, ${partiesOf('c')} AS parties
       FROM confirm.confirm c WHERE c.tenant_id = $1 AND c.id = $2`,
      [principal.tenantId, id],
      { prepare: true },
    ) as unknown as Promise<(ConfirmRow & Omit<Followed, 'row'>)[]>,
    findVerdicts(sql, principal, [id]),
  ]);
  if (found === undefined || verdicts.get(id) === true) return null;
  const { access, parties, ...row } = found;
  return { row, access, parties };
}

/** Follows a confirm until its context is closed to who follows and has no part in it. */
function admitTo(principal: Principal, followed: Followed): Awaited<ReturnType<StreamSubscription['admit']>> {
  let { parties } = followed;
  const sees = followSight(principal, {
    contextId: followed.row.contextId,
    access: followed.access,
    hasPart(event) {
      if (event.type === 'access.changed') ({ parties } = event.data as unknown as AccessChange);
      return parties.includes(principal.subject);
    },
  });
  return { decide: (event) => (sees(event) ? 'deliver' : 'end') };
}

const waitingKinds: Readonly<Record<string, string>> = {
  'approval.waiting': 'WAITING',
  'approval.changed': 'CHANGED',
  'approval.reminded': 'REMINDED',
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
      const followed = await findFollowed(sql, principal, args['confirmId']);
      if (followed === null) throw unknownConfirm(String(args['confirmId']));
      return admitTo(principal, followed);
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
      const followed = await findFollowed(sql, principal, args['consensusId']);
      if (followed === null || consensusOf(followed.row) === null) throw unknownConsensus();
      return admitTo(principal, followed);
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
