import type { ExportEntity } from '#shared/exports/exportEntity.ts';
import { inPlaces, placesOf } from '#shared/rights.ts';
import { isForText } from './reads/messageFilter.ts';
import { visibleText } from './reads/search.ts';
import { observing } from './rights.ts';

/** The caller's parts in the dialog of a message, as p. */
const ownPartText = (subject: string) =>
  `dialog.participant p WHERE p.tenant_id = d.tenant_id AND p.dialog_id = d.id AND p.identity = ${subject}`;

export const dialogExports: readonly ExportEntity[] = [
  {
    name: 'messages',
    requires: 'dialog:read',
    from: 'dialog.message m JOIN dialog.dialog d ON d.tenant_id = m.tenant_id AND d.id = m.dialog_id',
    alias: 'm',
    keys: [
      ['dialog_id', 'uuid'],
      ['sequence', 'bigint'],
    ],
    columns: [
      ...['id', 'thread_id', 'sender_id', 'sender_subject', 'sender_type', 'role', 'type', 'text', 'structured_data'],
      ...['mentions', 'hashtags', 'language', 'reply_to', 'topic', 'priority', 'requires_response'],
      ...['response_deadline', 'recipients', 'recipient_count', 'attachments', 'reactions', 'client_message_id'],
      ...['protocol', 'revision', 'created_at', 'edited_at', 'deleted_at', 'deleted_by'],
    ],
    time: 'm.created_at',
    context: 'd.context_id',
    columnText: (principal, { text, uuids }) => {
      const observed = inPlaces(placesOf(principal, observing), 'd.context_id', uuids);
      if (observed === true) return {};
      return {
        attachments: `CASE WHEN m.attachments = '[]'::jsonb OR ${String(observed)} THEN m.attachments ELSE coalesce((
          SELECT jsonb_agg(a ORDER BY place) FROM jsonb_array_elements(m.attachments) WITH ORDINALITY AS e(a, place)
          WHERE EXISTS (SELECT FROM ${ownPartText(text(principal.subject))} AND (m.sender_id = p.id OR ${isForText('p.permissions || lower(p.permissions::text)::text[]')}))
        ), '[]'::jsonb) END`,
      };
    },
    // What its part in a dialog shows it, as lists and searches have it; all where it observes.
    visible: (principal, { text, uuids }) => {
      const observed = inPlaces(placesOf(principal, observing), 'd.context_id', uuids);
      if (observed === true) return [];
      return [
        `(${String(observed)} OR EXISTS (SELECT 1 FROM (
            SELECT p.id, p.spans, (d.configuration->>'showHistory')::boolean AS show_history FROM ${ownPartText(text(principal.subject))}
              AND p.status <> 'REMOVED' AND 'READ' = ANY(p.permissions)) own
          WHERE ${visibleText}))`,
      ];
    },
  },
];
