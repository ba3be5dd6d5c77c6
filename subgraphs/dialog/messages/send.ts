import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { messageEvent } from '../events.ts';
import { sortBatch } from '../idempotentBatch.ts';
import { isolateFailures } from '../isolate.ts';
import { answeredBy } from '../observability.ts';
import { shownSubject } from '../participants.ts';
import type { DialogParticipantRow, DialogStateRecord, MessageRow } from '../rows.ts';
import { keyOf, lockDialogs } from '../store/dialogs.ts';
import { findMessages, insertMessagesClause, messageRecords } from '../store/messages.ts';
import { findParticipantsBySubject, findParticipantsOf } from '../store/participants.ts';
import { acceptMessage, needsParticipants, requireKnown, type Situation } from './decide.ts';
import { draftMessage, type MessageDraft } from './draft.ts';

export interface SentMessage {
  readonly message: MessageRow;
  /** True when an earlier call with this client message id or idempotency key had sent it. */
  readonly duplicate: boolean;
}

export interface MessageSender {
  /** @throws {PlatformError} as `draftMessage` and `acceptMessage` say, {DUPLICATE_MESSAGE} {NOT_FOUND} */
  send(scope: RequestScope, raw: unknown): Promise<SentMessage>;
  drain(): Promise<void>;
}

/** A result that is read once its batch has committed. */
type Outcome = { readonly message: MessageRow } | { readonly messageId: string };

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

const writeText = `
WITH messages AS (${insertMessagesClause('$1')}
), keys AS (
  INSERT INTO dialog.message_key (tenant_id, dialog_id, sender_subject, client_message_id, message_id, sequence, content_hash, created_at)
  SELECT tenant_id, dialog_id, sender_subject, client_message_id, message_id, sequence, decode(content_hash, 'hex'), created_at
  FROM json_to_recordset($2::text::json) AS k(tenant_id text, dialog_id uuid, sender_subject text, client_message_id text, message_id uuid, sequence bigint, content_hash text, created_at timestamptz)
), deliveries AS (
  INSERT INTO dialog.delivery (tenant_id, dialog_id, message_id, participant_id, sequence, status, attempts, next_attempt_at, expires_at)
  SELECT tenant_id, dialog_id, message_id, participant_id, sequence, 'SENT', 1, next_attempt_at, expires_at
  FROM json_to_recordset($3::text::json) AS d(tenant_id text, dialog_id uuid, message_id uuid, participant_id uuid, sequence bigint, next_attempt_at timestamptz, expires_at timestamptz)
)
UPDATE dialog.dialog_state s SET last_sequence = i.last_sequence, message_count = i.message_count, last_message_at = i.last_message_at,
  last_sender_type = i.last_sender_type, last_activity_at = i.last_activity_at, window_started_at = i.window_started_at, window_count = i.window_count,
  current_turn = i.current_turn, turn_started_at = i.turn_started_at, analysis_queued_at = i.analysis_queued_at
FROM json_to_recordset($4::text::json) AS i(tenant_id text, dialog_id uuid, last_sequence bigint, message_count int, last_message_at timestamptz,
  last_sender_type text, last_activity_at timestamptz, window_started_at timestamptz, window_count int, current_turn uuid, turn_started_at timestamptz, analysis_queued_at timestamptz)
WHERE s.tenant_id = i.tenant_id AND s.dialog_id = i.dialog_id`;

/** First retry of a followed delivery, ms; it doubles with each. */
export const deliveryRetryMs = 1_000;

/**
 * The hot path: concurrent sends share one transaction. Dialogs are locked in id order, all that is needed is read in one
 * round trip behind the locks, decided here, and written in one more; each sender hears of its own message or refusal.
 */
