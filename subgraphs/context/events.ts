import { type ConditionalReader, isReader } from '#shared/contextReaders.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import { matchesType, type StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { isOwnerOrAdmin, takesPart } from './access.ts';
import { hasConditions, listedReaders, showAccessControl } from './accessList.ts';
import { toDocument } from './document.ts';
import {
  allTypes,
  contextTypes,
  metadataTypes,
  participantTypes,
  readEventTypes,
  sessionTypes,
  sharedStateTypes,
} from './eventTypes.ts';
import { notificationsOf } from './notificationPreferences.ts';
import { isTakingPart, waitsForPlace } from './participantRules.ts';
import type { ContextParticipantRow, ContextRow, ContextSessionRow } from './rows.ts';

/**
 * Tags of a context and of the lists it stands in. Those that leave no context out, by the time of creation, have the tag
 * `contexts:standing` in place of `contexts`: they do not change with what is changed inside of one.
 */
function contextTags(contextId: string, isChangeInside: boolean): readonly string[] {
  const tags = [`Context:${contextId}`, 'contexts'];
  return isChangeInside ? tags : [...tags, 'contexts:standing'];
}

/** Whether an event leaves it as it was who sees the context, and that it is there. */
function isInside(type: string, row: ContextRow, changes: Readonly<Record<string, unknown>>): boolean {
  if (hasConditions(row)) return false;
  return (
    (type === 'context.updated' && !('accessControl' in changes) && !('ownerId' in changes)) ||
    type === 'context.state.changed'
  );
}

/** An event of a context's stream; it carries the whole row and what changed. */
export function contextEvent(type: string, row: ContextRow, changes: Readonly<Record<string, unknown>>): NewEvent {
  const { joinTokenHash: _secret, uniqueName: _key, ...context } = row;
  return {
    streamId: row.id,
    type,
    data: { context, changes },
    tags: contextTags(row.id, isInside(type, row, changes)),
  };
}

/** An event about a participant, in its context's stream. */
export function participantEvent(
  type: string,
  participant: ContextParticipantRow,
  reason: string | null = null,
): NewEvent {
  return {
    streamId: participant.contextId,
    type,
    data: { participant, reason },
    tags: [
      `ContextParticipant:${participant.id}`,
      `Context:${participant.contextId}:participants`,
      `Context:${participant.contextId}`,
      'contexts:members',
    ],
  };
}

/** An event about a session, in its context's stream. */
export function sessionEvent(type: string, session: ContextSessionRow, reason: string | null = null): NewEvent {
  return {
    streamId: session.contextId,
    type,
    data: { session, reason },
    tags: [
      `ContextSession:${session.id}`,
      `Context:${session.contextId}:sessions`,
      `Context:${session.contextId}`,
      'contexts:members',
    ],
  };
}

