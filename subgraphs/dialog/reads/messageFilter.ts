import { z } from 'zod';
import { id, text } from '#shared/validation.ts';
import { instant } from '../inputs.ts';
import { type MessageView, namesOf } from '../visibility.ts';
import type { Conditions } from './conditions.ts';

const range = z.object({ from: instant.nullish(), to: instant.nullish() });
const label = text({ min: 1, max: 500 });

export const messageFilter = z.object({
  threadId: id.nullish(),
  senderId: id.nullish(),
  senderSubject: label.nullish(),
  type: z.array(z.string()).max(20).nullish(),
  priority: z.array(z.string()).max(4).nullish(),
  sentAt: range.nullish(),
  hasActionItems: z.boolean().nullish(),
  hasAttachments: z.boolean().nullish(),
  mentions: id.nullish(),
  replyTo: id.nullish(),
  topic: label.nullish(),
  fromSequence: z.number().int().min(0).nullish(),
  toSequence: z.number().int().min(0).nullish(),
  includeDeleted: z.boolean().nullish(),
});

export type MessageFilterInput = z.output<typeof messageFilter>;

export const searchQuery = text({ min: 1, max: 1_000 });

/** The query as a scalar subquery: worked out once, where a plain call in a prepared statement is for each row. */
export function tsqueryOf(where: Conditions, query: string): string {
  return `(SELECT websearch_to_tsquery('simple', ${where.param(query)}))`;
}

/** On alias a: that an attachment is for who holds these permissions, a text array of their names. */
export function isForText(names: string): string {
  return `a->'accessPermissions' <@ to_jsonb(${names})`;
}

/** What a view lets through, on alias m; the outer bounds are for the index. */
export function addView(where: Conditions, view: MessageView): void {
  const first = view.spans[0]?.[0] ?? 1;
  const last = view.spans.at(-1)?.[1] ?? null;
  if (first > 1) where.add(`m.sequence >= ${where.param(first)}::bigint`);
  if (last !== null) where.add(`m.sequence <= ${where.param(last)}::bigint`);
  if (view.spans.length > 1) where.add(`${where.param(toMultirange(view))}::int8multirange @> m.sequence`);
  if (view.participantId !== null) {
    const me = `${where.param(view.participantId)}::uuid`;
    where.add(`m.recipients IS NULL OR m.sender_id = ${me} OR ${me} = ANY(m.recipients)`);
  }
}

export function toMultirange(view: MessageView): string {
  return `{${view.spans.map(([first, last]) => `[${first},${last === null ? '' : last}${last === null ? ')' : ']'}`).join(',')}}`;
}

/** Attachments that the view does not show are not there. */
function addHasAttachments(where: Conditions, view: MessageView, wanted: boolean): void {
  const shown =
    view.permissions === null
      ? `m.attachments <> '[]'::jsonb`
      : `EXISTS (SELECT FROM jsonb_array_elements(m.attachments) a WHERE m.sender_id = ${where.param(view.participantId)}::uuid
          OR ${isForText(`${where.param(namesOf(view.permissions))}::text[]`)})`;
  where.add(`(${shown}) = ${where.param(wanted)}::boolean`);
}

export function addMessageFilter(where: Conditions, filter: MessageFilterInput, view: MessageView): void {
  if (filter.threadId != null) where.add(`m.thread_id = ${where.param(filter.threadId)}::uuid`);
  if (filter.senderId != null) where.add(`m.sender_id = ${where.param(filter.senderId)}::uuid`);
  if (filter.senderSubject != null) where.add(`m.sender_subject = ${where.param(filter.senderSubject)}`);
  if (filter.type != null) where.add(`m.type = ANY(${where.param(filter.type)}::text[])`);
  if (filter.priority != null) where.add(`m.priority = ANY(${where.param(filter.priority)}::text[])`);
  if (filter.sentAt?.from)
    where.add(`m.created_at >= ${where.param(filter.sentAt.from.toISOString())}::text::timestamptz`);
  if (filter.sentAt?.to) where.add(`m.created_at < ${where.param(filter.sentAt.to.toISOString())}::text::timestamptz`);
  if (filter.hasAttachments != null) addHasAttachments(where, view, filter.hasAttachments);
  if (filter.mentions != null) where.add(`${where.param(filter.mentions)}::uuid = ANY(m.mentions)`);
  if (filter.replyTo != null) where.add(`m.reply_to = ${where.param(filter.replyTo)}::uuid`);
  if (filter.topic != null) where.add(`m.topic = ${where.param(filter.topic)}`);
  if (filter.fromSequence != null) where.add(`m.sequence >= ${where.param(filter.fromSequence)}::bigint`);
  if (filter.toSequence != null) where.add(`m.sequence <= ${where.param(filter.toSequence)}::bigint`);
  if (filter.includeDeleted === false) where.add('m.deleted_at IS NULL');
  if (filter.hasActionItems != null) {
    const found = `(m.type = 'ACTION_ITEM' OR EXISTS (SELECT FROM dialog.message_analysis a WHERE a.tenant_id = m.tenant_id AND a.message_id = m.id AND a.action_items > 0))`;
    where.add(filter.hasActionItems ? found : `NOT ${found}`);
  }
}
