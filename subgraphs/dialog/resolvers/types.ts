import { encodeCursor } from '#shared/cursor.ts';
import { selectedFields } from '#shared/selectedFields.ts';
import type { RequestContext } from '../context.ts';
import { toDocument } from '../document.ts';
import { contentOf } from '../payload.ts';
import { availabilityOf, notificationsOf } from '../preferences.ts';
import { shownDeliveries, showsReading } from '../readReceipts.ts';
import { readSessionSpan } from '../reads/sessionFigures.ts';
import type { DialogParticipantStatus, DialogStatus, Resolvers } from '../resolvers.generated.ts';
import type { DialogRow } from '../rows.ts';
import { everything, isForReaders, seesAttachment, seesMessage } from '../visibility.ts';
import { requireAccess } from './queries.ts';

/** What messages move is read with their tag, so that talk drops only the answers that show it. */
function moving<Key extends keyof DialogRow>(key: Key) {
  return (row: DialogRow, _args: object, { scope }: RequestContext): DialogRow[Key] => {
    scope.readTags.add(`Dialog:${row.id}:messages`);
    return row[key];
  };
}

function orThrow<T>(value: T | Error): T {
  if (value instanceof Error) throw value;
  return value;
}

export const types: Omit<Resolvers, 'Query' | 'Mutation'> = {
  Dialog: {
    __resolveReference: ({ id }, { loaders }) => loaders.dialog(id),
    dialogId: (row) => row.id,
    context: (row) => ({ id: row.contextId }),
    status: (row) => row.status.toUpperCase() as DialogStatus,
    workflow: ({ workflow }) => ({
      ...workflow,
      plan: workflow.planId === undefined ? null : { id: workflow.planId },
      confirm: workflow.confirmId === undefined ? null : { id: workflow.confirmId },
      // Whatever was asked for before this was refused: each is traced.
      traceEnabled: true,
    }),
    conversationFlow: (row, _args, { scope }) => {
      if (row.configuration.turnMode !== 'FREE') scope.readTags.add(`Dialog:${row.id}:messages`);
      return {
        currentPhase: row.flowState,
        phases: row.flow?.states.map((state) => state.name) ?? [],
        states: row.flow?.states.map((state) => ({ ...state })) ?? [],
        transitions: row.flow?.transitions.map((transition) => ({ ...transition, roles: [...transition.roles] })) ?? [],
        turnTaking: {
          mode: row.configuration.turnMode,
          currentTurn: row.currentTurn,
          turnOrder: [...row.turnOrder],
          turnDurationMs: row.configuration.turnDurationMs,
          turnStartedAt: row.turnStartedAt,
        },
      };
    },
    governance: (row) =>
      row.governance && {
        lifecyclePhase: row.governance.lifecyclePhase ?? null,
        truthDomain: row.governance.truthDomain ?? null,
        locked: row.governance.locked ?? false,
        lastConfirmId: row.governance.lastConfirmRef?.id ?? null,
      },
    async memoryContext(row, _args, context, info) {
      const { view } = await requireAccess(context, row.id);
      const selected = selectedFields(info, '');
      const summarized = selected.has('conversationSummary') || selected.has('keyTopics');
      const [entries, summary] =
        view === null
          ? [[], null]
          : await Promise.all([
              context.loaders.memoryOf(row.id, view),
              summarized ? context.loaders.summary.load({ dialogId: row.id, threadId: null, view }) : null,
            ]);
      return {
        shortTerm: entries.filter((entry) => entry.kind === 'SHORT_TERM'),
        longTerm: entries.filter((entry) => entry.kind === 'LONG_TERM'),
        conversationSummary: stored(summary?.result ?? null, 'text'),
        keyTopics: (stored<{ topic: string }[]>(summary?.result ?? null, 'keyTopics') ?? []).map(({ topic }) => topic),
      };
    },
    participants: async (row, { status, first, after }, { loaders }) =>
      orThrow(
        await loaders.participantsPage.load({
          dialogId: row.id,
          status: (status as DialogParticipantStatus[] | null | undefined) ?? null,
          first: first ?? null,
          after: after ?? null,
        }),
      ),
    viewer: async (row, _args, { loaders }) => (await loaders.access(row.id))?.participant ?? null,
    async messages(row, page, { loaders }) {
      const access = await loaders.access(row.id);
      return orThrow(
        await loaders.recent.load({
          dialog: row,
          view: access?.view ?? null,
          page,
        }),
      );
    },
    async threads(row, { first, after }, { loaders }) {
      const access = await loaders.access(row.id);
      const view = access?.view ?? null;
      const page = orThrow(
        await loaders.threads.load({ dialog: row, view, first: first ?? null, after: after ?? null }),
      );
      return { ...page, count: () => loaders.threadCount.load({ dialog: row, view }) };
    },
    messageCount: moving('messageCount'),
    lastSequence: moving('lastSequence'),
    lastMessageAt: moving('lastMessageAt'),
    lastActivityAt: moving('lastActivityAt'),
    cursor: async (row, _args, { loaders }) =>
      encodeCursor(row.id, (await loaders.streamHead.load(row.id))?.lastSequence ?? 0),
    async document(row, _args, { loaders }) {
      const view = (await loaders.access(row.id))?.view ?? null;
      const messages = view === null ? [] : await loaders.messagesOf.load(row.id);
      return toDocument(row, view === everything ? messages : messages.filter((message) => seesMessage(view, message)));
    },
  },

  ContextSession: {
    __resolveReference: (reference) => reference,
    messageCount: async (session, _args, { loaders }) =>
      (await loaders.sessionFigures.load(readSessionSpan(session))).messageCount,
    dataSizeBytes: async (session, _args, { loaders }) =>
      (await loaders.sessionFigures.load(readSessionSpan(session))).dataSizeBytes,
    averageLatencyMs: async (session, _args, { loaders }) =>
      (await loaders.sessionFigures.load(readSessionSpan(session))).averageLatencyMs,
  },
  Context: {
    __resolveReference: ({ id }) => ({ id }),
    async dialogs({ id }, { status, first, after }, { loaders }) {
      const connection = orThrow(
        await loaders.contextDialogs.load({
          contextId: id,
          status: status ?? null,
          first: first ?? null,
          after: after ?? null,
        }),
      );
      loaders.prime(connection.nodes);
      return connection;
    },
  },

  DialogConnection: { totalCount: (connection) => connection.count() },
  DialogThreadConnection: {
    edges: ({ edges }) => [...edges],
    nodes: ({ nodes }) => [...nodes],
    totalCount: (connection) => connection.count(),
  },
  DialogParticipantConnection: { totalCount: (connection) => connection.count() },
  MessageConnection: {
    totalCount: (connection) => connection.count(),
    threadSummary: (connection) => connection.summary(),
  },
  MessageSearchConnection: {
    totalCount: (connection) => connection.count(),
    nodes(connection, _args, { scope }) {
      for (const node of connection.nodes) scope.readTags.add(`Message:${node.id}`);
      return [...connection.nodes];
    },
    edges(connection, _args, { scope }) {
      for (const { node } of connection.edges) scope.readTags.add(`Message:${node.id}`);
      return [...connection.edges];
    },
  },

  DialogParticipant: {
    __resolveReference: ({ id }, { loaders }) => loaders.participant(id),
    participantId: (row) => row.id,
    notifications: (row) => notificationsOf(row.notifications),
    availability: (row) => availabilityOf(row.availability),
    dialog: async (row, _args, context) => (await requireAccess(context, row.dialogId)).dialog,
    async lastActiveAt({ id, dialogId, joinedAt }, _args, { loaders }) {
      const [cursors, said, access] = await Promise.all([
        loaders.cursors.load(dialogId),
        loaders.lastSent.load(dialogId),
        loaders.access(dialogId),
      ]);
      const cursor = cursors.find((entry) => entry.participantId === id);
      const sent = said.find(({ senderId }) => senderId === id)?.sentAt;
      const read = showsReading(access, id) ? cursor?.readAt : null;
      const times = [joinedAt, sent, cursor?.deliveredAt, read].filter((time) => time != null);
      return times.length === 0
        ? null
        : times.reduce((one, other) => (Date.parse(one) > Date.parse(other) ? one : other));
    },
    async receipts(row, _args, { loaders }) {
      const [cursors, access] = await Promise.all([loaders.cursors.load(row.dialogId), loaders.access(row.dialogId)]);
      const cursor = cursors.find((entry) => entry.participantId === row.id);
      const delivered = { deliveredUpto: cursor?.deliveredUpto ?? 0, deliveredAt: cursor?.deliveredAt ?? null };
      if (!showsReading(access, row.id)) return { ...delivered, readUpto: 0, readAt: null, unread: 0 };
      const readUpto = cursor?.readUpto ?? 0;
      return {
        ...delivered,
        readUpto,
        readAt: cursor?.readAt ?? null,
        unread: Math.max(0, (access?.dialog.lastSequence ?? 0) - readUpto),
      };
    },
  },

  Message: {
    __resolveReference: ({ id }, { loaders }) => loaders.message(id),
    messageId: (row) => row.id,
    role: (row) => row.role.toUpperCase() as Uppercase<typeof row.role>,
    content: (row) => contentOf(row),
    async attachments(row, _args, { loaders }) {
      const shown = row.attachments.every(isForReaders) ? everything : (await loaders.access(row.dialogId))?.view;
      return row.attachments
        .filter((attachment) => shown != null && seesAttachment(shown, row, attachment))
        .map(({ accessPermissions, ...attachment }) => ({ ...attachment, accessPermissions: [...accessPermissions] }));
    },
    replyToMessageId: (row) => row.replyTo,
    sentAt: (row) => row.createdAt,
    dialog: async (row, _args, context) => (await requireAccess(context, row.dialogId)).dialog,
    sender: (row, _args, { loaders }) => (row.senderId === null ? null : loaders.participant(row.senderId)),
    replyTo: (row, _args, { loaders }) => (row.replyTo === null ? null : loaders.message(row.replyTo)),
    analysis: (row, _args, { loaders }) => loaders.analysis.load(row.id),
    deliveryStatus: (message) => ({ message }),
    async readStatus(row, _args, { loaders }) {
      const [deliveries, access] = await Promise.all([loaders.deliveries.load(row), loaders.access(row.dialogId)]);
      return shownDeliveries(access, deliveries)
        .filter((entry) => entry.status === 'READ')
        .map(({ participantId, at }) => ({ participantId, readAt: at }));
    },
  },

  MessageDeliverySummary: {
    total: ({ message }) => message.recipientCount,
    delivered: async ({ message }, _args, { loaders }) =>
      (await loaders.deliveries.load(message)).filter(({ status }) => status === 'DELIVERED' || status === 'READ')
        .length,
    pending: async ({ message }, _args, { loaders }) =>
      (await loaders.deliveries.load(message)).filter(({ status }) => status === 'PENDING' || status === 'SENT').length,
    failed: async ({ message }, _args, { loaders }) =>
      (await loaders.deliveries.load(message)).filter(({ status }) => status === 'FAILED' || status === 'EXPIRED')
        .length,
    async details({ message }, _args, { loaders }) {
      const [deliveries, access] = await Promise.all([
        loaders.deliveries.load(message),
        loaders.access(message.dialogId),
      ]);
      return [...shownDeliveries(access, deliveries)];
    },
  },

  MessageAnalysis: {
    language: ({ result }) => stored(result, 'language'),
    sentiment: ({ result }) => stored(result, 'sentiment'),
    toxicity: ({ result }) => stored(result, 'toxicity'),
    keywords: ({ result }) => stored(result, 'keywords') ?? [],
    entities: ({ result }) => stored(result, 'entities'),
    dates: ({ result }) => stored(result, 'dates') ?? [],
    actionItems: ({ result }) => stored(result, 'actionItems') ?? [],
    decisions: ({ result }) => stored(result, 'decisions') ?? [],
    questions: ({ result }) => stored(result, 'questions') ?? [],
  },

  DialogSummary: {
    summaryId: (row) => row.id,
    messageCount: ({ result }) => stored(result, 'messageCount'),
    text: ({ result }) => stored(result, 'text'),
    keyTopics: ({ result }) => stored(result, 'keyTopics'),
    decisions: ({ result }) => stored(result, 'decisions'),
    actionItems: ({ result }) => stored(result, 'actionItems'),
    openQuestions: ({ result }) => stored(result, 'openQuestions'),
    nextSteps: ({ result }) => stored(result, 'nextSteps'),
    contributions: ({ result }) => stored(result, 'contributions'),
    sentimentProgression: ({ result }) => stored(result, 'sentimentProgression'),
    engagement: ({ result }) => stored(result, 'engagement'),
    toxicity: ({ result }) => stored(result, 'toxicity'),
    intervention: ({ result }) => stored(result, 'intervention'),
  },
};

/** A part of a stored result, in the shape its provider gave it. */
const stored = <T>(result: Readonly<Record<string, unknown>> | null, part: string): T | null =>
  (result?.[part] as T | undefined) ?? null;
