import type { SqlTransaction } from '#shared/sql.ts';
import { shownSubject } from '../participants.ts';
import type { DialogParticipantRow, DialogStateRecord, MessageRow } from '../rows.ts';
import { keyOf, lockDialogs } from '../store/dialogs.ts';
import { findMessages } from '../store/messages.ts';
import { findParticipantsBySubject, findParticipantsOf } from '../store/participants.ts';
import { needsParticipants, type Situation } from './decide.ts';
import type { MessageDraft } from './draft.ts';

interface StoredKey {
  tenantId: string;
  dialogId: string;
  senderSubject: string;
  clientMessageId: string;
  messageId: string;
  contentHash: string;
}

const keysText = `
SELECT k.tenant_id AS "tenantId", k.dialog_id AS "dialogId", k.sender_subject AS "senderSubject", k.client_message_id AS "clientMessageId",
  k.message_id AS "messageId", encode(k.content_hash, 'hex') AS "contentHash"
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) AS a(tenant_id, dialog_id, sender_subject, client_message_id)
JOIN dialog.message_key k USING (tenant_id, dialog_id, sender_subject, client_message_id)`;

const recentText = `
SELECT a.ord, array(SELECT m.text FROM dialog.message m WHERE m.tenant_id = a.tenant_id AND m.dialog_id = a.dialog_id AND m.sender_subject = a.subject
  AND m.sequence > a.last_sequence - 50 AND m.text IS NOT NULL ORDER BY m.sequence DESC LIMIT 5) AS texts
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[]) WITH ORDINALITY AS a(tenant_id, dialog_id, subject, last_sequence, ord)`;

/** Reads behind the locks what the drafts need; the rarely needed in a second round trip. */
export async function readSituations(tx: SqlTransaction, drafts: readonly MessageDraft[]) {
  const keys = drafts.map((draft) => ({ tenantId: draft.scope.principal.tenantId, dialogId: draft.input.dialogId }));
  const withKey = drafts.filter((draft) => draft.contentHash !== null);
  const replies = Map.groupBy(
    drafts.filter((draft) => draft.input.replyTo != null),
    (draft) => draft.scope.principal.tenantId,
  );
  const wanting = new Map(
    drafts.flatMap((draft, at) => (needsParticipants(draft) ? [[keyOf(keys[at]!), keys[at]!]] : [])),
  );
  const [{ states, dialogs }, senders, stored, replyTargets, wanted] = await Promise.all([
    lockDialogs(tx, keys),
    findParticipantsBySubject(
      tx,
      drafts.map((draft, at) => ({ ...keys[at]!, subject: draft.scope.principal.subject })),
    ),
    withKey.length === 0
      ? []
      : (tx.unsafe(
          keysText,
          [
            withKey.map((draft) => draft.scope.principal.tenantId),
            withKey.map((draft) => draft.input.dialogId),
            withKey.map((draft) => draft.scope.principal.subject),
            withKey.map((draft) => draft.input.clientMessageId!),
          ],
          { prepare: true },
        ) as unknown as Promise<StoredKey[]>),
    Promise.all(
      [...replies].map(([tenantId, list]) =>
        findMessages(tx, tenantId, [...new Set(list.map((draft) => draft.input.replyTo!))]),
      ),
    ),
    wanting.size === 0 ? [] : findParticipantsOf(tx, [...wanting.values()]),
  ]);
  const bySubject = new Map(senders.map((row) => [`${keyOf(row)}/${row.identity}`, row]));
  const members = Map.groupBy(wanted as readonly DialogParticipantRow[], keyOf);
  const targets = new Map(replyTargets.flat().map((row) => [`${row.tenantId}/${row.id}`, row]));
  const known = new Map(
    stored.map((row) => [
      JSON.stringify([row.tenantId, row.dialogId, row.senderSubject, row.clientMessageId]),
      { messageId: row.messageId, contentHash: row.contentHash },
    ]),
  );
  const recent = await readMore();
  function shownOf(draft: MessageDraft, at: number): string {
    const { principal } = draft.scope;
    return shownSubject(principal, bySubject.get(`${keyOf(keys[at]!)}/${principal.subject}`));
  }

  /** Turn order and the sender's last texts: only some dialogs ask for them, and which ones is known only now. */
  async function readMore(): Promise<Map<number, readonly string[]>> {
    const turning = [...dialogs.values()]
      .filter((row) => row.configuration.turnMode !== 'FREE')
      .map((row) => ({ tenantId: row.tenantId, dialogId: row.id }));
    const missing = turning.filter((key) => !members.has(keyOf(key)));
    const moderated = drafts.flatMap((draft, at) =>
      dialogs.get(keyOf(keys[at]!))?.configuration.moderationEnabled ? [{ draft, at }] : [],
    );
    if (missing.length === 0 && moderated.length === 0) return new Map();
    const [more, texts] = await Promise.all([
      missing.length === 0 ? [] : findParticipantsOf(tx, missing),
      moderated.length === 0
        ? []
        : (tx.unsafe(
            recentText,
            [
              moderated.map(({ at }) => keys[at]!.tenantId),
              moderated.map(({ at }) => keys[at]!.dialogId),
              moderated.map(({ draft, at }) => shownOf(draft, at)),
              moderated.map(({ at }) => states.get(keyOf(keys[at]!))?.lastSequence ?? 0),
            ],
            { prepare: true },
          ) as unknown as Promise<{ ord: number; texts: string[] }[]>),
    ]);
    for (const [key, rows] of Map.groupBy(more as readonly DialogParticipantRow[], keyOf)) members.set(key, rows);
    return new Map(texts.map((row) => [moderated[row.ord - 1]!.at, row.texts]));
  }

  const clientKey = (draft: MessageDraft) =>
    JSON.stringify([
      draft.scope.principal.tenantId,
      draft.input.dialogId,
      draft.scope.principal.subject,
      draft.input.clientMessageId,
    ]);
  return {
    of(
      draft: MessageDraft,
      at: number,
      moved: ReadonlyMap<string, DialogStateRecord>,
      fresh: readonly MessageRow[],
    ): Situation {
      const key = keyOf(keys[at]!);
      const { replyTo, dialogId } = draft.input;
      const { subject, tenantId } = draft.scope.principal;
      const said = fresh
        .filter(
          (row) =>
            row.dialogId === dialogId &&
            row.tenantId === tenantId &&
            row.senderSubject === shownOf(draft, at) &&
            row.text !== null,
        )
        .map((row) => row.text!);
      return {
        dialog: dialogs.get(key),
        state: moved.get(key) ?? states.get(key),
        sender: bySubject.get(`${key}/${subject}`),
        participants: members.get(key),
        replyTarget:
          replyTo == null
            ? undefined
            : (targets.get(`${tenantId}/${replyTo}`) ??
              fresh.find((row) => row.id === replyTo && row.tenantId === tenantId)),
        recentTexts: recent.has(at) ? [...said.reverse(), ...recent.get(at)!] : [],
      };
    },
    keyOf: (draft: MessageDraft) => (draft.contentHash === null ? undefined : known.get(clientKey(draft))),
    remember: (draft: MessageDraft, messageId: string) =>
      void known.set(clientKey(draft), { messageId, contentHash: draft.contentHash! }),
  };
}
