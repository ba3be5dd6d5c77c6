import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { CommandResult } from '../commands.ts';
import type { RequestContext } from '../context.ts';
import { shownSubject } from '../participants.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';
import { may, moderates, requirePermission, requireUnlocked } from '../rights.ts';
import { isOpen, requireActive } from '../states.ts';
import { requireAccess, requireActivePart } from './queries.ts';

async function dialogPayload({ service, scope, loaders }: RequestContext, result: CommandResult) {
  const dialog = await service.dialogOf(scope, result);
  loaders.prime([dialog]);
  return { dialog, userErrors: [] };
}

async function participantPayload({ service, scope, loaders }: RequestContext, result: CommandResult) {
  const [participant, dialog] = await Promise.all([
    service.participantOf(scope, result),
    service.dialogOf(scope, result),
  ]);
  loaders.prime([dialog]);
  return { participant, dialog, userErrors: [] };
}

export const mutations: MutationResolvers = {
  createDialog: async (_parent, { input }, context) =>
    dialogPayload(context, await context.service.dialogs.create(context.scope, input)),

  updateDialog: async (_parent, { dialogId, patch, ...options }, context) =>
    dialogPayload(context, await context.service.dialogs.update(context.scope, dialogId, patch, options)),

  pauseDialog: async (_parent, { dialogId, reason, ...options }, context) =>
    dialogPayload(
      context,
      await context.service.dialogs.move(
        context.scope,
        dialogId,
        { to: 'paused', reason, pausedBy: 'USER', operation: 'pause' },
        options,
      ),
    ),

  resumeDialog: async (_parent, { dialogId, ...options }, context) =>
    dialogPayload(
      context,
      await context.service.dialogs.move(
        context.scope,
        dialogId,
        { to: 'active', reason: null, pausedBy: null, operation: 'resume' },
        options,
      ),
    ),

  endDialog: async (_parent, { dialogId, reason, outcome, ...options }, context) => {
    const to = outcome === 'CANCELLED' ? 'cancelled' : 'completed';
    return dialogPayload(
      context,
      await context.service.dialogs.move(
        context.scope,
        dialogId,
        { to, reason, pausedBy: null, operation: 'end' },
        options,
      ),
    );
  },

  archiveDialog: async (_parent, { dialogId, ...options }, context) =>
    dialogPayload(context, await context.service.dialogs.archive(context.scope, dialogId, options)),

  async sendMessage(_parent, { input }, { service, scope }) {
    const { message, duplicate } = await service.sender.send(scope, input);
    return { message, deliveryStatus: { message }, duplicate, userErrors: [] };
  },

  editMessage: async (_parent, { messageId, content, ...options }, { service, scope }) => ({
    message: await service.changes.edit(scope, messageId, content, options),
    userErrors: [],
  }),

  deleteMessage: async (_parent, { messageId, reason, ...options }, { service, scope }) => ({
    message: await service.changes.remove(scope, messageId, reason, options),
    userErrors: [],
  }),

  reactToMessage: async (_parent, { messageId, type, ...options }, { service, scope }) => ({
    message: await service.changes.react(scope, messageId, type, options),
    userErrors: [],
  }),

  ackMessages: async (_parent, { dialogId, upToSequence, idempotencyKey }, { service, scope }) => ({
    ...(await service.receipts.acknowledge(scope, dialogId, upToSequence, idempotencyKey)),
    userErrors: [],
  }),

  inviteParticipant: async (_parent, { input }, context) =>
    participantPayload(context, await context.service.membership.invite(context.scope, input)),

  joinDialog: async (_parent, { dialogId, idempotencyKey, ...profile }, context) =>
    participantPayload(
      context,
      await context.service.membership.join(context.scope, dialogId, profile, { idempotencyKey }),
    ),

  leaveDialog: async (_parent, { dialogId, reason, ...options }, context) =>
    participantPayload(context, await context.service.membership.leave(context.scope, dialogId, reason, options)),

  removeDialogParticipant: async (_parent, { dialogId, participantId, reason, idempotencyKey }, context) =>
    participantPayload(
      context,
      await context.service.membership.remove(context.scope, dialogId, participantId, { reason, idempotencyKey }),
    ),

  updateParticipantRole: async (_parent, { dialogId, participantId, ...options }, context) =>
    participantPayload(
      context,
      await context.service.membership.update(context.scope, dialogId, participantId, options),
    ),

  passTurn: async (_parent, { dialogId, toParticipantId, ...options }, context) =>
    dialogPayload(context, await context.service.dialogs.passTurn(context.scope, dialogId, toParticipantId, options)),

  setDialogFlow: async (_parent, { dialogId, flow, ...options }, context) =>
    dialogPayload(context, await context.service.dialogs.setFlow(context.scope, dialogId, flow, options)),

  advanceFlow: async (_parent, { dialogId, transition, ...options }, context) =>
    dialogPayload(context, await context.service.dialogs.advanceFlow(context.scope, dialogId, transition, options)),

  async updateMemory(_parent, { dialogId, entries, forget, idempotencyKey }, context) {
    const { dialog, participant } = await requireAccess(context, dialogId);
    if (!may(participant, 'WRITE') && !moderates(dialog, context.principal, participant)) {
      throw new PlatformError('NOT_A_PARTICIPANT', 'only writing participants change what a dialog remembers');
    }
    if (!isOpen(dialog.status)) requireActive(dialog);
    requireUnlocked(dialog);
    const written = await context.service.memory.update(context.scope, dialogId, {
      entries,
      forget,
      idempotencyKey,
      shownActor: shownSubject(context.principal, participant),
    });
    return { entries: [...written], userErrors: [] };
  },

  async generateSummary(_parent, { dialogId, threadId, ...input }, context) {
    const { dialog, participant, view } = await requireAccess(context, dialogId);
    if (threadId != null && !isId(threadId))
      throw new PlatformError('VALIDATION_FAILED', 'threadId: expected a lower-case UUID v4', { path: ['threadId'] });
    const isModerator = moderates(dialog, context.principal, participant);
    if (view === null || !(may(participant, 'READ') || isModerator))
      throw new PlatformError('NOT_A_PARTICIPANT', 'only participants ask for a summary');
    if (!isModerator) requirePermission(participant, 'SUMMARIZE');
    const summary = await context.service.analyses.request(context.scope, dialog, {
      ...input,
      view,
      threadId: threadId ?? null,
      shownActor: shownSubject(context.principal, participant),
    });
    return { summary, userErrors: [] };
  },

  async setPresence(_parent, { dialogId, state }, context) {
    const { participant } = await requireActivePart(context, dialogId);
    context.service.presence.set(participant, state);
    return { ok: true, userErrors: [] };
  },

  async setTyping(_parent, { dialogId, threadId, typing }, context) {
    const { dialog, participant } = await requireActivePart(context, dialogId);
    if (!may(participant, 'WRITE'))
      throw new PlatformError('NOT_A_PARTICIPANT', 'the caller takes part without the permission WRITE', {
        details: { permission: 'WRITE' },
      });
    requireActive(dialog);
    if (threadId != null && !isId(threadId))
      throw new PlatformError('VALIDATION_FAILED', 'threadId: expected a lower-case UUID v4', { path: ['threadId'] });
    context.service.presence.typing(participant, threadId ?? null, typing);
    return { ok: true, userErrors: [] };
  },
};
