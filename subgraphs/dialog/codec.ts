import { ConcurrentInsert, type ProtocolCodec, type ProtocolDocument } from '#shared/codec.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { DialogDocument, DialogMessageDocument } from '../../schema/protocol/index.ts';
import { toDocument } from './document.ts';
import { dialogEvent, participantEvent } from './events.ts';
import { defaultConfiguration } from './inputs.ts';
import { observeDialog } from './observability.ts';
import { newParticipant, participantTypeOf } from './participants.ts';
import { observes, rolePermissions } from './rights.ts';
import type {
  DialogParticipantRow,
  DialogProtocolValue,
  DialogRecord,
  DialogStateRecord,
  GovernanceValue,
  MessageRow,
} from './rows.ts';
import { isOpen } from './states.ts';
import { findDialogs, insertDialogs, insertStates, toDialogRow } from './store/dialogs.ts';
import { insertMessages, messageColumns } from './store/messages.ts';
import { startCursors, upsertParticipants } from './store/participants.ts';

const messagesOfText = `SELECT ${messageColumns} FROM dialog.message m WHERE m.tenant_id = $1 AND m.dialog_id = ANY($2::uuid[]) ORDER BY m.dialog_id, m.sequence`;

/** All messages of dialogs by dialog, in order, whoever may see them. */
export async function findMessagesOf(
  sql: Sql | SqlTransaction,
  tenantId: string,
  dialogIds: readonly string[],
): Promise<ReadonlyMap<string, readonly MessageRow[]>> {
  const rows = (await sql.unsafe(messagesOfText, [tenantId, dialogIds as string[]], {
    prepare: true,
  })) as unknown as MessageRow[];
  return Map.groupBy(rows, (row) => row.dialogId);
}

/** Frozen dialogs in and out. */
export const dialogCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findDialogs(sql, tenantId, ids);
    // Imports ask about ids that are new.
    if (rows.length === 0) return new Map();
    const messages = await findMessagesOf(sql, tenantId, ids);
    return new Map(rows.map((row) => [row.id, toDocument(row, messages.get(row.id) ?? [])]));
  },

  // A document holds every message, also those from before somebody joined: only who sees all of it may have it.
  async visibleTo(sql, principal, ids) {
    const rows = await findDialogs(sql, principal.tenantId, ids);
    return new Set(
      rows.filter((row) => observes(row, principal) || row.createdBy === principal.subject).map((row) => row.id),
    );
  },

  async write(tx, principal, documents) {
    const imported = documents.map((document) => toRows(document as unknown as DialogDocument, principal));
    try {
      await insertDialogs(
        tx,
        imported.map((entry) => entry.record),
      );
    } catch (error) {
      // Someone stored one of the ids since the caller looked.
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === '23505')
        throw new ConcurrentInsert();
      throw error;
    }
    await insertStates(
      tx,
      imported.map((entry) => entry.state),
    );
    await upsertParticipants(
      tx,
      imported.map((entry) => entry.participant),
    );
    await startCursors(
      tx,
      imported.map(({ record, participant, state }) => ({
        tenantId: record.tenantId,
        dialogId: record.id,
        participantId: participant.id,
        upto: state.lastSequence,
      })),
    );
    const messages = imported.flatMap((entry) => entry.messages);
    for (let at = 0; at < messages.length; at += 500) await insertMessages(tx, messages.slice(at, at + 500));
    return imported.map(({ record, state, participant }) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [
        dialogEvent('dialog.created', toDialogRow(record, state), { imported: true, participants: [participant.id] }),
        participantEvent('dialog.participant.joined', participant, record.contextId),
      ],
      audit: [
        {
          action: 'dialog.import',
          resource: 'Dialog',
          resourceId: record.id,
          detail: { messages: state.messageCount },
        },
      ],
    }));
  },

  async idsOfContext(sql, tenantId, contextId) {
    const rows = await sql<
      { id: string }[]
    >`SELECT id FROM dialog.dialog WHERE tenant_id = ${tenantId} AND context_id = ${contextId} ORDER BY ordinal`;
    return rows.map((row) => row.id);
  },

  observe: observeDialog,
};