export function createMessageSender(runtime: ModuleRuntime): MessageSender {
  const { sql, publisher, config } = runtime;

  async function attempt(drafts: readonly MessageDraft[]): Promise<(SentMessage | Error)[]> {
    const { results, pending, settle } = await sortBatch<MessageDraft, Outcome>(sql, drafts, (response) => ({
      messageId: String(response['messageId']),
    }));
    let events: readonly EventRow[] = [];
    const scopes: RequestScope[] = [];
    if (pending.length > 0) {
      await sql.begin(async (tx) => {
        const items = pending.map(({ item }) => item);
        const read = await readSituations(tx, items);
        const states = new Map<string, DialogStateRecord>();
        const messages: MessageRow[] = [];
        const keys: Record<string, unknown>[] = [];
        const deliveries: Record<string, unknown>[] = [];
        const changes: Change[] = [];
        const nowMs = Date.now();
        for (const [at, { item: draft, index }] of pending.entries()) {
          try {
            const situation = read.of(draft, at, states, messages);
            requireKnown(draft, situation);
            const known = read.keyOf(draft);
            if (known) {
              if (known.contentHash !== draft.contentHash) {
                throw new PlatformError('DUPLICATE_MESSAGE', 'the client message id was used with other content', {
                  path: ['input', 'clientMessageId'],
                  details: { messageId: known.messageId },
                });
              }
              results[index] = { messageId: known.messageId };
              continue;
            }
            const { message, state, followed, queueAnalysis } = acceptMessage(draft, situation, {
              messagesPerMinute: config.QUOTA_MESSAGES_PER_MINUTE,
              nowMs,
            });
            const dialog = situation.dialog!;
            states.set(keyOf(state), state);
            messages.push(message);
            if (draft.contentHash !== null) {
              read.remember(draft, message.id);
              keys.push({
                tenant_id: message.tenantId,
                dialog_id: message.dialogId,
                sender_subject: draft.scope.principal.subject,
                client_message_id: message.clientMessageId,
                message_id: message.id,
                sequence: message.sequence,
                content_hash: draft.contentHash,
                created_at: message.createdAt,
              });
            }
            for (const participantId of followed) {
              deliveries.push({
                tenant_id: message.tenantId,
                dialog_id: message.dialogId,
                message_id: message.id,
                participant_id: participantId,
                sequence: message.sequence,
                next_attempt_at: new Date(nowMs + deliveryRetryMs).toISOString(),
                expires_at: new Date(nowMs + dialog.configuration.deliveryTtlMs).toISOString(),
              });
            }
            const { principal, traceparent } = draft.scope;
            changes.push({
              tenantId: principal.tenantId,
              actor: principal.subject,
              shownActor: message.senderSubject ?? undefined,
              traceparent,
              events: [
                messageEvent('dialog.message.sent', message, {
                  contextId: dialog.contextId,
                  ...(situation.replyTarget ? { answers: answeredBy(situation.replyTarget) } : {}),
                }),
              ],
              ...(dialog.configuration.auditLogging
                ? {
                    audit: [
                      {
                        action: 'dialog.sendMessage',
                        resource: 'Message',
                        resourceId: message.id,
                        detail: { dialogId: message.dialogId, sequence: message.sequence, type: message.type },
                      },
                    ],
                  }
                : {}),
              idempotency: idempotencyRecord(draft.idempotent, { messageId: message.id }),
              ...(queueAnalysis ? { jobs: [analysisJob(message)] } : {}),
            });
            scopes.push(draft.scope);
            results[index] = { message };
          } catch (error) {
            if (!(error instanceof PlatformError)) throw error;
            results[index] = error;
          }
        }
        if (messages.length === 0) return;
        const parameters = [messageRecords(messages), keys, deliveries, [...states.values()].map(toStateRecord)].map(
          (list) => JSON.stringify(list),
        );
        [events] = await Promise.all([
          appendChange(tx, 'dialog', changes),
          tx.unsafe(writeText, parameters, { prepare: true }),
        ]);
      });
    }
    if (events.length > 0) {
      // One publish for all; each request's own event for its consistency token.
      await publisher.published(events);
      for (const [index, { eventId, tags }] of events.entries()) scopes[index]!.written.push({ eventId, tags });
    }
    return withEarlier(drafts, settle());
  }

  /** Reads behind the locks what the drafts need; the rarely needed in a second round trip. */
  async function readSituations(tx: SqlTransaction, drafts: readonly MessageDraft[]) {
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

  /** Reads the messages that earlier calls had sent. */
  async function withEarlier(
    drafts: readonly MessageDraft[],
    outcomes: readonly (Outcome | Error)[],
  ): Promise<(SentMessage | Error)[]> {
    const byId = new Map<string, MessageRow>();
    const asked = new Map<string, Set<string>>();
    const sent = new Set<MessageRow>();
    outcomes.forEach((outcome, index) => {
      if ('message' in outcome && !(outcome instanceof Error)) byId.set(outcome.message.id, outcome.message);
      else if ('messageId' in outcome) {
        const { tenantId } = drafts[index]!.scope.principal;
        asked.set(tenantId, (asked.get(tenantId) ?? new Set()).add(outcome.messageId));
      }
    });
    for (const [tenantId, ids] of asked) {
      const missing = [...ids].filter((id) => !byId.has(id));
      if (missing.length > 0) for (const row of await findMessages(sql, tenantId, missing)) byId.set(row.id, row);
    }
    return outcomes.map((outcome): SentMessage | Error => {
      if (outcome instanceof Error) return outcome;
      if ('message' in outcome) {
        const duplicate = sent.has(outcome.message);
        sent.add(outcome.message);
        return { message: outcome.message, duplicate };
      }
      const message = byId.get(outcome.messageId);
      return message
        ? { message, duplicate: true }
        : new PlatformError('NOT_FOUND', 'the message sent with this id is not kept any more', {
            details: { messageId: outcome.messageId },
          });
    });
  }

  const batcher: Batcher<MessageDraft, SentMessage> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    // Batches that meet at a busy dialog would wait for each other with a connection in hand: fewer and larger ones.
    maxRuns: 2,
    async run(drafts) {
      const once = () => isolateFailures(drafts, attempt);
      try {
        return await once();
      } catch (error) {
        // The other call has committed meanwhile: its answer is found now.
        if (isIdempotencyRace(error)) return once();
        throw error;
      }
    },
  });

  return {
    async send(scope, raw) {
      return batcher.add(draftMessage(scope, raw));
    },
    drain: () => batcher.drain(),
  };
}

export function analysisJob(of: { readonly tenantId: string; readonly dialogId: string }) {
  return {
    task: 'dialog.analyzeMessages',
    payload: { tenantId: of.tenantId, dialogId: of.dialogId },
    key: `dialog.analyzeMessages:${of.tenantId}:${of.dialogId}`,
  };
}

function toStateRecord(state: DialogStateRecord): Record<string, unknown> {
  return {
    tenant_id: state.tenantId,
    dialog_id: state.dialogId,
    last_sequence: state.lastSequence,
    message_count: state.messageCount,
    last_message_at: state.lastMessageAt,
    last_sender_type: state.lastSenderType,
    last_activity_at: state.lastActivityAt,
    window_started_at: state.windowStartedAt,
    window_count: state.windowCount,
    current_turn: state.currentTurn,
    turn_started_at: state.turnStartedAt,
    analysis_queued_at: state.analysisQueuedAt,
  };
}
