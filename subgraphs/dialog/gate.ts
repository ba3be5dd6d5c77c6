import type { AdmissionDeps, Decision, EphemeralEvent, EventGate, EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { isActive, notAParticipant, observes, seesDialog, unknownDialog } from './rights.ts';
import type { DialogParticipantRow, DialogRow, MessageRow } from './rows.ts';
import { findDialogs } from './store/dialogs.ts';
import { findParticipantsBySubject } from './store/participants.ts';
import { everything, inSpans, isFor, type MessageView, viewOf } from './visibility.ts';

export interface Admission {
  readonly principal: Principal;
  readonly dialog: DialogRow;
  readonly participant: DialogParticipantRow | null;
}

/**
 * Reads who asks for a dialog's stream.
 * @throws {NOT_FOUND} when the dialog is unknown to the principal.
 */
export async function admit(
  principal: Principal,
  args: Readonly<Record<string, unknown>>,
  { sql }: AdmissionDeps,
): Promise<Admission> {
  const dialogId = args['dialogId'];
  if (!isId(dialogId)) throw unknownDialog(String(dialogId));
  const { tenantId, subject } = principal;
  const [[dialog], [participant]] = await Promise.all([
    findDialogs(sql, tenantId, [dialogId]),
    findParticipantsBySubject(sql, [{ tenantId, dialogId, subject }]),
  ]);
  if (!dialog || !seesDialog(dialog, principal, participant)) throw unknownDialog(dialogId);
  return { principal, dialog, participant: participant ?? null };
}

/** @throws {NOT_A_PARTICIPANT} unless the principal takes an active, reading part or observes all. */
export function requireReader({ principal, dialog, participant }: Admission): MessageView {
  if (observes(dialog, principal)) return everything;
  const view = isActive(participant) ? viewOf(dialog, principal, participant) : null;
  if (view === null) throw notAParticipant();
  return view;
}

/** Messages deleted while their events are still in memory somewhere: those events are not for anyone any more. */
export async function findTombstones(
  admission: Admission,
  { sql }: AdmissionDeps,
  keptDays: number,
): Promise<ReadonlySet<string>> {
  const { tenantId, id } = admission.dialog;
  const rows = await sql<{ id: string }[]>`
    SELECT id FROM dialog.message WHERE tenant_id = ${tenantId} AND dialog_id = ${id} AND deleted_at IS NOT NULL AND deleted_at > now() - make_interval(days => ${keptDays})`;
  return new Set(rows.map((row) => row.id));
}

/** What a gate knows of its subscriber and learns from the stream. */
export interface GateState {
  readonly admission: Admission;
  readonly view: MessageView;
  readonly deleted: Set<string>;
}

type Judge = (event: EventRow | EphemeralEvent, state: GateState) => Decision;

const comings = new Set([
  'dialog.participant.joined',
  'dialog.participant.updated',
  'dialog.participant.left',
  'dialog.participant.removed',
  'dialog.participant.invited',
]);

/**
 * Follows the subscriber's own membership through the stream. Changes up to the version read at admission are history
 * and only what came after counts: who is removed, leaves or may no longer read hears nothing behind that event.
 */
export function createMemberGate(
  admission: Admission,
  view: MessageView,
  options: { readonly deleted: ReadonlySet<string>; readonly judge: Judge; readonly handed?: EventGate['handed'] },
): EventGate {
  let { participant } = admission;
  let current = view;
  const deleted = new Set(options.deleted);
  /** As it is now: a role may be taken away while the stream runs. */
  const isFree = () => observes(admission.dialog, admission.principal);
  return {
    ...(options.handed ? { handed: options.handed } : {}),
    decide(event) {
      if (comings.has(event.type)) {
        const changed = event.data['participant'] as DialogParticipantRow | undefined;
        if (
          !isFree() &&
          changed !== undefined &&
          changed.id === participant?.id &&
          changed.version > (participant?.version ?? 0)
        ) {
          participant = changed;
          const next = isActive(changed) ? viewOf(admission.dialog, admission.principal, changed) : null;
          if (next === null) return 'end';
          current = next;
        }
      }
      const message = event.data['message'] as Partial<MessageRow> | undefined;
      if (message?.id !== undefined && event.type === 'dialog.message.deleted') deleted.add(message.id);
      return options.judge(event, { admission, view: current, deleted });
    },
  };
}

/** A message's event is for whoever may see the message; of a deleted one only the tombstone. */
export function judgeMessage(event: EventRow | EphemeralEvent, { view, deleted }: GateState): Decision {
  const message = event.data['message'] as MessageRow | undefined;
  if (!message) return 'skip';
  if (event.type !== 'dialog.message.deleted' && deleted.has(message.id)) return 'skip';
  return inSpans(view.spans, message.sequence) && isFor(message, view.participantId) ? 'deliver' : 'skip';
}

/** How far somebody has read is for whoever may see the message that it stands at. */
export function judgeReceipt(event: EventRow | EphemeralEvent, { view }: GateState): Decision {
  const { readUpto } = event.data['receipt'] as { readonly readUpto: number };
  return inSpans(view.spans, readUpto) ? 'deliver' : 'skip';
}
