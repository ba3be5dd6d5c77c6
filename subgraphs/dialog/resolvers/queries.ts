import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { selectedFields } from '#shared/selectedFields.ts';
import type { RequestContext } from '../context.ts';
import type { Access } from '../loaders.ts';
import { listDialogs } from '../reads/dialogs.ts';
import { readHistory } from '../reads/history.ts';
import type { Inbox, InboxRequest } from '../reads/inbox.ts';
import { selectMessageColumns } from '../reads/messageColumns.ts';
import { readMetrics } from '../reads/metrics.ts';
import { searchMessages } from '../reads/search.ts';
import { findWaitingDialogs } from '../reads/waiting.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';
import { isActive, notAParticipant, unknownDialog } from '../rights.ts';
import type { DialogParticipantRow } from '../rows.ts';

/** @throws {NOT_FOUND} when the dialog is unknown to the caller. */
export async function requireAccess({ loaders }: RequestContext, dialogId: string): Promise<Access> {
  const access = isId(dialogId) ? await loaders.access(dialogId) : null;
  if (!access) throw unknownDialog(dialogId);
  return access;
}

/** @throws {NOT_FOUND} when the dialog is unknown to the caller. */
async function requireStanding({ loaders }: RequestContext, dialogId: string) {
  const standing = isId(dialogId) ? await loaders.standing(dialogId) : null;
  if (!standing) throw unknownDialog(dialogId);
  return standing;
}

/** An inbox's page; what is in it counts as delivered. @throws {NOT_A_PARTICIPANT} {VALIDATION_FAILED} */
async function receive(
  { service }: RequestContext,
  standing: Awaited<ReturnType<typeof requireStanding>>,
  page: Pick<InboxRequest, 'after' | 'limit' | 'columns'>,
): Promise<Inbox> {
  const inbox = await service.readInbox({ ...standing, ...page });
  const { dialog, participant } = standing;
  const last = inbox.messages.at(-1);
  if (last && participant)
    service.receipts.delivered({
      tenantId: dialog.tenantId,
      dialogId: dialog.id,
      participantId: participant.id,
      upto: last.sequence,
    });
  return inbox;
}

/** @throws {NOT_FOUND} {NOT_A_PARTICIPANT} */
export async function requireActivePart(
  context: RequestContext,
  dialogId: string,
): Promise<Access & { readonly participant: DialogParticipantRow }> {
  const { participant, ...access } = await requireAccess(context, dialogId);
  if (!isActive(participant)) throw notAParticipant();
  return { ...access, participant };
}

export const queries: QueryResolvers = {
  dialog: (_parent, { id }, { loaders }) => (isId(id) ? loaders.dialog(id) : null),

  async dialogs(_parent, args, { service, principal, loaders, scope }) {
    const connection = await listDialogs(service.sql, principal, args);
    loaders.prime(connection.nodes);
    scope.readTags.add(args.filter?.contextId ? `Context:${args.filter.contextId}:dialogs` : 'dialogs');
    return connection;
  },

  async dialogMessages(_parent, { dialogId, ...input }, context, info) {
    const { dialog, view } = await requireStanding(context, dialogId);
    context.scope.readTags.add(`Dialog:${dialogId}:messages`);
    context.scope.readTags.add(`Dialog:${dialogId}:analysis`);
    const columns = selectMessageColumns(info, 'edges.node', 'nodes');
    const withSnippet = selectedFields(info, 'edges').has('snippet');
    return readHistory(context.service.sql, dialog, { view, columns, withSnippet }, input);
  },

  searchMessages: async (_parent, input, { service, principal }, info) =>
    searchMessages(
      service.sql,
      principal,
      {
        columns: selectMessageColumns(info, 'edges.node', 'nodes'),
        withSnippet: selectedFields(info, 'edges').has('snippet'),
        withCount: selectedFields(info, '').has('totalCount'),
      },
      input,
    ),

  async dialogInbox(_parent, { dialogId, after, limit }, context, info) {
    const standing = await requireStanding(context, dialogId);
    return receive(context, standing, { after: after ?? null, limit, columns: selectMessageColumns(info, 'messages') });
  },

  async dialogInboxes(_parent, { first, limit }, context, info) {
    const columns = selectMessageColumns(info, 'messages');
    const ids = await findWaitingDialogs(context.service.sql, context.principal, first);
    const standings = await Promise.all(ids.map((id) => context.loaders.standing(id)));
    // Who has just left a dialog no longer receives in it.
    const own = standings.filter((standing) => standing !== null && isActive(standing.participant));
    return Promise.all(own.map((standing) => receive(context, standing!, { after: null, limit, columns })));
  },

  async dialogSummary(_parent, { dialogId, threadId }, { loaders }) {
    const access = isId(dialogId) ? await loaders.access(dialogId) : null;
    if (!access?.view || (threadId != null && !isId(threadId))) return null;
    return loaders.summary.load({ dialogId, threadId: threadId ?? null, view: access.view });
  },

  async dialogMetrics(_parent, { dialogId }, { loaders, service, scope }) {
    const access = isId(dialogId) ? await loaders.access(dialogId) : null;
    if (!access?.view) return null;
    for (const part of ['messages', 'receipts', 'analysis']) scope.readTags.add(`Dialog:${dialogId}:${part}`);
    return readMetrics(service.sql, access.dialog);
  },

  async dialogMemory(_parent, { dialogId, query, kinds, limit }, context) {
    const { view } = await requireAccess(context, dialogId);
    if (view === null)
      throw new PlatformError('HISTORY_FORBIDDEN', 'only participants read what a dialog remembers', {
        path: ['dialogId'],
      });
    const { tenantId } = context.principal;
    return [...(await context.service.memory.recall(tenantId, dialogId, { view, query, kinds, limit }))];
  },

  async dialogPresence(_parent, { dialogId }, context) {
    const { view } = await requireAccess(context, dialogId);
    if (view === null) throw notAParticipant();
    return [...context.service.presence.list(context.principal.tenantId, dialogId)];
  },
};