/** The graph's form of a row out of an event: what the hub can answer without asking the subgraph. */
export function contextPayload(context: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const root = context['root'] as Record<string, unknown>;
  const governance = context['governance'] as {
    lifecyclePhase?: string;
    truthDomain?: string;
    locked?: boolean;
    lastConfirmRef?: { id: string };
  } | null;
  const {
    tenantId: _tenant,
    protocol: _protocol,
    metadataText: _text,
    deletedAt: _deleted,
    sharedVersion: _version,
    sharedChecksum: _checksum,
    sharedUpdatedAt: _at,
    ownerRole,
    ...rest
  } = context;
  return {
    __typename: 'Context',
    ...rest,
    contextId: context['id'],
    status: String(context['status']).toUpperCase(),
    entryPoint: root['entry_point'] ?? null,
    ownerRoleId: ownerRole ?? null,
    get accessControl() {
      return showAccessControl(context['accessControl'] as ContextRow['accessControl']);
    },
    // Only who selects it pays for it.
    get document() {
      return toDocument(context as unknown as ContextRow);
    },
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
  return {
    cursor: encodeCursor(event.streamId, sequence),
    sequence,
    type: event.type,
    contextId: event.streamId,
    timestamp: event.createdAt,
    actor: event.actor,
  };
}

interface Standing {
  owner_id: string;
  is_private: boolean;
  readers: readonly string[];
  conditional: readonly ConditionalReader[] | null;
  member: boolean;
  head: number;
}

/**
 * Lets readers follow a context as long as they see it. What they may see of the past was settled at admission; from
 * there on the gate follows visibility and membership by the stream's own events. The event that tells a subscriber
 * of the context's deletion or of its own leaving is its last one.
 */
function admitReaders(types: readonly string[]): StreamSubscription['admit'] {
  return async (principal, args, { sql }) => {
    const contextId = args['contextId'];
    const asked = readEventTypes(args['types']);
    const [found] = isId(contextId)
      ? ((await sql.unsafe(
          `SELECT c.owner_id, c.is_private, c.readers, c.conditional_readers AS conditional, ${takesPart('c', '$3')} AS member,
                  COALESCE((SELECT h.last_sequence FROM context.stream_head h WHERE h.tenant_id = c.tenant_id AND h.stream_id = c.id), 0) AS head
           FROM context.context c WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL`,
          [principal.tenantId, contextId, principal.subject],
          { prepare: true },
        )) as unknown as Standing[])
      : [];
    const maySee = (at: Omit<Standing, 'head'>) =>
      !at.is_private ||
      at.member ||
      isReader({ readers: at.readers, conditional: at.conditional ?? [] }, principal) ||
      isOwnerOrAdmin({ ownerId: at.owner_id, id: String(contextId) }, principal);
    if (!found || !maySee(found)) throw new PlatformError('NOT_FOUND', 'no such context', { path: ['contextId'] });
    let standing: Omit<Standing, 'head'> = found;
    let over = false;
    const sees = () => maySee(standing);
    /** Conditions hold at one time and not at another: they are asked at each event. */
    const stillSees = () => {
      over ||= Boolean(standing.conditional?.length) && !sees();
      return !over;
    };
    const isAskedFor = (type: string) => asked === null || matchesType(asked, type);
    const pass = (type: string) => (isAskedFor(type) ? 'deliver' : 'skip');
    return {
      decide(event) {
        if (over) return 'end';
        // What passes by unkept, and what happened before the admission, changes nothing of it.
        if (!('sequence' in event) || event.sequence <= found.head) return stillSees() ? pass(event.type) : 'end';
        const selected = matchesType(types, event.type) && isAskedFor(event.type);
        const last = () => {
          over = true;
          return selected ? 'deliver' : 'end';
        };
        if (event.type === 'context.deleted') return last();
        const context = event.data['context'] as ContextRow | undefined;
        if (context) {
          standing = {
            ...standing,
            owner_id: context.ownerId,
            is_private: context.accessControl.visibility === 'PRIVATE',
            ...listedReaders(context),
          };
          // The event holds what has just become private, or is private to those that are listed no longer.
          if (!sees()) {
            over = true;
            return 'end';
          }
        }
        const participant = event.data['participant'] as { agentId: string; status: string } | undefined;
        if (participant?.agentId === principal.subject) {
          standing = { ...standing, member: isTakingPart(participant) };
          if (!sees()) return last();
        }
        return stillSees() ? pass(event.type) : 'end';
      },
    };
  };
}

/** What all streams of a context have in common. */
function contextStream(types: readonly string[]) {
  return {
    module: 'context',
    kind: 'stream',
    streamId: (args: Readonly<Record<string, unknown>>) => String(args['contextId']),
    types,
    admit: admitReaders(types),
  } as const;
}

type Row = Readonly<Record<string, unknown>>;

function participantPayload(row: Row): Row {
  const { tenantId: _tenant, ...participant } = row;
  return {
    ...{ __typename: 'ContextParticipant', ...participant, participantId: participant['id'] },
    notifications: notificationsOf(participant['notifications']),
    waitsFor: waitsForPlace(participant as unknown as ContextParticipantRow) ? 'PLACE' : null,
    approvedAt: participant['approvedAt'] ?? null,
  };
}

function sessionPayload(row: Row): Row {
  const { tenantId: _tenant, ...session } = row as unknown as ContextSessionRow;
  const { id, startedAt, endedAt } = session;
  // How long one has lasted that goes on, and who takes part by name, is asked of the subgraph.
  const ended = endedAt === null ? {} : { durationMs: Date.parse(endedAt) - Date.parse(startedAt) };
  return { __typename: 'ContextSession', ...session, sessionId: id, ...ended };
}

function statePayload({ version, checksum, changedKeys, changes }: Row): Row {
  return { version, checksum, changedKeys, changes };
}

/** Keys of entries that are not for everyone are themselves not for everyone: how many there are is. */
function metadataPayload(data: Row): Row {
  const open = new Set((data['publicKeys'] as readonly string[] | undefined) ?? []);
  const of = (name: string) => data[name] as readonly string[];
  const [keys, deletedKeys] = [of('keys'), of('deletedKeys')].map((all) => all.filter((key) => open.has(key)));
  return {
    keys,
    deletedKeys,
    hiddenKeys: of('keys').length + of('deletedKeys').length - keys!.length - deletedKeys!.length,
  };
}

/** Fields of `Subscription` that the context module feeds. */
export const contextSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  contextUpdates: {
    ...contextStream(contextTypes),
    payload: (event) => ({
      ...commonFields(event),
      context: contextPayload(event.data['context'] as Row),
      changes: event.data['changes'] ?? null,
    }),
  },
  participantActivities: {
    ...contextStream(participantTypes),
    payload: (event) => ({
      ...commonFields(event),
      participant: participantPayload(event.data['participant'] as Row),
    }),
  },
  sharedStateChanges: {
    ...contextStream(sharedStateTypes),
    payload: (event) => ({ ...commonFields(event), ...statePayload(event.data) }),
  },
  contextEvents: {
    ...contextStream(allTypes),
    payload: (event) => {
      const { data, type } = event;
      const about = (types: readonly string[]) => types.includes(type);
      return {
        ...commonFields(event),
        context: about(contextTypes) ? contextPayload(data['context'] as Row) : null,
        changes: about(contextTypes) ? (data['changes'] ?? null) : null,
        participant: about(participantTypes) ? participantPayload(data['participant'] as Row) : null,
        session: about(sessionTypes) ? sessionPayload(data['session'] as Row) : null,
        sharedState: about(sharedStateTypes) ? statePayload(data) : null,
        metadata: about(metadataTypes) ? metadataPayload(data) : null,
        reason: data['reason'] ?? null,
      };
    },
  },
};
