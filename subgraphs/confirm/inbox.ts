import { z } from 'zod';
import { type ChildList, readChildPage } from '#shared/childPages.ts';
import { createConnection, type PageInput } from '#shared/connection.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { visibleTo } from './access.ts';
import { inboxTag } from './events.ts';
import { addFilter, createWhere, filterShape, type Where } from './lists.ts';
import type { ApprovalItemConnectionRow, ApprovalItemRow, ConfirmApproverRow, ConfirmRow } from './rows.ts';
import { approverColumns, confirmColumns, confirmRecord } from './store.ts';

const inboxFilter = filterShape
  .pick({ contextId: true, planId: true, targetType: true, confirmationType: true, priority: true })
  .extend({ dueBefore: z.date().nullish(), overdue: z.boolean().nullish() });

/** A decision waits as long as its confirm does; a condition that the outcome does not wait for may outlast it. */
const stands = `(c.status = 'pending' OR a.condition_id IS NOT NULL)`;

const inboxList = 'approvals';
type InboxRecord = Readonly<Record<string, unknown>>;
const inboxSort = [
  { column: 'a.due_at', type: 'timestamptz', keyOf: (row: InboxRecord) => String(row['a_dueAt']) },
  { column: 'a.confirm_id', type: 'uuid', keyOf: (row: InboxRecord) => String(row['a_confirmId']) },
  { column: 'a.step_id', type: 'text', keyOf: (row: InboxRecord) => String(row['a_stepId']) },
] as const;

const prefixedConfirm = confirmColumns.replaceAll(' AS "', ' AS "c_');
const approverText = `${approverColumns.replaceAll(' AS "', ' AS "a_')}, a.due_at <= clock_timestamp() AS "isOverdue"`;
/** Fields of a confirm that are its columns as they stand: an inbox that shows no others reads no others. */
const plainNames: ReadonlySet<string> = new Set([
  '__typename',
  'id',
  'title',
  'description',
  'status',
  'phase',
  'priority',
  'urgency',
  'confirmationType',
  'targetType',
  'targetId',
  'requestedBy',
  'requestedByRole',
  'requestedAt',
  'reason',
  'version',
  'createdAt',
]);

export type InboxFilterInput = z.output<typeof inboxFilter>;

export const readInboxFilter = (raw: unknown): InboxFilterInput => parseInput(inboxFilter, raw ?? {}, ['filter']);

function addInboxFilter(where: Where, filter: InboxFilterInput): void {
  addFilter(where, {
    ...filter,
    targetId: null,
    status: null,
    phase: null,
    requestedBy: null,
    approver: null,
    openConditionOf: null,
  });
  if (filter.dueBefore) where.add(`a.due_at < ${where.param(filter.dueBefore.toISOString())}::text::timestamptz`);
  if (filter.overdue != null) where.add(`(a.due_at <= clock_timestamp()) = ${where.param(filter.overdue)}::boolean`);
}

/**
 * What waits for a subject over all confirms, the most urgent first. An item is there until it is decided, delegated,
 * escalated, settled or its confirm ends, and never after: reading it again after a crash shows exactly what is left.
 */
