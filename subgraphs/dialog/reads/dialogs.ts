import { z } from 'zod';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { inPlaces, placesOf } from '#shared/rights.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { instant } from '../inputs.ts';
import { observing } from '../rights.ts';
import type { DialogConnectionRow, DialogRow } from '../rows.ts';
import { dialogJoin, dialogRowColumns } from '../store/dialogs.ts';
import { type Conditions, createConditions, likePattern } from './conditions.ts';

const label = text({ min: 1, max: 500 });
const range = z.object({ from: instant.nullish(), to: instant.nullish() });

const dialogFilter = z.object({
  contextId: id.nullish(),
  status: z.array(z.string()).max(4).nullish(),
  type: z.array(z.string()).max(20).nullish(),
  category: label.nullish(),
  tagsAny: z.array(label).max(50).nullish(),
  createdBy: label.nullish(),
  participant: label.nullish(),
  archived: z.boolean().nullish(),
  createdAt: range.nullish(),
  namePattern: label.nullish(),
  planId: id.nullish(),
});

type DialogFilterInput = z.output<typeof dialogFilter>;

const list = 'dialogs';

/** Dialogs that the principal may see, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listDialogs(
  sql: Sql,
  principal: Principal,
  input: PageInput & { readonly filter?: unknown },
): Promise<DialogConnectionRow> {
  const filter = parseInput(dialogFilter, input.filter ?? {}, ['filter']);
  const page = readPage(list, 2, input);
  const select = () => {
    const where = createConditions();
    where.add(`d.tenant_id = ${where.param(principal.tenantId)}`);
    addFilter(where, filter);
    addVisible(where, principal);
    return where;
  };
  const where = select();
  const backward = page.direction === 'backward';
  addAfter(where, page.from, backward);
  const rows = (await sql.unsafe(
    `SELECT ${dialogRowColumns} FROM ${dialogJoin} WHERE ${where.text()}
     ORDER BY d.created_at ${backward ? 'ASC' : 'DESC'}, d.id ${backward ? 'DESC' : 'ASC'} LIMIT ${where.param(page.limit + 1)}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as DialogRow[];
  return {
    ...createConnection<DialogRow>(list, page, rows, (row) => [row.createdAt, row.id]),
    async count() {
      const counting = select();
      const [row] = await sql.unsafe(
        `SELECT count(*)::int AS n FROM dialog.dialog d WHERE ${counting.text()}`,
        counting.parameters as never[],
        { prepare: true },
      );
      return (row as unknown as { n: number }).n;
    },
  };
}

export interface ContextDialogsKey {
  readonly contextId: string;
  readonly status: readonly string[] | null;
  readonly first: number | null;
  readonly after: string | null;
}

export type ContextDialogCountKey = Pick<ContextDialogsKey, 'contextId' | 'status'>;

/** Counts for several contexts in one statement. */
export async function countDialogsOfContexts(
  sql: Sql,
  principal: Principal,
  keys: readonly ContextDialogCountKey[],
): Promise<readonly number[]> {
  const where = createConditions();
  const records = keys.map((key, ord) => ({ ord, context_id: key.contextId, statuses: toStatuses(key.status) }));
  const parameter = where.param(JSON.stringify(records));
  where.add(
    `d.tenant_id = ${where.param(principal.tenantId)} AND d.context_id = k.context_id AND (k.statuses IS NULL OR d.status = ANY(k.statuses))`,
  );
  addVisible(where, principal);
  const rows = (await sql.unsafe(
    `SELECT k.ord, (SELECT count(*)::int FROM dialog.dialog d WHERE ${where.text()}) AS n
     FROM json_to_recordset(${parameter}::text::json) AS k(ord int, context_id uuid, statuses text[]) ORDER BY k.ord`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as { n: number }[];
  return rows.map((row) => row.n);
}

function toStatuses(status: readonly string[] | null): string[] | null {
  return status?.map((value) => value.toLowerCase()) ?? null;
}

/** Pages of several contexts' dialogs in one statement. */
export async function listDialogsOfContexts(
  sql: Sql,
  principal: Principal,
  keys: readonly ContextDialogsKey[],
  count: (key: ContextDialogCountKey) => Promise<number>,
): Promise<readonly (DialogConnectionRow | Error)[]> {
  const pages = keys.map((key) => {
    try {
      const page = readPage(list, 2, key);
      if (page.from !== null) requireCursor(page.from);
      return page;
    } catch (error) {
      if (error instanceof PlatformError) return error;
      throw error;
    }
  });
  const wanted = keys.flatMap((key, ord) => {
    const page = pages[ord]!;
    if (page instanceof Error) return [];
    return [
      {
        ord,
        context_id: key.contextId,
        statuses: toStatuses(key.status),
        after_at: page.from?.[0] ?? null,
        after_id: page.from?.[1] ?? null,
        lim: page.limit + 1,
      },
    ];
  });
  const where = createConditions();
  const parameter = where.param(JSON.stringify(wanted));
  where.add(
    `d.tenant_id = ${where.param(principal.tenantId)} AND d.context_id = k.context_id AND (k.statuses IS NULL OR d.status = ANY(k.statuses))`,
  );
  where.add('k.after_id IS NULL OR d.created_at < k.after_at OR (d.created_at = k.after_at AND d.id > k.after_id)');
  addVisible(where, principal);
  const rows = (await sql.unsafe(
    `SELECT k.ord, page.* FROM json_to_recordset(${parameter}::text::json) AS k(ord int, context_id uuid, statuses text[], after_at timestamptz, after_id uuid, lim int)
     CROSS JOIN LATERAL (SELECT ${dialogRowColumns} FROM ${dialogJoin} WHERE ${where.text()} ORDER BY d.created_at DESC, d.id LIMIT k.lim) page
     ORDER BY k.ord, page."createdAt" DESC, page.id`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as (DialogRow & { ord: number })[];
  const byKey = Map.groupBy(rows, (row) => row.ord);
  return keys.map((key, ord) => {
    const page = pages[ord]!;
    if (page instanceof Error) return page;
    const found = (byKey.get(ord) ?? []).map(({ ord: _ord, ...row }) => row);
    return {
      ...createConnection<DialogRow>(list, page, found, (row) => [row.createdAt, row.id]),
      count: () => count({ contextId: key.contextId, status: key.status }),
    };
  });
}

/** As `seesDialog` decides. */
function addVisible(where: Conditions, principal: Principal): void {
  const observed = inPlaces(placesOf(principal, observing), 'd.context_id', (ids) => `${where.param(ids)}::uuid[]`);
  if (observed === true) return;
  const me = where.param(principal.subject);
  where.add(
    `${observed} OR d.configuration->>'visibility' = 'TENANT' OR d.created_by = ${me} OR EXISTS (SELECT FROM dialog.participant p WHERE p.tenant_id = d.tenant_id AND p.dialog_id = d.id AND p.identity = ${me} AND p.status <> 'REMOVED')`,
  );
}

function addFilter(where: Conditions, filter: DialogFilterInput): void {
  if (filter.contextId != null) where.add(`d.context_id = ${where.param(filter.contextId)}::uuid`);
  if (filter.status != null)
    where.add(`d.status = ANY(${where.param(filter.status.map((status) => status.toLowerCase()))}::text[])`);
  if (filter.type != null) where.add(`d.type = ANY(${where.param(filter.type)}::text[])`);
  if (filter.category != null) where.add(`d.category = ${where.param(filter.category)}`);
  if (filter.tagsAny != null) where.add(`d.tags && ${where.param(filter.tagsAny)}::text[]`);
  if (filter.createdBy != null) where.add(`d.created_by = ${where.param(filter.createdBy)}`);
  if (filter.participant != null) {
    where.add(
      `EXISTS (SELECT FROM dialog.participant q WHERE q.tenant_id = d.tenant_id AND q.dialog_id = d.id AND q.subject = ${where.param(filter.participant)} AND q.status = 'ACTIVE')`,
    );
  }
  if (filter.archived != null) where.add(`(d.archived_at IS NOT NULL) = ${where.param(filter.archived)}::boolean`);
  if (filter.createdAt?.from)
    where.add(`d.created_at >= ${where.param(filter.createdAt.from.toISOString())}::text::timestamptz`);
  if (filter.createdAt?.to)
    where.add(`d.created_at < ${where.param(filter.createdAt.to.toISOString())}::text::timestamptz`);
  if (filter.namePattern != null) where.add(`d.name ILIKE ${where.param(likePattern(filter.namePattern))}`);
  if (filter.planId != null) where.add(`d.workflow->>'planId' = ${where.param(filter.planId)}`);
}

function addAfter(where: Conditions, from: readonly unknown[] | null, backward: boolean): void {
  if (from === null) return;
  const [at, afterId] = requireCursor(from);
  const time = `${where.param(at)}::text::timestamptz`;
  const other = `${where.param(afterId)}::uuid`;
  where.add(
    `d.created_at ${backward ? '>' : '<'} ${time} OR (d.created_at = ${time} AND d.id ${backward ? '<' : '>'} ${other})`,
  );
}

function requireCursor(from: readonly unknown[]): [string, string] {
  const [at, afterId] = from;
  if (typeof at === 'string' && !Number.isNaN(Date.parse(at)) && isId(afterId)) return [at, afterId];
  throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
}
