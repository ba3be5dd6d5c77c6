import DataLoader from 'dataloader';
import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { findMessagesOf } from './codec.ts';
import { findMemory } from './memory.ts';
import { findAnalyses, findSummaries, type SummaryKey } from './reads/analyses.ts';
import { readDeliveries } from './reads/deliveries.ts';
import {
  type ContextDialogCountKey,
  type ContextDialogsKey,
  countDialogsOfContexts,
  listDialogsOfContexts,
} from './reads/dialogs.ts';
import { findLastSent } from './reads/lastSent.ts';
import {
  countParticipants,
  listParticipants,
  type ParticipantCountKey,
  type ParticipantsKey,
} from './reads/participants.ts';
import {
  countThreads,
  type RecentKey,
  readRecent,
  readSummaries,
  readThreads,
  type SummaryOfKey,
  type ThreadsKey,
} from './reads/recent.ts';
import { findSessionFigures, type SessionFigures, type SessionSpan } from './reads/sessionFigures.ts';
import type { Standing } from './reads/standing.ts';
import { seesDialog } from './rights.ts';
import type { DeliveryValue, DialogParticipantRow, DialogRow, MessageRow, ThreadSummaryValue } from './rows.ts';
import type { DialogService } from './service.ts';
import { findMessages } from './store/messages.ts';
import { findCursorsOf, findParticipants } from './store/participants.ts';
import { type MessageView, seesMemory, seesMessage, viewOf } from './visibility.ts';

/** A dialog as the caller stands to it. */
export interface Access {
  readonly dialog: DialogRow;
  /** The caller's own part. */
  readonly participant: DialogParticipantRow | null;
  /** What it may read; null: nothing. */
  readonly view: MessageView | null;
}

export type DialogLoaders = ReturnType<typeof createDialogLoaders>;

