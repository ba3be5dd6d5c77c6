import { type ChildList, readChildPage } from '#shared/childPages.ts';
import { type Connection, createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from './access.ts';
import * as inputs from './inputs.ts';
import { type PartName, type PartRows, partColumns, parts } from './parts.ts';
import type { CollabRow, ParticipantRow } from './rows.ts';
import { collabColumns } from './store.ts';

export const readFilter = (raw: unknown): inputs.FilterInput => parseInput(inputs.filter, raw ?? {}, ['filter']);
export const readStatus = (raw: unknown): readonly string[] | null =>
  parseInput(inputs.childStatus, { status: raw ?? null }, []).status ?? null;

export interface CollabPage extends Connection<CollabRow> {
  count(): Promise<number>;
}

const name = 'collaborations';
const sort = [
  { column: 'c.created_at', type: 'timestamptz', keyOf: (row: CollabRow) => row.createdAt },
  { column: 'c.id', type: 'uuid', keyOf: (row: CollabRow) => row.id },
] as const;

/** Conditions of a filter with who sees what; values go to the parameters. */
function conditionsOf(principal: Principal, filter: inputs.FilterInput, parameters: unknown[]): string[] {
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const where = [`c.tenant_id = ${param(principal.tenantId)}`];
  const viewer = viewerOf(principal);
  if (viewer !== null) where.push(visibleCondition('c', param(viewer)));
  for (const [column, value] of [
    ['context_id', filter.contextId],
    ['plan_id', filter.planId],
    ['dialog_id', filter.dialogId],
    ['network_id', filter.networkId],
  ] as const)
    if (value != null) where.push(`c.${column} = ${param(value)}::uuid`);
  if (filter.createdBy != null) where.push(`c.created_by = ${param(filter.createdBy)}`);
  for (const [column, values] of [
    ['status', filter.status],
    ['mode', filter.mode],
    ['type', filter.type],
  ] as const)
    if (values != null) where.push(`c.${column} = ANY(${param(values)}::text[])`);
  if (filter.createdAt?.from)
    where.push(`c.created_at >= ${param(filter.createdAt.from.toISOString())}::text::timestamptz`);
  if (filter.createdAt?.to) where.push(`c.created_at < ${param(filter.createdAt.to.toISOString())}::text::timestamptz`);
  if (filter.agentId != null)
    where.push(
      `EXISTS (SELECT 1 FROM collab.participant p WHERE p.tenant_id = c.tenant_id AND p.collab_id = c.id AND p.status = 'active' AND p.agent_id = ${param(filter.agentId)})`,
    );
  return where;
}

/** Collaborations of the tenant that the caller may see, newest first. @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
export async function listCollabs(
  sql: Sql,
  scope: RequestScope,
  filter: inputs.FilterInput,
  input: PageInput,
): Promise<CollabPage> {
  const page = readChildPage({ list: name, sort }, input);
  const parameters: unknown[] = [];
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const where = conditionsOf(scope.principal, filter, parameters);
  const forward = page.direction === 'forward';
  if (page.from)
    where.push(
      `(c.created_at, c.id) ${forward ? '<' : '>'} (${param(page.from[0])}::text::timestamptz, ${param(page.from[1])}::text::uuid)`,
    );
  scope.readTags.add(
    filter.contextId != null
      ? `Context:${filter.contextId}:collaborations`
      : filter.planId != null
        ? `Plan:${filter.planId}:collaborations`
        : 'collaborations',
  );
  const noted = noteListAccess(sql, scope);
  const direction = forward ? 'DESC' : 'ASC';
  const rows = (await sql.unsafe(
    `SELECT ${collabColumns} FROM collab.collaboration c WHERE ${where.join(' AND ')} ORDER BY c.created_at ${direction}, c.id ${direction} LIMIT ${param(page.limit + 1)}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as CollabRow[];
  await noted;
  return {
    ...createConnection<CollabRow>(name, page, rows, (row) => [row.createdAt, row.id]),
    async count() {
      const values: unknown[] = [];
      const conditions = conditionsOf(scope.principal, filter, values);
      const [row] = (await sql.unsafe(
        `SELECT count(*)::int AS n FROM collab.collaboration c WHERE ${conditions.join(' AND ')}`,
        values as never[],
        { prepare: true },
      )) as unknown as { n: number }[];
      return row!.n;
    },
  };
}

/** Collaborations below a context, plan or dialog. */
export function collabsBelow(
  column: 'context_id' | 'plan_id' | 'dialog_id' | 'network_id',
  principal: Principal,
  status: readonly string[] | null,
): ChildList<CollabRow> {
  return {
    list: `collaborations.${column}`,
    columns: collabColumns,
    from: () => 'collab.collaboration c',
    parent: { type: 'uuid', condition: `c.${column} = k.parent` },
    sort,
    descending: true,
    conditions: (parameters) => conditionsOf(principal, { status: status as string[] | null }, parameters),
  };
}

/** Collaborations in which somebody has a role. */
export function collabsOfRole(principal: Principal, status: readonly string[] | null): ChildList<CollabRow> {
  return {
    ...collabsBelow('context_id', principal, status),
    list: 'collaborations.role',
    parent: {
      type: 'text',
      condition: `EXISTS (SELECT 1 FROM collab.participant p WHERE p.tenant_id = c.tenant_id AND p.collab_id = c.id AND p.role_id = k.parent AND p.status = 'active')`,
    },
  };
}

export function participantsBelow(tenantId: string, status: readonly string[] | null): ChildList<ParticipantRow> {
  return {
    list: 'collabParticipants',
    columns: partColumns('participant'),
    from: () => 'collab.participant x',
    parent: { type: 'uuid', condition: 'x.collab_id = k.parent' },
    sort: [
      { column: 'x.position', type: 'bigint', keyOf: (row) => row.position },
      { column: 'x.participant_id', type: 'text', keyOf: (row) => row.participantId },
    ],
    conditions: (parameters) => statusConditions(tenantId, status, parameters),
  };
}

function statusConditions(tenantId: string, status: readonly string[] | null, parameters: unknown[]): string[] {
  const conditions = [`x.tenant_id = $${parameters.push(tenantId)}`];
  if (status !== null) conditions.push(`x.status = ANY($${parameters.push(status)}::text[])`);
  return conditions;
}

type Ordered = {
  readonly id: string;
  readonly createdAt?: string;
  readonly position?: number;
  readonly number?: number;
};

/** Rows of a part below their collaboration: tasks and turns in their order, all else the newest first. */
export function partBelow<Name extends Exclude<PartName, 'participant' | 'ballot'>>(
  part: Name,
  tenantId: string,
  status: readonly string[] | null,
): ChildList<PartRows[Name]> {
  const order =
    part === 'task'
      ? ({ column: 'x.position', type: 'bigint', keyOf: (row: Ordered) => row.position! } as const)
      : part === 'turn'
        ? ({ column: 'x.number', type: 'bigint', keyOf: (row: Ordered) => row.number! } as const)
        : ({ column: 'x.created_at', type: 'timestamptz', keyOf: (row: Ordered) => row.createdAt! } as const);
  return {
    list: `collab.${part}`,
    columns: partColumns(part),
    from: () => `collab.${parts[part].table} x`,
    parent: { type: 'uuid', condition: 'x.collab_id = k.parent' },
    sort: [order, { column: 'x.id', type: 'uuid', keyOf: (row: Ordered) => row.id }] as unknown as ChildList<
      PartRows[Name]
    >['sort'],
    descending: part !== 'task',
    conditions: (parameters) => statusConditions(tenantId, status, parameters),
  };
}
