import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { participates } from '#shared/contextAudience.ts';
import { conditionallyListed, isReader, readerFacts, readerKeys } from '#shared/contextReaders.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { holdsIn, inPlaces, placesOf } from '#shared/rights.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { listedReaders } from './accessList.ts';
import { isGranted } from './accessRights.ts';
import type { ContextRow } from './rows.ts';

export function isPrivate(row: ContextRow): boolean {
  return row.accessControl.visibility === 'PRIVATE';
}

/** True for who sees a context whoever takes part in it. */
export function isOwnerOrAdmin(row: Pick<ContextRow, 'ownerId' | 'id'>, principal: Principal): boolean {
  return row.ownerId === principal.subject || holdsIn(principal, 'context:admin', row.id);
}

/** True for whom the context's own list shows it, whoever takes part in it. */
export function isListed(row: ContextRow, principal: Principal): boolean {
  return isReader(listedReaders(row), principal);
}

export interface ListedChange {
  /** @default write */
  readonly action?: 'write' | 'delete' | undefined;
  /** Whether the principal takes part, and so is not bound to the list. */
  readonly isMember: boolean;
  /** Whether it changes who takes part, which the list may let do apart. */
  readonly isOfParticipants?: boolean;
}

/**
 * Who sees a private context by its list alone changes in it what the list lets it change.
 * @throws {PERMISSION_DENIED}
 */
export function requireListedTo(
  row: ContextRow,
  principal: Principal,
  { action = 'write', isMember, isOfParticipants = false }: ListedChange,
): void {
  if (!isPrivate(row) || isMember || isOwnerOrAdmin(row, principal)) return;
  if (isGranted(row, principal, 'context', [action, 'admin'])) return;
  if (isOfParticipants && isGranted(row, principal, 'participant', ['write', 'admin'])) return;
  throw new PlatformError(
    'PERMISSION_DENIED',
    `the access list shows the private context, but does not let ${action} it`,
    {
      details: { permission: 'context:write' },
    },
  );
}

/** Holds context:admin in every context, with none in which a role takes it away. */
export function seesEverything(principal: Principal): boolean {
  const { everywhere, except } = placesOf(principal, ['context:admin']);
  return everywhere && except.length === 0;
}

/**
 * Condition on a context row: the principal holds context:admin there.
 * @param bind answers the placeholder of a uuid[]
 */
export function administeredCondition(
  context: string,
  principal: Principal,
  bind: (ids: readonly string[]) => string,
): string {
  return String(inPlaces(placesOf(principal, ['context:admin']), `${context}.id`, bind));
}

/** By what lists name a principal, behind what conditions may ask of it; JSON is never such a key. */
export const viewerKeys = (principal: Principal): readonly string[] => [
  readerFacts(principal),
  ...readerKeys(principal),
];

/** Condition on a context row: its list shows it to the viewer under a condition that holds. */
export const conditionallySeen = (context: string, keys: string) =>
  `(${context}.conditional_readers IS NOT NULL AND ${conditionallyListed(`${context}.conditional_readers`, keys, `(${keys})[1]`)})`;

/**
 * Condition on a context row: public, the subject's own, one whose list names the viewer, or one the subject takes part in.
 * @param viewer placeholders of the subject and, a text[], of its `viewerKeys`
 */
export function visibleCondition(context: string, { subject, keys }: ViewerPlaceholders): string {
  return `(NOT ${context}.is_private OR ${context}.owner_id = ${subject} OR ${context}.readers && ${keys} OR ${conditionallySeen(context, keys)} OR ${takesPart(context, subject)})`;
}

export interface ViewerPlaceholders {
  readonly subject: string;
  readonly keys: string;
}

/** Condition: the subject takes part in the context. */
export function takesPart(context: string, subject: string): string {
  return `EXISTS (SELECT 1 FROM context.participant m WHERE m.tenant_id = ${context}.tenant_id AND m.context_id = ${context}.id AND m.agent_id = ${subject} AND ${participates('m.status')})`;
}

const memberText = `SELECT DISTINCT context_id AS id FROM context.participant WHERE tenant_id = $1 AND agent_id = $2 AND context_id = ANY($3::uuid[]) AND ${participates('status')}`;

/** Those of the contexts in which the subject takes part. */
export async function findMemberships(
  sql: Sql | SqlTransaction,
  principal: Principal,
  contextIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = (await sql.unsafe(memberText, [principal.tenantId, principal.subject, contextIds as string[]], {
    prepare: true,
  })) as unknown as { id: string }[];
  return new Set(rows.map((row) => row.id));
}

/**
 * Keeps the rows that the principal may see; private ones are hidden from all but owner, participants, whom the context's
 * list names, and holders of context:admin. Costs a read only where a private row of somebody else is among them.
 */
export async function keepVisible(
  sql: Sql | SqlTransaction,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rows: readonly ContextRow[],
): Promise<readonly ContextRow[]> {
  if (!rows.some(isPrivate)) return rows;
  scope.readTags.add(subjectBoundTag);
  const { principal } = scope;
  const isShown = (row: ContextRow) => !isPrivate(row) || isOwnerOrAdmin(row, principal) || isListed(row, principal);
  const asked = rows.filter((row) => !isShown(row)).map((row) => row.id);
  if (asked.length === 0) return rows;
  const member = await findMemberships(sql, principal, asked);
  return rows.filter((row) => isShown(row) || member.has(row.id));
}