/** Loaders of one request. What the caller may not see is null in all of them. */
export function createDialogLoaders(service: DialogService, scope: RequestScope) {
  const { sql } = service;
  const { principal } = scope;
  const { tenantId, subject } = principal;

  const stored = createRowLoader<string, DialogRow>({
    scope,
    fetch: async (ids) => {
      const rows = await Promise.all(ids.map((dialogId) => service.dialogRows.add({ tenantId, dialogId })));
      return rows.filter((row) => row !== null);
    },
    keyOf: (row) => row.id,
    tagOf: (id) => `Dialog:${id}`,
  });
  const viewer = createRowLoader<string, DialogParticipantRow>({
    scope,
    fetch: async (dialogIds) => {
      const keys = dialogIds.map((dialogId) => ({ tenantId, dialogId, subject }));
      const rows = await Promise.all(keys.map((key) => service.participantRows.add(key)));
      return rows.filter((row) => row !== null);
    },
    keyOf: (row) => row.dialogId,
    tagOf: (id) => `Dialog:${id}`,
  });

  async function access(dialogId: string): Promise<Access | null> {
    const [dialog, participant] = await Promise.all([stored.load(dialogId), viewer.load(dialogId)]);
    if (!dialog || !seesDialog(dialog, principal, participant)) return null;
    return { dialog, participant, view: viewOf(dialog, principal, participant) };
  }

  const standings = new Map<string, Promise<Standing | null>>();

  /** As `access`, for who needs no more than what decides it. */
  async function standing(dialogId: string): Promise<(Standing & { readonly view: MessageView | null }) | null> {
    scope.readTags.add(`Dialog:${dialogId}`);
    const reading = standings.get(dialogId) ?? service.standings.add({ tenantId, dialogId, subject });
    standings.set(dialogId, reading);
    const found = await reading;
    if (!found || !seesDialog(found.dialog, principal, found.participant)) return null;
    return { ...found, view: viewOf(found.dialog, principal, found.participant) };
  }

  const storedMessage = createRowLoader<string, MessageRow>({
    scope,
    fetch: (ids) => findMessages(sql, tenantId, ids),
    keyOf: (row) => row.id,
    tagOf: (id) => `Message:${id}`,
  });
  const storedParticipant = createRowLoader<string, DialogParticipantRow>({
    scope,
    fetch: (ids) => findParticipants(sql, tenantId, ids),
    keyOf: (row) => row.id,
    tagOf: (id) => `DialogParticipant:${id}`,
  });
  const deliveries = new DataLoader<MessageRow, readonly DeliveryValue[], string>(
    (messages) => readDeliveries(sql, tenantId, messages),
    { cacheKeyFn: (message) => message.id },
  );

  const participantCount = createPageLoader<ParticipantCountKey, number>((keys) =>
    countParticipants(sql, tenantId, keys),
  );
  const dialogCount = createPageLoader<ContextDialogCountKey, number>((keys) =>
    countDialogsOfContexts(sql, principal, keys),
  );
  const summary = new DataLoader<SummaryOfKey, ThreadSummaryValue, string>(
    (keys) => readSummaries(sql, tenantId, keys),
    { cacheKeyFn: (key) => key.dialog.id },
  );

  const memory = createListLoader({
    scope,
    fetch: (ids: readonly string[]) => findMemory(sql, tenantId, ids),
    keyOf: (row) => row.dialogId,
    tagOf: (id) => `Dialog:${id}:memory`,
  });

  return {
    access,
    standing,

    async dialog(id: string): Promise<DialogRow | null> {
      return (await access(id))?.dialog ?? null;
    },

    /** Rows that a list has read already. */
    prime(dialogs: readonly DialogRow[]): void {
      for (const dialog of dialogs) {
        stored.prime(dialog.id, dialog);
        scope.readTags.add(`Dialog:${dialog.id}`);
      }
    },

    async message(id: string): Promise<MessageRow | null> {
      const message = await storedMessage.load(id);
      if (!message) return null;
      const found = await access(message.dialogId);
      return found && seesMessage(found.view, message) ? message : null;
    },

    async participant(id: string): Promise<DialogParticipantRow | null> {
      const participant = await storedParticipant.load(id);
      return participant && (await access(participant.dialogId)) ? participant : null;
    },

    deliveries,

    participantsPage: createPageLoader<ParticipantsKey, Awaited<ReturnType<typeof listParticipants>>[number]>(
      (keys) => {
        for (const key of keys) scope.readTags.add(`Dialog:${key.dialogId}:participants`);
        return listParticipants(sql, tenantId, keys, (key) => participantCount.load(key));
      },
    ),

    contextDialogs: createPageLoader<ContextDialogsKey, Awaited<ReturnType<typeof listDialogsOfContexts>>[number]>(
      (keys) => {
        for (const key of keys) scope.readTags.add(`Context:${key.contextId}:dialogs`);
        return listDialogsOfContexts(sql, principal, keys, (key) => dialogCount.load(key));
      },
    ),

    recent: new DataLoader<RecentKey, Awaited<ReturnType<typeof readRecent>>[number], string>(
      (keys) => {
        for (const key of keys) {
          scope.readTags.add(`Dialog:${key.dialog.id}:messages`);
          scope.readTags.add(`Dialog:${key.dialog.id}:analysis`);
        }
        return readRecent(sql, tenantId, keys, (key) => summary.load(key));
      },
      { cacheKeyFn: (key) => JSON.stringify([key.dialog.id, key.page]) },
    ),

    threadCount: new DataLoader<SummaryOfKey, number, string>((keys) => countThreads(sql, tenantId, keys), {
      cacheKeyFn: (key) => key.dialog.id,
    }),

    threads: new DataLoader<ThreadsKey, Awaited<ReturnType<typeof readThreads>>[number], string>(
      (keys) => {
        for (const key of keys) {
          scope.readTags.add(`Dialog:${key.dialog.id}:messages`);
          scope.readTags.add(`Dialog:${key.dialog.id}:analysis`);
        }
        return readThreads(sql, tenantId, keys);
      },
      { cacheKeyFn: (key) => JSON.stringify([key.dialog.id, key.first, key.after]) },
    ),

    analysis: createRowLoader({
      scope,
      fetch: (ids: readonly string[]) => findAnalyses(sql, tenantId, ids),
      keyOf: (row) => row.messageId,
      tagOf: (id) => `MessageAnalysis:${id}`,
    }),

    summary: createPageLoader<SummaryKey, Awaited<ReturnType<typeof findSummaries>>[number]>((keys) => {
      for (const key of keys) scope.readTags.add(`Dialog:${key.dialogId}:summary`);
      return findSummaries(sql, tenantId, keys);
    }),

    async memoryOf(dialogId: string, view: MessageView) {
      return (await memory.load(dialogId)).filter((entry) => seesMemory(view, entry));
    },

    cursors: createListLoader({
      scope,
      fetch: (ids: readonly string[]) => findCursorsOf(sql, tenantId, ids),
      keyOf: (row) => row.dialogId,
      tagOf: (id) => `Dialog:${id}:receipts`,
    }),

    lastSent: createListLoader({
      scope,
      fetch: (ids: readonly string[]) => findLastSent(sql, tenantId, ids),
      keyOf: (row) => row.dialogId,
      tagOf: (id) => `Dialog:${id}:messages`,
    }),

    streamHead: createRowLoader<string, { readonly id: string; readonly lastSequence: number }>({
      scope,
      fetch: async (ids) => {
        const rows = await sql<
          { id: string; lastSequence: number }[]
        >`SELECT stream_id AS id, last_sequence AS "lastSequence" FROM dialog.stream_head WHERE tenant_id = ${tenantId} AND stream_id = ANY(${ids as string[]}::uuid[])`;
        return rows;
      },
      keyOf: (row) => row.id,
    }),

    sessionFigures: createPageLoader<SessionSpan, SessionFigures>((keys) => findSessionFigures(sql, tenantId, keys)),
    messagesOf: new DataLoader<string, readonly MessageRow[]>(async (ids) => {
      const found = await findMessagesOf(sql, tenantId, ids);
      for (const id of ids) scope.readTags.add(`Dialog:${id}:messages`);
      return ids.map((id) => found.get(id) ?? []);
    }),
  };
}