export async function listInbox(
  sql: Sql,
  scope: RequestScope,
  subject: string,
  { filter: raw, first, after }: { readonly filter?: unknown } & PageInput,
  asked?: ReadonlySet<string>,
): Promise<ApprovalItemConnectionRow> {
  const only = asked !== undefined && [...asked].every((name) => plainNames.has(name)) ? asked : null;
  const confirmText =
    only === null
      ? prefixedConfirm
      : confirmRecord
          .select('c', new Set<keyof ConfirmRow & string>(['id', ...(only as Set<never>)]))
          .replaceAll(' AS "', ' AS "c_');
  const filter = readInboxFilter(raw);
  const page = readChildPage({ list: inboxList, sort: inboxSort }, { first, after });
  const where = createWhere(scope.principal.tenantId);
  where.add(`a.tenant_id = c.tenant_id AND a.subject = ${where.param(subject)} AND a.state = 'waiting' AND ${stands}`);
  addInboxFilter(where, filter);
  if (page.from) {
    const [at, confirmId, stepId] = page.from;
    where.add(
      `(a.due_at, a.confirm_id, a.step_id) > (${where.param(at)}::text::timestamptz, ${where.param(confirmId)}::text::uuid, ${where.param(stepId)})`,
    );
  }
  scope.readTags.add(inboxTag(subject)).add(subjectBoundTag);
  const rows = (await sql.unsafe(
    `SELECT ${confirmText}, ${approverText}
     FROM confirm.approver a JOIN confirm.confirm c ON c.tenant_id = a.tenant_id AND c.id = a.confirm_id
     WHERE ${where.text()} ORDER BY a.due_at, a.confirm_id, a.step_id LIMIT ${where.param(page.limit + 1)}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as Record<string, unknown>[];
  const items = rows.map((row) => toItem(row, only === null));
  return {
    ...createConnection<ApprovalItemRow>(inboxList, page, items, ({ approver }) => [
      approver.dueAt,
      approver.confirmId,
      approver.stepId,
    ]),
    subject,
  };
}

/** Another's part leads to its confirm who may see that; one's own always does. */
function addVisibleParts(where: Where, principal: Principal): void {
  const visible = visibleTo(principal, 'c', where.param);
  if (visible !== null) where.add(`(a.subject = ${where.param(principal.subject)} OR ${visible})`);
}

/** What waits for subjects, with whole confirms, as far as the principal may see them. */
export function inboxBelow(principal: Principal, filter: InboxFilterInput): ChildList<InboxRecord> {
  return {
    list: inboxList,
    columns: `${prefixedConfirm}, ${approverText}`,
    from: () => 'confirm.approver a JOIN confirm.confirm c ON c.tenant_id = a.tenant_id AND c.id = a.confirm_id',
    parent: { type: 'text', condition: 'a.subject = k.parent' },
    sort: inboxSort,
    conditions(parameters) {
      const where = createWhere(principal.tenantId, parameters);
      where.add(`a.tenant_id = c.tenant_id AND a.state = 'waiting' AND ${stands}`);
      addVisibleParts(where, principal);
      addInboxFilter(where, filter);
      return [where.text()];
    },
  };
}

export function toItem(row: InboxRecord, isWhole: boolean): ApprovalItemRow {
  return {
    confirm: pick(row, 'c_') as unknown as ConfirmRow,
    isWhole,
    approver: pick(row, 'a_') as unknown as ConfirmApproverRow,
    isOverdue: row['isOverdue'] === true,
  };
}

function pick(row: InboxRecord, prefix: string): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const key in row) if (key.startsWith(prefix)) picked[key.slice(prefix.length)] = row[key];
  return picked;
}

/** How much waits for each of the subjects, as far as the principal may see it. */
export async function countWaiting(sql: Sql, principal: Principal, subjects: readonly string[]): Promise<number[]> {
  const parameters: unknown[] = [principal.tenantId, subjects];
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const areOwn = subjects.every((subject) => subject === principal.subject);
  const visible = areOwn ? null : visibleTo(principal, 'c', param);
  const [joined, condition] =
    visible === null
      ? ['', '']
      : [
          ' JOIN confirm.confirm c ON c.tenant_id = a.tenant_id AND c.id = a.confirm_id',
          ` AND (a.subject = ${param(principal.subject)} OR ${visible})`,
        ];
  const rows = (await sql.unsafe(
    `SELECT a.subject, count(*)::int AS n FROM confirm.approver a${joined}
     WHERE a.tenant_id = $1 AND a.subject = ANY($2::text[]) AND a.state = 'waiting'${condition} GROUP BY a.subject`,
    parameters as never[],
    { prepare: true },
  )) as unknown as { subject: string; n: number }[];
  const bySubject = new Map(rows.map(({ subject, n }) => [subject, n]));
  return subjects.map((subject) => bySubject.get(subject) ?? 0);
}
