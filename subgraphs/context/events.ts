import type { ContextParticipantRow, ContextRow, ContextSessionRow } from './rows.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { PlatformError } from '#shared/errors.ts';
import { hasScope } from '#shared/principal.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { encodeCursor } from '#shared/cursor.ts';

/** Tags of a context and of the lists it stands in. */
export function contextTags(contextId: string): readonly string[] {
  return [`Context:${contextId}`, 'contexts'];
}

/** An event of a context's stream; it carries the whole row and what changed. */
export function contextEvent(type: string, row: ContextRow, changes: Readonly<Record<string, unknown>>): NewEvent {
  const { joinTokenHash: _secret, ...context } = row;
  return { streamId: row.id, type, data: { context, changes }, tags: contextTags(row.id) };
}

/** An event about a participant, in its context's stream. */
export function participantEvent(type: string, participant: ContextParticipantRow, reason: string | null = null): NewEvent {
  return {
    streamId: participant.contextId,
    type,
    data: { participant, reason },
    tags: [`ContextParticipant:${participant.id}`, `Context:${participant.contextId}:participants`, `Context:${participant.contextId}`, 'contexts:members'],
  };
}

/** An event about a session, in its context's stream. */
export function sessionEvent(type: string, session: ContextSessionRow, reason: string | null = null): NewEvent {
  return {
    streamId: session.contextId,
    type,
    data: { session, reason },
    tags: [`ContextSession:${session.id}`, `Context:${session.contextId}:sessions`, `Context:${session.contextId}`, 'contexts:members'],
  };
}

/** The graph's form of a row out of an event: what the hub can answer without asking the subgraph. */
export function contextPayload(context: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const root = context['root'] as Record<string, unknown>;
  const governance = context['governance'] as { lifecyclePhase?: string; truthDomain?: string; locked?: boolean; lastConfirmRef?: { id: string } } | null;
  const { tenantId: _tenant, protocol: _protocol, metadataText: _text, deletedAt: _deleted, sharedVersion: _version, sharedChecksum: _checksum, sharedUpdatedAt: _at, ownerRole, ...rest } = context;
  return {
    __typename: 'Context',
    ...rest,
    contextId: context['id'],
    status: String(context['status']).toUpperCase(),
    entryPoint: root['entry_point'] ?? null,
    ownerRoleId: ownerRole ?? null,
    governance: governance && {
      __typename: 'ContextGovernance',
      lifecyclePhase: governance.lifecyclePhase ?? null,
      truthDomain: governance.truthDomain ?? null,
      locked: governance.locked ?? false,
      lastConfirmId: governance.lastConfirmRef?.id ?? null,
    },
  };
}

function commonFields(event: Parameters<StreamSubscription['payload']>[0]): Record<string, unknown> {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return { cursor: encodeCursor(event.streamId, sequence), sequence, type: event.type, contextId: event.streamId, timestamp: event.createdAt, actor: event.actor };
}

const admitReaders: StreamSubscription['admit'] = async (principal, args, { sql }) => {
  const contextId = args['contextId'];
  if (!hasScope(principal, 'context:read')) throw new PlatformError('PERMISSION_DENIED', 'this needs the permission context:read');
  const found = isId(contextId) ? await sql`SELECT 1 FROM context.context WHERE tenant_id = ${principal.tenantId} AND id = ${contextId} AND deleted_at IS NULL` : [];
  if (found.length === 0) throw new PlatformError('NOT_FOUND', 'no such context', { path: ['contextId'] });
  return { decide: () => 'deliver' };
};

const stream = { module: 'context', kind: 'stream', streamId: (args: Readonly<Record<string, unknown>>) => String(args['contextId']), admit: admitReaders } as const;

/** Fields of `Subscription` that the context module feeds. */
export const contextSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  contextUpdates: {
    ...stream,
    types: ['context.created', 'context.updated', 'context.deleted', 'context.restored', 'context.state.changed'],
    payload: (event) => ({ ...commonFields(event), context: contextPayload(event.data['context'] as Record<string, unknown>), changes: event.data['changes'] ?? null }),
  },
  participantActivities: {
    ...stream,
    types: ['context.participant.joined', 'context.participant.updated', 'context.participant.left'],
    payload: (event) => {
      const { tenantId: _tenant, ...participant } = event.data['participant'] as Record<string, unknown>;
      return { ...commonFields(event), participant: { __typename: 'ContextParticipant', ...participant, participantId: participant['id'] } };
    },
  },
  sharedStateChanges: {
    ...stream,
    types: ['context.state.sync', 'context.state.conflict'],
    payload: (event) => ({
      ...commonFields(event),
      version: event.data['version'],
      checksum: event.data['checksum'],
      changedKeys: event.data['changedKeys'],
      changes: event.data['changes'],
    }),
  },
};
