import type { GraphQLResolveInfo } from 'graphql';
import { selectedFields } from '#shared/selectedFields.ts';
import type { MessageRow } from '../rows.ts';
import { messageColumns, messageRecord } from '../store/messages.ts';

type Column = keyof MessageRow & string;

/** What a field of Message is answered from; a field that is not listed needs the whole row. */
const columnsOf: Readonly<Record<string, readonly Column[]>> = {
  __typename: [],
  id: [],
  messageId: [],
  dialogId: [],
  dialog: [],
  analysis: [],
  sequence: [],
  threadId: ['threadId'],
  senderId: ['senderId'],
  sender: ['senderId'],
  senderSubject: ['senderSubject'],
  senderType: ['senderType'],
  role: ['role'],
  type: ['type'],
  replyToMessageId: ['replyTo'],
  replyTo: ['replyTo'],
  topic: ['topic'],
  priority: ['priority'],
  requiresResponse: ['requiresResponse'],
  responseDeadline: ['responseDeadline'],
  recipients: ['recipients'],
  attachments: ['attachments', 'senderId'],
  reactions: ['reactions'],
  clientMessageId: ['clientMessageId'],
  sentAt: ['createdAt'],
  editedAt: ['editedAt'],
  deletedAt: [],
  deletedBy: ['deletedBy'],
  revision: ['revision'],
};

const contentColumnsOf: Readonly<Record<string, readonly Column[]>> = {
  __typename: [],
  text: ['text'],
  structuredData: ['structuredData'],
  mentions: ['mentions'],
  hashtags: ['hashtags'],
  language: ['language'],
};

/** Identity, order and tombstone are read always. */
const always: readonly Column[] = ['tenantId', 'id', 'dialogId', 'sequence', 'deletedAt'];

const lists = new Map<string, string>();
/** Each list is a statement of its own, kept by the server on every connection: clients must not make any number of them. */
const maxLists = 200;

/**
 * Select list on alias m of what a selection of messages shows, where they stand at any of the paths below the
 * resolver's field. Half of a whole row is rarely asked for: times to format and JSON to parse, at both ends.
 */
export function selectMessageColumns(
  info: Pick<GraphQLResolveInfo, 'fieldNodes' | 'fragments'>,
  ...paths: readonly string[]
): string {
  const columns = new Set(always);
  for (const name of selectedFields(info, ...paths)) {
    if (name === 'content') continue;
    const needed = columnsOf[name];
    if (!needed) return messageColumns;
    for (const column of needed) columns.add(column);
  }
  for (const name of selectedFields(info, ...paths.map((path) => (path === '' ? 'content' : `${path}.content`)))) {
    const needed = contentColumnsOf[name];
    if (!needed) return messageColumns;
    for (const column of needed) columns.add(column);
  }
  const key = [...columns].sort().join();
  const known = lists.get(key);
  if (known !== undefined) return known;
  if (lists.size >= maxLists) return messageColumns;
  const list = messageRecord.select('m', columns);
  lists.set(key, list);
  return list;
}
