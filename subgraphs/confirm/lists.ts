import { z } from 'zod';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { inboxTag } from './events.ts';
import type {
  ApprovalItemConnectionRow,
  ApprovalItemRow,
  ConfirmApproverRow,
  ConfirmConnectionRow,
  ConfirmRow,
} from './rows.ts';
import { approverColumns, confirmColumns, confirmRecord } from './store.ts';

const words = z
  .array(text({ min: 1, max: 100 }).transform((value) => value.toLowerCase()))
  .max(50)
  .nullish();
const range = z.object({ from: z.date().nullish(), to: z.date().nullish() }).nullish();

const filterShape = z.object({
  contextId: id.nullish(),
  planId: id.nullish(),
  targetType: words,
  targetId: id.nullish(),
  status: words,
  phase: words,
  confirmationType: words,
  priority: words,
  requestedBy: text({ min: 1, max: 255 }).nullish(),
  approver: text({ min: 1, max: 255 }).nullish(),
  createdAt: range,
});

export type ConfirmFilterInput = z.output<typeof filterShape>;

export const readFilter = (raw: unknown): ConfirmFilterInput => parseInput(filterShape, raw ?? {}, ['filter']);

/** Collects conditions and their parameters. */
export function createWhere(tenantId: string) {
  const parameters: unknown[] = [tenantId];
  const conditions = ['c.tenant_id = $1'];
  const param = (value: unknown) => `$${parameters.push(value)}`;
  return {
    parameters,
    param,
    add: (condition: string) => void conditions.push(condition),
    text: () => conditions.join(' AND '),
  };
}

export type Where = ReturnType<typeof createWhere>;

export function addFilter(where: Where, filter: ConfirmFilterInput): void {
  const equal = (column: string, value: unknown) => {
    if (value != null) where.add(`c.${column} = ${where.param(value)}`);
  };
  const among = (column: string, values: readonly string[] | null | undefined) => {
    if (values != null) where.add(`c.${column} = ANY(${where.param(values)}::text[])`);
  };
  equal('context_id', filter.contextId);
  equal('plan_id', filter.planId);
  equal('target_id', filter.targetId);
  equal('requested_by', filter.requestedBy);
  among('target_type', filter.targetType);
  among('status', filter.status);
  among('phase', filter.phase);
  among('confirmation_type', filter.confirmationType);
  among('priority', filter.priority);
  if (filter.createdAt?.from)
    where.add(`c.created_at >= ${where.param(filter.createdAt.from.toISOString())}::text::timestamptz`);
  if (filter.createdAt?.to)
    where.add(`c.created_at < ${where.param(filter.createdAt.to.toISOString())}::text::timestamptz`);
  if (filter.approver != null)
    where.add(
      `EXISTS (SELECT 1 FROM confirm.approver a WHERE a.tenant_id = c.tenant_id AND a.confirm_id = c.id AND a.subject = ${where.param(filter.approver)})`,
    );
}

const list = 'confirms';

/** Confirms of the tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listConfirms(
  sql: Sql,
  scope: RequestScope,
  filter: ConfirmFilterInput,
  input: PageInput,
): Promise<ConfirmConnectionRow> {
  const page = readPage(list, 2, input);
  const where = createWhere(scope.principal.tenantId);
  addFilter(where, filter);
  const forward = page.direction === 'forward';
  if (page.from) {
    const [at, from] = page.from;
    where.add(
      `(c.created_at, c.id) ${forward ? '<' : '>'} (${where.param(at)}::text::timestamptz, ${where.param(from)}::text::uuid)`,
    );
  }
  scope.readTags.add(
    filter.contextId != null
      ? `Context:${filter.contextId}:confirms`
      : filter.planId != null
        ? `Plan:${filter.planId}:confirms`
        : 'confirms',
  );
  const direction = forward ? 'DESC' : 'ASC';
  const rows = (await sql.unsafe(
    `SELECT ${confirmColumns} FROM confirm.confirm c WHERE ${where.text()} ORDER BY c.created_at ${direction}, c.id ${direction} LIMIT ${where.param(page.limit + 1)}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as ConfirmRow[];
  return { ...createConnection<ConfirmRow>(list, page, rows, (row) => [row.createdAt, row.id]), filter };
}

export async function countConfirms(sql: Sql, scope: RequestScope, filter: ConfirmFilterInput): Promise<number> {
  const where = createWhere(scope.principal.tenantId);
  addFilter(where, filter);
  const [row] = (await sql.unsafe(
    `SELECT count(*)::int AS n FROM confirm.confirm c WHERE ${where.text()}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as { n: number }[];
  return row!.n;
}

const inboxFilter = filterShape
  .pick({ contextId: true, planId: true, targetType: true, confirmationType: true, priority: true })
  .extend({ dueBefore: z.date().nullish(), overdue: z.boolean().nullish() });

const inboxList = 'approvals';

const prefixedConfirm = confirmColumns.replaceAll(' AS "', ' AS "c_');
const approverText = approverColumns.replaceAll(' AS "', ' AS "a_');
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

/**
 * What waits for a subject over all confirms, the most urgent first. An item is there until it is decided, delegated,
 * escalated or its confirm ends, and never after: reading it again after a crash shows exactly what is left.
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
  const filter = parseInput(inboxFilter, raw ?? {}, ['filter']);
  const page = readPage(inboxList, 3, { first, after });
  const where = createWhere(scope.principal.tenantId);
  where.add(`a.subject = ${where.param(subject)} AND a.state = 'waiting' AND c.status = 'pending'`);
  addFilter(where, { ...filter, targetId: null, status: null, phase: null, requestedBy: null, approver: null });
  if (filter.dueBefore) where.add(`a.due_at < ${where.param(filter.dueBefore.toISOString())}::text::timestamptz`);
  if (filter.overdue != null) where.add(`(a.due_at <= now()) = ${where.param(filter.overdue)}::boolean`);
  if (page.from) {
    const [at, confirmId, stepId] = page.from;
    if (typeof stepId !== 'string')
      throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
    where.add(
      `(a.due_at, a.confirm_id, a.step_id) > (${where.param(at)}::text::timestamptz, ${where.param(confirmId)}::text::uuid, ${where.param(stepId)})`,
    );
  }
  scope.readTags.add(inboxTag(subject)).add(subjectBoundTag);
  const rows = (await sql.unsafe(
    `SELECT ${confirmText}, ${approverText}
     FROM confirm.approver a JOIN confirm.confirm c ON c.tenant_id = a.tenant_id AND c.id = a.confirm_id
     WHERE ${where.text()} AND a.tenant_id = $1 ORDER BY a.due_at, a.confirm_id, a.step_id LIMIT ${where.param(page.limit + 1)}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as Record<string, unknown>[];
  const items = rows.map(
    (row): ApprovalItemRow => ({
      confirm: pick(row, 'c_') as unknown as ConfirmRow,
      isWhole: only === null,
      approver: pick(row, 'a_') as unknown as ConfirmApproverRow,
    }),
  );
  return {
    ...createConnection<ApprovalItemRow>(inboxList, page, items, ({ approver }) => [
      approver.dueAt,
      approver.confirmId,
      approver.stepId,
    ]),
    subject,
  };
}

function pick(row: Record<string, unknown>, prefix: string): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const key in row) if (key.startsWith(prefix)) picked[key.slice(prefix.length)] = row[key];
  return picked;
}

export async function countInbox(sql: Sql, tenantId: string, subject: string): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    SELECT count(*)::int AS n FROM confirm.approver WHERE tenant_id = ${tenantId} AND subject = ${subject} AND state = 'waiting'`;
  return row!.n;
}