/** Who imports becomes the dialog's moderator: a dialog without anybody could not be carried on. */
function toRows(document: DialogDocument, principal: Principal) {
  const given = document as unknown as ProtocolDocument;
  const at = new Date().toISOString();
  const { tenantId, subject } = principal;
  const protocol: DialogProtocolValue = {
    imported: true,
    meta: given['meta'],
    ...(given['trace'] === undefined ? {} : { trace: given['trace'] }),
    ...(given['events'] === undefined ? {} : { events: given['events'] }),
    ...(document.started_at === undefined ? {} : { startedAt: document.started_at }),
    ...(document.ended_at === undefined ? {} : { endedAt: document.ended_at }),
  };
  const messages = document.messages.map((message, index) =>
    toMessage(message, { tenantId, dialogId: document.dialog_id, sequence: index + 1, fallback: at }),
  );
  const participant: DialogParticipantRow = newParticipant(
    {
      subject,
      type: participantTypeOf(principal),
      displayName: principal.displayName ?? null,
      role: 'MODERATOR',
      permissions: [...rolePermissions.MODERATOR],
    },
    { tenantId, dialogId: document.dialog_id, invitedBy: null, at, lastSequence: 0 },
  );
  const open = isOpen(document.status);
  const startedAt = instantOf(document.started_at);
  const record: DialogRecord = {
    tenantId,
    id: document.dialog_id,
    contextId: document.context_id,
    threadId: document.thread_id ?? null,
    status: document.status,
    name: `Dialog ${document.dialog_id.slice(0, 8)}`,
    type: 'CUSTOM',
    category: null,
    description: null,
    tags: [],
    configuration: { ...defaultConfiguration, showHistory: true },
    workflow: {},
    flow: null,
    flowState: null,
    turnOrder: [participant.id],
    governance: (document.governance as GovernanceValue | undefined) ?? null,
    protocol,
    participantCount: 1,
    pausedBy: document.status === 'paused' ? 'USER' : null,
    statusReason: null,
    retentionDays: defaultConfiguration.messageRetentionDays,
    keptFrom: 1,
    revision: 1,
    startedAt,
    endedAt: instantOf(document.ended_at) ?? (open ? null : at),
    archivedAt: null,
    nextCheckAt: null,
    createdAt: at,
    createdBy: subject,
    updatedAt: at,
    updatedBy: subject,
  };
  const last = messages.at(-1);
  const state: DialogStateRecord = {
    tenantId,
    dialogId: record.id,
    lastSequence: messages.length,
    messageCount: messages.length,
    activeCount: 1,
    // Imported clocks are their own: what is said here follows our own.
    lastMessageAt: null,
    lastSenderType: last?.senderType ?? null,
    lastActivityAt: at,
    windowStartedAt: null,
    windowCount: 0,
    currentTurn: null,
    turnStartedAt: null,
    analysisQueuedAt: null,
    analyzedUpto: messages.length,
  };
  return { record, state, participant, messages };
}

function toMessage(
  message: DialogMessageDocument,
  of: { readonly tenantId: string; readonly dialogId: string; readonly sequence: number; readonly fallback: string },
): MessageRow {
  const senderType = message.role === 'user' ? 'HUMAN' : message.role === 'system' ? 'SYSTEM' : 'AGENT';
  return {
    tenantId: of.tenantId,
    id: newId(),
    dialogId: of.dialogId,
    threadId: null,
    sequence: of.sequence,
    senderId: null,
    senderSubject: null,
    senderType,
    role: message.role,
    type: message.role === 'system' ? 'SYSTEM' : message.role === 'assistant' ? 'AI_RESPONSE' : 'TEXT',
    text: message.content,
    structuredData: null,
    mentions: [],
    hashtags: [],
    language: null,
    replyTo: null,
    topic: null,
    priority: 'NORMAL',
    requiresResponse: false,
    responseDeadline: null,
    recipients: null,
    recipientCount: 0,
    attachments: [],
    reactions: [],
    aiProcessing: null,
    clientMessageId: null,
    protocol: { timestamp: message.timestamp, ...(message.event === undefined ? {} : { event: message.event }) },
    revision: 1,
    createdAt: instantOf(message.timestamp) ?? of.fallback,
    editedAt: null,
    deletedAt: null,
    deletedBy: null,
  };
}

/** An RFC 3339 text as an instant PostgreSQL can hold; leap seconds, which Date does not know, become the second before. */
function instantOf(text: string | undefined): string | null {
  if (text === undefined) return null;
  const date = new Date(text.replace(/:60(?=[.Zz+-])/, ':59'));
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9_999) return null;
  return date.toISOString();
}
