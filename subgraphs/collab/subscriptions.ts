import { findPlace, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import type { EphemeralEvent, EventGate, EventRow, StreamSubscription } from '#shared/events.ts';
import { requireVisible } from './access.ts';
import { unknownCollab } from './commands.ts';
import type { CouncilRow } from './councilRows.ts';
import type { DecisionRow } from './decisionRows.ts';
import { mapEventOf, mapSources } from './observability.ts';
import {
  broadcastPayload,
  conflictPayload,
  councilPayload,
  decisionPayload,
  participantPayload,
  performancePayload,
  recommendationPayload,
  resourcePayload,
  taskPayload,
  turnPayload,
} from './payload.ts';
import type { CollabRow } from './rows.ts';
import type { Tally } from './voting/index.ts';

type AnyEvent = EventRow | EphemeralEvent;

function place(event: AnyEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return {
    cursor: encodeCursor(event.streamId, sequence),
    sequence,
    type: event.type,
    timestamp: event.createdAt,
    actor: event.actor,
    collabId: event.streamId,
  };
}

/** Lets in who may see the collaboration, until its context is closed to them. */
const admit: StreamSubscription['admit'] = async (principal, args, { sql }): Promise<EventGate> => {
  const id = args['collabId'];
  const { tenantId } = principal;
  const found = await findPlace(sql, { schema: 'collab', table: 'collaboration' }, { tenantId, id });
  if (found === undefined) throw unknownCollab(String(id));
  await requireVisible(sql, principal, String(id));
  const { decisionId, councilId } = args;
  const sees = followSight(principal, found);
  return {
    decide(event) {
      if (!sees(event)) return 'end';
      const decision = event.data['decision'] as DecisionRow | undefined;
      const council = event.data['council'] as CouncilRow | undefined;
      const isOther =
        (typeof decisionId === 'string' && decision !== undefined && decision.id !== decisionId) ||
        (typeof councilId === 'string' && council !== undefined && council.id !== councilId);
      return isOther ? 'skip' : 'deliver';
    },
  };
};

/** One of the rows that an event may carry, in the graph's shape. */
function shown<Row>(event: AnyEvent, name: string, payload: (row: Row) => unknown): unknown {
  const row = event.data[name] as Row | undefined;
  return row == null ? null : payload(row);
}

function list<Row>(event: AnyEvent, name: string, payload: (row: Row) => unknown): unknown[] {
  return ((event.data[name] as readonly Row[] | undefined) ?? []).map(payload);
}

/** The frozen event in the graph's shape. */
function mapShape(document: Readonly<Record<string, unknown>>) {
  const payload = (document['payload'] ?? {}) as Readonly<Record<string, unknown>>;
  const given = (name: string) => payload[name] ?? null;
  return {
    eventId: document['event_id'],
    // MAPTurnCompleted is MAP_TURN_COMPLETED.
    eventType: String(document['event_type'])
      .replace(/(?<=[a-z]|^MAP)(?=[A-Z])/g, '_')
      .toUpperCase(),
    initiatorRole: document['initiator_role'] ?? null,
    targetRoles: document['target_roles'] ?? [],
    payload: {
      ...{ mode: upperOf(payload['mode']), status: upperOf(payload['status']), participants: given('participants') },
      assignments: ((payload['assignments'] ?? []) as readonly Readonly<Record<string, unknown>>[]).map((one) => ({
        ...{ participantId: one['participantId'], roleId: one['roleId'] ?? null },
      })),
      ...{ roleId: given('role_id'), turnNumber: given('turn_number'), tokenId: given('token_id') },
      ...{ result: given('result'), broadcastId: given('broadcast_id'), receiverId: given('receiver') },
      ...{ received: given('received'), conflictId: given('conflict_id'), severity: upperOf(payload['severity']) },
      conflictType: payload['conflict_id'] === undefined ? null : upperOf(payload['type']),
    },
  };
}

const upperOf = (value: unknown): string | null => (typeof value === 'string' ? value.toUpperCase() : null);

const common = {
  module: 'collab',
  kind: 'stream',
  streamId: (args) => String(args['collabId']),
  admit,
} as const satisfies Partial<StreamSubscription>;

/** Fields of `Subscription` that the collab module feeds. */
export const collabSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  coordinationUpdate: {
    ...common,
    types: ['collab.*'],
    payload: (event) => ({
      ...place(event),
      reason: event.data['reason'] ?? null,
      status: shown<CollabRow>(event, 'collaboration', ({ status }) => status.toUpperCase()),
      participantCount: shown<CollabRow>(event, 'collaboration', (row) => row.participantCount),
      version: shown<CollabRow>(event, 'collaboration', (row) => row.version),
      participant: shown(event, 'participant', participantPayload),
      turn: shown(event, 'turn', turnPayload),
      broadcast: shown(event, 'broadcast', broadcastPayload),
      task: shown(event, 'task', taskPayload),
      tasks: list(event, 'tasks', taskPayload),
      decision: shown(event, 'decision', decisionPayload),
      conflict: shown(event, 'conflict', conflictPayload),
      councilId: shown<CouncilRow>(event, 'council', ({ id }) => id),
      resource: shown(event, 'resource', resourcePayload),
      recommendations: [
        ...list(event, 'recommendations', recommendationPayload),
        ...(event.data['recommendation'] === undefined ? [] : [shown(event, 'recommendation', recommendationPayload)]),
      ],
    }),
  },

  collabPerformance: {
    ...common,
    types: [
      'collab.turn.completed',
      'collab.task.completed',
      'collab.task.failed',
      'collab.decision.decided',
      'collab.conflict.*',
      'collab.broadcast.received',
      'collab.recommendation.*',
    ],
    payload: (event) => ({
      ...place(event),
      metrics: performancePayload(event.data['collaboration'] as CollabRow),
    }),
  },

  decisionTallyChanged: {
    ...common,
    types: ['collab.decision.*', 'collab.ballot.cast'],
    payload(event) {
      const decision = event.data['decision'] as DecisionRow;
      const standings = event.data['standings'] as Tally['standings'] | null | undefined;
      return {
        ...place(event),
        decision: decisionPayload(decision),
        voterId: event.data['voterId'] ?? null,
        heard: event.data['heard'] ?? decision.result?.heard ?? null,
        turnout: event.data['turnout'] ?? decision.result?.turnout ?? null,
        standings:
          (standings ?? decision.result?.standings)?.map(({ option, ...standing }) => ({
            optionId: option,
            ...standing,
          })) ?? null,
      };
    },
  },

  councilChanged: {
    ...common,
    types: ['collab.council.*'],
    payload: (event) => ({ ...place(event), council: councilPayload(event.data['council'] as CouncilRow) }),
  },

  mapEvents: {
    ...common,
    types: mapSources,
    payload: (event) => {
      const document = mapEventOf(event);
      return { ...place(event), ...mapShape(document ?? {}), document };
    },
  },
};
