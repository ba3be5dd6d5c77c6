import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { BeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { messageEvent } from '../events.ts';
import { sortBatch } from '../idempotentBatch.ts';
import { isolateFailures } from '../isolate.ts';
import { answeredBy } from '../observability.ts';
import type { DialogStateRecord, MessageRow } from '../rows.ts';
import { findDialogs, keyOf } from '../store/dialogs.ts';
import { findMessages, insertMessagesClause, messageRecords } from '../store/messages.ts';
import { auditDecision } from './approval.ts';
import { acceptMessage, requireKnown } from './decide.ts';
import { draftMessage, type MessageDraft, withContent } from './draft.ts';
import { readSituations } from './situations.ts';

export interface SentMessage {
  readonly message: MessageRow;
  /** True when an earlier call with this client message id or idempotency key had sent it. */
  readonly duplicate: boolean;
}

export interface MessageSender {
  /** @throws {PlatformError} as `draftMessage` and `acceptMessage` say, {DUPLICATE_MESSAGE} {NOT_FOUND} {HOOK_VETOED} */
  send(scope: RequestScope, raw: unknown): Promise<SentMessage>;
  drain(): Promise<void>;
}

/** A result that is read once its batch has committed. */
type Outcome = { readonly message: MessageRow } | { readonly messageId: string };

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

/** Where extensions are asked before a message. */
const sentPoint = 'dialog.message_sent';

/** First retry of a followed delivery, ms; it doubles with each. */
export const deliveryRetryMs = 1_000;

/**
 * The hot path: concurrent sends share one transaction. Dialogs are locked in id order, all that is needed is read in one
 * round trip behind the locks, decided here, and written in one more; each sender hears of its own message or refusal.
 */
export function createMessageSender(runtime: ModuleRuntime, hooks: BeforeHooks): MessageSender {
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
                      ...auditDecision(message),
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

  /** The message as the extensions that are asked before it leave it: they may change its content alone. */
  async function heard(draft: MessageDraft): Promise<MessageDraft> {
    const { scope, input, type } = draft;
    const { tenantId } = scope.principal;
    if (!(await hooks.isHeard(tenantId, sentPoint))) return draft;
    const [dialog] = await findDialogs(sql, tenantId, [input.dialogId]);
    // What is unknown is refused further on.
    if (dialog === undefined) return draft;
    const { dialogId, content, topic, threadId, replyTo, recipients } = input;
    const changed = await hooks.ask(scope, {
      point: sentPoint,
      contextId: dialog.contextId,
      payload: { dialogId, type, content, topic, threadId, replyTo, recipients },
      read: (payload) => withContent(draft, (payload as { readonly content?: unknown } | null)?.content),
    });
    return changed ?? draft;
  }

  return {
    async send(scope, raw) {
      return batcher.add(await heard(draftMessage(scope, raw)));
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
