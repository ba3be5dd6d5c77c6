import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import type { ConflictRow } from './conflictRows.ts';
import type { CollabRow } from './rows.ts';
import type { BroadcastRow, TurnRow } from './workRows.ts';

type AnyEvent = EventRow | EphemeralEvent;

/** Which frozen event of the multi-agent profile each of the module's own stands for. */
const mapTypes: Readonly<Record<string, string>> = {
  'collab.activated': 'MAPSessionStarted',
  'collab.roles.assigned': 'MAPRolesAssigned',
  'collab.turn.dispatched': 'MAPTurnDispatched',
  'collab.turn.completed': 'MAPTurnCompleted',
  'collab.broadcast.sent': 'MAPBroadcastSent',
  'collab.broadcast.received': 'MAPBroadcastReceived',
  'collab.broadcast.expired': 'MAPBroadcastReceived',
  'collab.conflict.detected': 'MAPConflictDetected',
  'collab.conflict.resolved': 'MAPConflictResolved',
  'collab.completed': 'MAPSessionCompleted',
  'collab.cancelled': 'MAPSessionCompleted',
};

export const mapSources = Object.keys(mapTypes);

function payloadOf({ type, data }: AnyEvent): Record<string, unknown> {
  const turn = data['turn'] as TurnRow | undefined;
  const broadcast = data['broadcast'] as BroadcastRow | undefined;
  const conflict = data['conflict'] as ConflictRow | undefined;
  if (turn !== undefined)
    return {
      role_id: turn.roleId,
      turn_number: turn.number,
      token_id: turn.tokenId,
      ...(turn.status === 'dispatched'
        ? {}
        : { result: turn.error === null ? (turn.result ?? {}) : { error: turn.error } }),
    };
  if (broadcast !== undefined)
    return {
      broadcast_id: broadcast.id,
      ...(type === 'collab.broadcast.received' ? { receiver: data['receiverId'] } : {}),
      // Nobody answered: that too is an answer, so that each broadcast has one.
      ...(type === 'collab.broadcast.expired'
        ? { status: 'timeout', received: Object.keys(broadcast.receipts).length }
        : {}),
    };
  if (conflict !== undefined)
    return { conflict_id: conflict.id, type: conflict.type, severity: conflict.severity, status: conflict.status };
  const collab = data['collaboration'] as CollabRow;
  return {
    mode: collab.mode,
    status: collab.status,
    participants: collab.participantCount,
    ...(data['assignments'] === undefined ? {} : { assignments: data['assignments'] }),
  };
}

/** The frozen event of the multi-agent profile; null for what has none. */
export function mapEventOf(event: AnyEvent): ProtocolDocument | null {
  const type = mapTypes[event.type];
  if (type === undefined) return null;
  const roles = event.data['targetRoles'] as readonly (string | null)[] | undefined;
  const initiator = event.data['initiatorRole'];
  const key = 'eventId' in event ? event.eventId : `${event.streamId}/${event.createdAt}`;
  return {
    event_id: derivedId(`${key}/${type}`),
    event_type: type,
    timestamp: event.createdAt,
    session_id: event.streamId,
    ...(typeof initiator === 'string' ? { initiator_role: initiator } : {}),
    ...(roles === undefined ? {} : { target_roles: roles.filter((role) => role !== null) }),
    payload: payloadOf(event),
  };
}

const stages: Readonly<Record<string, readonly [type: string, status: string]>> = {
  'collab.activated': ['session_started', 'running'],
  'collab.completed': ['session_completed', 'completed'],
  'collab.cancelled': ['session_cancelled', 'failed'],
};

/** The frozen observability events of a collaboration's own events: those of the multi-agent profile, and its stages. */
export function observeCollab(event: EventRow): readonly ProtocolDocument[] {
  const map = mapEventOf(event);
  const stage = stages[event.type];
  const collab = event.data['collaboration'] as CollabRow;
  return [
    ...(map === null ? [] : [map]),
    ...(stage === undefined
      ? []
      : [
          {
            event_id: derivedId(`${event.eventId}/${stage[0]}`),
            event_type: stage[0],
            event_family: 'pipeline_stage',
            timestamp: event.createdAt,
            project_id: collab.contextId,
            payload: { mode: collab.mode },
            pipeline_id: collab.planId ?? collab.id,
            stage_id: collab.id,
            stage_name: 'collab',
            stage_status: stage[1],
          },
        ]),
  ];
}
