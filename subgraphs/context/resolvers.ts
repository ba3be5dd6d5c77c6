import { PlatformError, toUserError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { parseInput, text } from '#shared/validation.ts';

import { showAccessControl } from './accessList.ts';
import { metadataList, participantList, readChildPage, sessionList, versionList } from './children.ts';
import type { RequestContext } from './context.ts';
import { contextColumnsOf } from './contextColumnsOf.ts';
import { toDocument } from './document.ts';
import { readSelection } from './filter.ts';
import { notificationsOf } from './notificationPreferences.ts';
import type { ParticipantChange } from './participantGroup.ts';
import { waitsForPlace } from './participantRules.ts';
import type { Resolvers } from './resolvers.generated.ts';
import { showState } from './stateShape.ts';

/** An earlier mutation of the same request may have read what this one has changed. */
function forgetReads({ loaders }: RequestContext): void {
  for (const loader of Object.values(loaders)) loader.clearAll();
}

/** The context as it stands after a mutation. */
function reread(context: RequestContext, contextId: string) {
  forgetReads(context);
  return context.loaders.context.load(contextId);
}

export const resolvers: Resolvers = {
  Query: {
    context: (_parent, { contextId }, { loaders }) => (isId(contextId) ? loaders.context.load(contextId) : null),
    contextByName: (_parent, { name, ownerId }, { service, scope }) => {
      const title = parseInput(text({ max: 255 }), name, ['name']);
      const owner = parseInput(text({ max: 255 }).nullish(), ownerId, ['ownerId']);
      return owner == null && !service.names.unique
        ? service.lists.byName(scope, title)
        : service.names.find(scope, owner ?? scope.principal.subject, title);
    },
    contexts: (_parent, { filter, sort, ...page }, { service, scope }) =>
      service.lists.list(scope, readSelection(filter, null), sort, page),
    searchContexts: (_parent, { query, filter, sort, ...page }, { service, scope }, info) =>
      service.lists.search(scope, readSelection(filter, query), sort, {
        ...page,
        columns: contextColumnsOf(info, 'edges.node', 'nodes'),
      }),
    contextHealth: async (_parent, { contextId }, { service, loaders }) => {
      const row = isId(contextId) ? await loaders.context.load(contextId) : null;
      return row && service.health.check(row);
    },
    contextStatistics: (_parent, { filter }, { service, scope }) =>
      service.lists.statistics(scope, readSelection(filter, null)),
  },
  Mutation: {
    createContext: async (_parent, { input }, { service, scope }) => {
      const { context, joinToken } = await service.create(scope, input);
      return {
        context,
        accessInfo: { contextUrl: `/contexts/${context.id}`, permissions: [...scope.principal.scopes], joinToken },
        userErrors: [],
      };
    },
    createContexts: async (_parent, { inputs, ...options }, { service, scope }) => {
      const results = await service.bulk.create(scope, inputs, options);
      const failed = results.filter(({ error }) => error !== null).length;
      return {
        results: results.map(({ error, ...item }) => ({
          ...item,
          error: error && { ...error, path: error.path && [...error.path] },
        })),
        created: results.length - failed,
        failed,
        userErrors: [],
      };
    },
    updateContext: async (_parent, { contextId, patch, ...options }, { service, scope }) => ({
      context: await service.update(scope, contextId, patch, options),
      userErrors: [],
    }),
    changeContextStatus: async (_parent, { contextId, ...options }, { service, scope }) => ({
      context: await service.changeStatus(scope, contextId, options),
      userErrors: [],
    }),
    deleteContext: async (_parent, { contextId, ...options }, { service, scope }) => ({
      ...(await service.remove(scope, contextId, options)),
      deleted: true,
      userErrors: [],
    }),
    restoreContext: async (_parent, { contextId, ...options }, { service, scope }) => ({
      context: await service.restore(scope, contextId, options),
      userErrors: [],
    }),
    updateSharedState: async (_parent, { input }, context) => {
      try {
        const { contextId, state, conflicts } = await context.service.sharedState.update(context.scope, input);
        const row = await reread(context, contextId);
        return {
          sharedState: state ?? (row && (await context.loaders.sharedState.load(contextId))),
          context: row,
          conflicts: [...conflicts],
          userErrors: [],
        };
      } catch (error) {
        if (!(error instanceof PlatformError) || error.code !== 'SYNC_CONFLICT') throw error;
        return { conflicts: error.details?.['conflicts'] as [], userErrors: [toPayloadError(error)] };
      }
    },
    addParticipant: async (_parent, { input }, context) =>
      participantPayload(context, input.contextId, await context.service.participants.add(context.scope, input)),
    updateParticipant: async (_parent, { contextId, participantId, ...options }, context) =>
      participantPayload(
        context,
        contextId,
        await context.service.participants.update(context.scope, contextId, participantId, options),
      ),
    removeParticipant: async (_parent, { contextId, participantId, ...options }, context) =>
      participantPayload(
        context,
        contextId,
        await context.service.participants.remove(context.scope, contextId, participantId, options),
      ),
    joinContext: async (_parent, { contextId, idempotencyKey, override, ...input }, context) =>
      participantPayload(
        context,
        contextId,
        await context.service.participants.join(context.scope, contextId, input, { idempotencyKey, override }),
      ),
    decideJoinRequest: async (_parent, { contextId, participantId, ...options }, context) =>
      participantPayload(
        context,
        contextId,
        await context.service.participants.decide(context.scope, contextId, participantId, options),
      ),
    leaveContext: async (_parent, { contextId, ...options }, context) =>
      participantPayload(
        context,
        contextId,
        await context.service.participants.leave(context.scope, contextId, options),
      ),
    rotateContextJoinToken: async (_parent, { contextId, ...options }, { service, scope }) => ({
      ...(await service.joinTokens.rotate(scope, contextId, options)),
      userErrors: [],
    }),
    revokeContextJoinToken: async (_parent, { contextId, ...options }, { service, scope }) => ({
      context: await service.joinTokens.revoke(scope, contextId, options),
      userErrors: [],
    }),
    createSession: async (_parent, { input }, context) =>
      sessionPayload(context, input.contextId, await context.service.sessions.create(context.scope, input)),
    changeSessionStatus: async (_parent, { contextId, sessionId, ...options }, context) =>
      sessionPayload(
        context,
        contextId,
        await context.service.sessions.changeStatus(context.scope, contextId, sessionId, options),
      ),
    endSession: async (_parent, { contextId, sessionId, ...options }, context) =>
      sessionPayload(
        context,
        contextId,
        await context.service.sessions.end(context.scope, contextId, sessionId, options),
      ),
    setMetadata: async (_parent, { contextId, entries, ...options }, context) => {
      const { keys } = await context.service.metadata.set(context.scope, contextId, entries, options);
      return {
        entries: await context.service.metadata.find(context.scope, contextId, keys),
        deletedKeys: [],
        context: await reread(context, contextId),
        userErrors: [],
      };
    },
    deleteMetadata: async (_parent, { contextId, keys, ...options }, context) => {
      const { deletedKeys } = await context.service.metadata.remove(context.scope, contextId, keys, options);
      return { entries: [], deletedKeys: [...deletedKeys], context: await reread(context, contextId), userErrors: [] };
    },
  },
  Context: {
    __resolveReference: ({ id }, { loaders }) => loaders.context.load(id),
    contextId: (row) => row.id,
    status: (row) => row.status.toUpperCase() as Uppercase<typeof row.status>,
    entryPoint: (row) => (row.root['entry_point'] as string | undefined) ?? null,
    ownerRoleId: (row) => row.ownerRole,
    governance: (row) =>
      row.governance && {
        lifecyclePhase: row.governance.lifecyclePhase ?? null,
        truthDomain: row.governance.truthDomain ?? null,
        locked: row.governance.locked ?? false,
        lastConfirmId: row.governance.lastConfirmRef?.id ?? null,
      },
    accessControl: (row) => showAccessControl(row.accessControl),
    sharedState: (row, _args, { loaders }) => loaders.sharedState.load(row.id),
    participants: async (row, { status, ...page }, { loaders }) => {
      const list = { contextId: row.id, statuses: status ?? null };
      return { ...(await loaders.participantPages.load(readChildPage(participantList, list, page))), list };
    },
    sessions: async (row, { status, ...page }, { loaders }) => {
      const list = { contextId: row.id, statuses: status ?? null };
      return { ...(await loaders.sessionPages.load(readChildPage(sessionList, list, page))), list };
    },
    metadata: async (row, { pattern, ...page }, { loaders }) => {
      const list = {
        contextId: row.id,
        pattern: pattern == null ? null : parseInput(text({ max: 255 }), pattern, ['pattern']),
      };
      return { ...(await loaders.metadataPages.load(readChildPage(metadataList, list, page))), list };
    },
    history: async (row, page, { loaders }) => {
      const list = { contextId: row.id };
      return { ...(await loaders.versionPages.load(readChildPage(versionList, list, page))), list };
    },
    document: (row) => toDocument(row),
  },
  ContextSharedState: {
    resources: (state) => showState(state).resources,
    dependencies: (state) => showState(state).dependencies,
    goals: (state) => showState(state).goals,
    document: ({ variables, resources, dependencies, goals }) => ({ variables, resources, dependencies, goals }),
  },
  ContextParticipant: {
    __resolveReference: ({ id }, { loaders }) => loaders.participant.load(id),
    participantId: (row) => row.id,
    waitsFor: (row) => (waitsForPlace(row) ? 'PLACE' : null),
    notifications: (row) => notificationsOf(row.notifications),
    context: async (row, _args, { loaders }) => requireSeen(await loaders.context.load(row.contextId)),
  },
  ContextSession: {
    __resolveReference: ({ id }, { loaders }) => loaders.session.load(id),
    sessionId: (row) => row.id,
    agentIds: async ({ participantIds }, _args, { loaders }) => {
      const found = await Promise.all(participantIds.map((id) => loaders.participant.load(id)));
      return [...new Set(found.flatMap((participant) => participant?.agentId ?? []))].sort();
    },
    durationMs: (row) => (row.endedAt === null ? Date.now() : Date.parse(row.endedAt)) - Date.parse(row.startedAt),
    context: async (row, _args, { loaders }) => requireSeen(await loaders.context.load(row.contextId)),
  },
  ContextConnection: {
    totalCount: ({ selection }, _args, { service, scope }) => service.lists.count(scope, selection),
  },
  ContextSearchConnection: {
    totalCount: ({ selection, total }, _args, { service, scope }) =>
      total ?? service.lists.countMatches(scope, selection),
    facets: ({ selection }, _args, { service, scope }) => service.lists.facets(scope, selection),
  },
  ContextSearchEdge: {
    snippet: ({ node, query }, _args, { loaders }) =>
      query === null ? null : loaders.snippets.load({ query, id: node.id }),
  },
  ContextParticipantConnection: { totalCount: ({ list }, _args, { loaders }) => loaders.participantTotals.load(list) },
  ContextSessionConnection: { totalCount: ({ list }, _args, { loaders }) => loaders.sessionTotals.load(list) },
  ContextVersionConnection: { totalCount: ({ list }, _args, { loaders }) => loaders.versionTotals.load(list) },
  ContextMetadataConnection: { totalCount: ({ list }, _args, { loaders }) => loaders.metadataTotals.load(list) },
  ContextMetadataEntry: {
    versions: ({ contextId, key }, _args, { loaders }) => loaders.metadataVersions.load({ contextId, key }),
  },
};

async function participantPayload(context: RequestContext, contextId: string, change: ParticipantChange) {
  const { participantId, after } = change;
  if (after !== null) {
    // Both as the mutation left them: nothing to read again.
    forgetReads(context);
    context.loaders.context.prime(contextId, after.context);
    return { participant: after.participant, context: after.context, userErrors: [] };
  }
  const [participant, row] = await Promise.all([
    context.service.participants.find(context.scope, participantId),
    reread(context, contextId),
  ]);
  return { participant, context: row, userErrors: [] };
}

async function sessionPayload(
  context: RequestContext,
  contextId: string,
  { sessionId }: { readonly sessionId: string },
) {
  const [session, row] = await Promise.all([
    context.service.sessions.find(context.scope, sessionId),
    reread(context, contextId),
  ]);
  return { session, context: row, userErrors: [] };
}

function toPayloadError(error: PlatformError) {
  const { path, ...rest } = toUserError(error);
  return { ...rest, path: path && [...path] };
}

/** Of a context that has just been left nothing is shown any more. @throws {NOT_FOUND} */
function requireSeen<Row>(row: Row | null): Row {
  if (row === null) throw new PlatformError('NOT_FOUND', 'no such context');
  return row;
}
