import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange, type NewJob } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { AnalysisProvider, Knowledge, MessageAnalysis } from './analysis/index.ts';
import { messageEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { requireAllowed, requireSize } from './messages/draft.ts';
import { answeredBy } from './observability.ts';
import type { DialogRecord, DialogStateRecord, MessageRow } from './rows.ts';
import { findDialogs, keyOf, lockDialogs, upsertStates } from './store/dialogs.ts';
import { findMessages, insertMessages } from './store/messages.ts';
import { toAnalysable } from './toAnalysable.ts';

/** In one dialog, within any hour. */
export const maxAutoRepliesPerHour = 20;
export const autoReplyDelayMs = 2_000;
/** Nobody waits for an answer that comes later. */
const maxAgeMs = 600_000;
/** Messages before the question in which an answer is looked for. */
const maxKnowledge = 200;

/** Only people are answered: an automatic reply never answers another one. */
function isAnswerable(message: MessageRow): boolean {
  return (
    message.senderType === 'HUMAN' &&
    message.recipients === null &&
    message.deletedAt === null &&
    (message.type === 'TEXT' || message.type === 'QUERY')
  );
}

/** The job that answers the newest question of a page; a newer one takes its place while it waits. */
export function autoReplyJobs(
  analyses: readonly MessageAnalysis[],
  messages: ReadonlyMap<string, MessageRow>,
): readonly NewJob[] {
  const asked = analyses.flatMap((analysis) => {
    const message = messages.get(analysis.messageId);
    return message && analysis.questions.length > 0 && isAnswerable(message) ? [message] : [];
  });
  const last = asked.at(-1);
  if (!last) return [];
  return [
    {
      task: 'dialog.autoReply',
      payload: { tenantId: last.tenantId, messageId: last.id },
      key: `dialog.autoReply:${last.tenantId}:${last.dialogId}`,
      runAt: new Date(Date.parse(last.createdAt) + autoReplyDelayMs),
      maxAttempts: 3,
    },
  ];
}

/** Answers that the platform gives by itself where a dialog wants assistance. */
export function createAutoReplies(runtime: ModuleRuntime, provider: AnalysisProvider) {
  const { sql, publisher, logger } = runtime;
  const sender = `assistant:${provider.name}`;

  /** What everyone who would read the answer may read: messages for all since the last of them came, and what was noted since. */
  async function readKnowledge(dialog: DialogRecord, question: MessageRow): Promise<readonly Knowledge[]> {
    const { tenantId, id } = dialog;
    const [messages, memory] = await Promise.all([
      sql<{ sequence: number; text: string }[]>`
        SELECT m.sequence, m.text FROM dialog.message m
        WHERE m.tenant_id = ${tenantId} AND m.dialog_id = ${id} AND m.sequence < ${question.sequence} AND m.recipients IS NULL AND m.deleted_at IS NULL
          AND m.text IS NOT NULL AND m.type <> 'SYSTEM' AND NOT (m.sender_id IS NULL AND m.type = 'AI_RESPONSE')
          AND (${dialog.configuration.showHistory} OR m.sequence >= ALL (
            SELECT (p.spans->-1->>0)::bigint FROM dialog.participant p WHERE p.tenant_id = ${tenantId} AND p.dialog_id = ${id} AND p.status = 'ACTIVE' AND 'READ' = ANY(p.permissions)))
        ORDER BY m.sequence DESC LIMIT ${maxKnowledge}`,
      sql<{ key: string; value: unknown }[]>`
        SELECT e.key, e.value FROM dialog.memory e WHERE e.tenant_id = ${tenantId} AND e.dialog_id = ${id} AND (e.expires_at IS NULL OR e.expires_at > now())
          AND (${dialog.configuration.showHistory} OR e.present @> ARRAY(
            SELECT p.id FROM dialog.participant p WHERE p.tenant_id = ${tenantId} AND p.dialog_id = ${id} AND p.status = 'ACTIVE' AND 'READ' = ANY(p.permissions)))
        ORDER BY e.kind, e.key`,
    ]);
    return [
      ...memory.map(({ key, value }) => ({
        kind: 'MEMORY' as const,
        label: 'memory',
        text: `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
      })),
      ...messages
        .reverse()
        .map(({ sequence, text }) => ({ kind: 'MESSAGE' as const, label: `message ${sequence}`, text })),
    ];
  }

  /** Everything that may have changed since the question is looked at under the dialog's lock. */
  async function answer(question: MessageRow, text: string): Promise<void> {
    const { tenantId, dialogId } = question;
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      const { states, dialogs } = await lockDialogs(tx, [{ tenantId, dialogId }]);
      const key = keyOf({ tenantId, dialogId });
      const [dialog, state, [asked]] = [
        dialogs.get(key),
        states.get(key),
        await findMessages(tx, tenantId, [question.id]),
      ];
      if (!dialog || !state || !asked || asked.revision !== question.revision) return;
      if (!isAssisted(dialog) || (await wasStopped(tx, asked)) || !(await reserve(tx, asked))) return;
      requireAllowed(text, { moderated: dialog.configuration.moderationEnabled, recentTexts: [] });
      const message = replyTo(asked, state, { sender, text });
      await insertMessages(tx, [message]);
      await upsertStates(tx, [
        {
          ...state,
          lastSequence: message.sequence,
          messageCount: state.messageCount + 1,
          lastMessageAt: message.createdAt,
          lastSenderType: message.senderType,
        },
      ]);
      const more = { contextId: dialog.contextId, answers: answeredBy(asked) };
      events = await appendChange(tx, 'dialog', [
        {
          tenantId,
          actor: sender,
          events: [messageEvent('dialog.message.sent', message, more)],
          audit: [
            {
              action: 'dialog.autoReply',
              resource: 'Message',
              resourceId: message.id,
              detail: { dialogId, sequence: message.sequence, replyTo: asked.id },
            },
          ],
        },
      ]);
    });
    await publisher.published(events);
  }

  return {
    /** Job: answers a question, once, unless the dialog was paused or the assistance turned off meanwhile. */
    async reply(tenantId: string, messageId: string, signal: AbortSignal): Promise<void> {
      const [question] = await findMessages(sql, tenantId, [messageId]);
      if (!question || !isAnswerable(question) || Date.now() - Date.parse(question.createdAt) > maxAgeMs) return;
      const [dialog] = await findDialogs(sql, tenantId, [question.dialogId]);
      if (!dialog || !isAssisted(dialog)) return;
      const request = { message: toAnalysable(question), knowledge: await readKnowledge(dialog, question) };
      const suggested = await provider.suggestReply(request, { signal });
      if (!suggested) return;
      try {
        requireSize(parseInput(inputs.messageContent, { text: suggested.text }, ['reply']), ['reply']);
        await answer(question, suggested.text);
      } catch (error) {
        // What the filters refuse of a provider is not said; another attempt would say the same.
        if (!(error instanceof PlatformError)) throw error;
        logger.warn({ error: error.message, messageId }, 'an automatic reply was refused');
      }
    },
  };
}

/** Where turns are taken nobody speaks out of turn. */
function isAssisted({ status, configuration, governance }: DialogRecord): boolean {
  const { aiAssistanceEnabled, turnMode, allowInterruptions } = configuration;
  return (
    status === 'active' &&
    governance?.locked !== true &&
    aiAssistanceEnabled &&
    (turnMode === 'FREE' || allowInterruptions)
  );
}

/** A pause takes back what waits, also when the dialog goes on before the answer was due. */
async function wasStopped(tx: SqlTransaction, question: MessageRow): Promise<boolean> {
  const rows = await tx`
    SELECT 1 FROM dialog.event WHERE tenant_id = ${question.tenantId} AND stream_id = ${question.dialogId}
      AND type = 'dialog.status.changed' AND created_at >= ${question.createdAt} LIMIT 1`;
  return rows.length > 0;
}

/** False when the question was answered before or the hour is used up. */
async function reserve(tx: SqlTransaction, question: MessageRow): Promise<boolean> {
  const rows = await tx`
    INSERT INTO dialog.auto_reply (tenant_id, message_id, dialog_id)
    SELECT ${question.tenantId}, ${question.id}, ${question.dialogId}
    WHERE (SELECT count(*) FROM dialog.auto_reply WHERE tenant_id = ${question.tenantId} AND dialog_id = ${question.dialogId}
      AND created_at > now() - interval '1 hour') < ${maxAutoRepliesPerHour}
    ON CONFLICT (tenant_id, message_id) DO NOTHING RETURNING 1`;
  return rows.length > 0;
}

function replyTo(
  question: MessageRow,
  state: DialogStateRecord,
  { sender, text }: { readonly sender: string; readonly text: string },
): MessageRow {
  const lastMs = state.lastMessageAt === null ? 0 : Date.parse(state.lastMessageAt);
  return {
    tenantId: question.tenantId,
    id: newId(),
    dialogId: question.dialogId,
    threadId: question.threadId,
    sequence: state.lastSequence + 1,
    senderId: null,
    senderSubject: sender,
    senderType: 'AGENT',
    role: 'assistant',
    type: 'AI_RESPONSE',
    text,
    structuredData: null,
    mentions: [],
    hashtags: [],
    language: null,
    replyTo: question.id,
    topic: question.topic,
    priority: 'NORMAL',
    requiresResponse: false,
    responseDeadline: null,
    recipients: null,
    recipientCount: state.activeCount,
    attachments: [],
    reactions: [],
    aiProcessing: null,
    clientMessageId: null,
    protocol: null,
    revision: 1,
    createdAt: new Date(Math.max(Date.now(), lastMs)).toISOString(),
    editedAt: null,
    deletedAt: null,
    deletedBy: null,
  };
}
