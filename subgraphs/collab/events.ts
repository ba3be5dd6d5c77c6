import type { NewEvent } from '#shared/outbox.ts';
import type { Draft } from './draft.ts';
import type { CollabRow } from './rows.ts';

/** Tags of a collaboration and of the lists it stands in. */
export function collabTags({ id, contextId, planId, dialogId, networkId }: CollabRow): readonly string[] {
  return [
    `Collaboration:${id}`,
    'collaborations',
    `Context:${contextId}:collaborations`,
    ...(planId === null ? [] : [`Plan:${planId}:collaborations`]),
    ...(dialogId === null ? [] : [`Dialog:${dialogId}:collaborations`]),
    ...(networkId === null ? [] : [`Network:${networkId}:collaborations`]),
  ];
}

export function collabEvent(type: string, row: CollabRow, more: Readonly<Record<string, unknown>> = {}): NewEvent {
  const { protocol: _protocol, ...collaboration } = row;
  return { streamId: row.id, type, data: { collaboration, ...more }, tags: collabTags(row) };
}

/** What a command has to tell, in the collaboration's own stream. */
export function eventsOf({ collab, told, approvals, touched }: Draft): readonly NewEvent[] {
  const events = told.map(({ type, more }) => collabEvent(type, collab, more));
  // Where a role comes or goes its list of collaborations is another.
  const roles = touched.get('participant')!.size > 0 ? ['collab-roles'] : [];
  return [
    ...events.map((event, at) => (at === 0 ? { ...event, tags: [...event.tags, ...roles] } : event)),
    ...approvals.map((approval) => ({
      streamId: collab.id,
      type: 'approval.requested',
      data: { collaboration: { id: collab.id, contextId: collab.contextId }, approval },
      tags: [],
    })),
  ];
}
