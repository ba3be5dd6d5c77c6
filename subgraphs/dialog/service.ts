import { createBeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, requireId } from '#shared/ids.ts';
import type { JobHandler } from '#shared/jobs.ts';
import { maintainPartitions } from '#shared/partitions.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createAnalyses } from './analyses.ts';
import { type AnalysisProvider, createPooledProvider } from './analysis/index.ts';
import { createAutoReplies } from './autoReplies.ts';
import { type CommandResult, createCommandRunner } from './commands.ts';
import { createContexts } from './contexts.ts';
import { createDialogCommands } from './dialogs.ts';
import { createLifecycle } from './lifecycle.ts';
import { createMembership } from './membership.ts';
import { createMemory } from './memory.ts';
import { createMessageChanges } from './messages/change.ts';
import { createMessageSender } from './messages/send.ts';
import { dialogPartitions } from './partitions.ts';
import { createPresence } from './presence.ts';
import { createInboxReader } from './reads/inbox.ts';
import { createStandingReader } from './reads/standing.ts';
import { createReceipts } from './receipts.ts';
import { unknownDialog } from './rights.ts';
import type { DialogParticipantRow, DialogRow } from './rows.ts';
import { createDialogReader, findDialogs } from './store/dialogs.ts';
import { createParticipantReader, findParticipants } from './store/participants.ts';

export interface DialogServiceOptions {
  /** @default the deterministic local provider, in the compute pool */
  readonly provider?: AnalysisProvider;
}

export type DialogService = ReturnType<typeof createDialogService>;

/** Everything the dialog module does; resolvers, jobs and consumers call it. */
export function createDialogService(runtime: ModuleRuntime, options: DialogServiceOptions = {}) {
  const { sql } = runtime;
  const keyedSql = runtime.keyedSql ?? sql;
  const commands = createCommandRunner(runtime);
  const contexts = createContexts(runtime);
  const dialogs = createDialogCommands(runtime, { commands, contexts });
  const membership = createMembership(runtime, { dialogs });
  const hooks = createBeforeHooks(runtime, 'dialog');
  const sender = createMessageSender(runtime, hooks);
  const changes = createMessageChanges(runtime);
  const receipts = createReceipts(runtime);
  const memory = createMemory(runtime);
  const lifecycle = createLifecycle(runtime, { commands });
  const presence = createPresence(runtime);
  const provider = options.provider ?? createPooledProvider(runtime.compute);
  const analyses = createAnalyses(runtime, provider);
  const autoReplies = createAutoReplies(runtime, provider);
  let followers: readonly { catchUp(): Promise<void> }[] = [];

  return {
    sql,
    standings: createStandingReader(keyedSql),
    readInbox: createInboxReader(keyedSql),
    dialogRows: createDialogReader(keyedSql),
    participantRows: createParticipantReader(keyedSql),
    dialogs,
    membership,
    sender,
    changes,
    receipts,
    memory,
    lifecycle,
    presence,
    analyses,

    /** The dialog a command left, or what stands now when an earlier call did the work. */
    async dialogOf(scope: RequestScope, result: CommandResult): Promise<DialogRow> {
      const row = result.dialog ?? (await findDialogs(sql, scope.principal.tenantId, [result.dialogId]))[0];
      if (!row) throw unknownDialog(result.dialogId);
      return row;
    },

    async participantOf(scope: RequestScope, result: CommandResult): Promise<DialogParticipantRow | null> {
      if (result.participant) return result.participant;
      const id = result.response['participantId'];
      if (!isId(id)) return null;
      return (await findParticipants(sql, scope.principal.tenantId, [id]))[0] ?? null;
    },

    /** Reads everything the context and the extension module have told so far; for tests. */
    async catchUpContexts(): Promise<void> {
      for (const follower of followers) await follower.catchUp();
    },

    async drain(): Promise<void> {
      await Promise.all([commands.drain(), sender.drain(), receipts.drain()]);
    },

    async start(): Promise<StartedModule> {
      await maintainPartitions(sql, dialogPartitions);
      const following = await contexts.follow((change) => lifecycle.followContext(change));
      const heard = await hooks.follow();
      followers = [following, heard];
      const started = [presence.start(), lifecycle.startDeliveries(), following, heard];
      return {
        close: async () => {
          for (const part of started) await part.close();
          await Promise.all([commands.drain(), sender.drain(), receipts.drain()]);
        },
      };
    },

    jobs(): Readonly<Record<string, JobHandler>> {
      return {
        analyzeMessages: (payload, { signal }) => {
          const { messageId } = payload as { readonly messageId?: unknown };
          return analyses.analyzeWaiting(
            { ...readPayload(payload, 'dialogId'), ...(isId(messageId) ? { messageId } : {}) },
            signal,
          );
        },
        summarize: (payload, { signal, attempt }) => {
          const { tenantId, summaryId } = readPayload(payload, 'summaryId');
          return analyses.summarize(tenantId, summaryId, { signal, lastAttempt: attempt >= 3 });
        },
        autoReply: (payload, { signal }) => {
          const { tenantId, messageId } = readPayload(payload, 'messageId');
          return autoReplies.reply(tenantId, messageId, signal);
        },
        sweepIdle: async () => {
          await lifecycle.sweepIdle();
        },
        reconcileContexts: () => lifecycle.reconcileContexts(),
        retain: async () => {
          await lifecycle.retain();
        },
        forget: () => lifecycle.forget(),
        partitions: async () => {
          await maintainPartitions(sql, dialogPartitions);
        },
      };
    },
  };
}

/** graphile-worker's crontab: minute hour day month weekday task. */
export const dialogCrontab = [
  '* * * * * dialog.sweepIdle',
  '11 * * * * dialog.reconcileContexts',
  '17 3 * * * dialog.retain',
  '*/5 * * * * dialog.forget',
  '9 * * * * dialog.partitions',
];

function readPayload<Key extends string>(
  payload: unknown,
  key: Key,
): { readonly tenantId: string } & Readonly<Record<Key, string>> {
  const values = payload as Readonly<Record<string, unknown>>;
  const tenantId = values['tenantId'];
  if (typeof tenantId !== 'string') throw new PlatformError('INTERNAL_ERROR', 'a job without tenant');
  return { tenantId, [key]: requireId(values[key], [key]) } as { readonly tenantId: string } & Readonly<
    Record<Key, string>
  >;
}
