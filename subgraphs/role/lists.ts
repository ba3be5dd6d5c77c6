import type { ChildList } from '#shared/childPages.ts';
import { type CursorValue, createConnection, type Page, type PageInput, readPage } from '#shared/connection.ts';
import { isId } from '#shared/ids.ts';
import type { Sql } from '#shared/sql.ts';
import { textProblem } from '#shared/validation.ts';
import type {
  PermissionAuditEntryRow,
  PermissionRequestRow,
  RoleAssignmentRow,
  RoleDelegationRow,
  RoleRow,
} from './rows.ts';
import { assignmentColumns, delegationColumns, permissionRequestColumns, roleColumns } from './store.ts';

export interface RoleFilterInput {
  readonly status?: readonly string[] | null | undefined;
  readonly roleType?: readonly string[] | null | undefined;
  readonly text?: string | null | undefined;
  readonly contextId?: string | null | undefined;
  readonly parentId?: string | null | undefined;
  readonly reviewDueBy?: Date | null | undefined;
}

export interface AssignmentFilterInput {
  readonly status?: readonly string[] | null | undefined;
  readonly roleId?: string | null | undefined;
  readonly subjectId?: string | null | undefined;
  readonly contextId?: string | null | undefined;
}

export interface DelegationFilterInput {
  readonly status?: readonly string[] | null | undefined;
  readonly side?: 'GIVEN' | 'RECEIVED' | null | undefined;
  readonly contextId?: string | null | undefined;
}

export interface PermissionRequestFilterInput {
  readonly status?: readonly string[] | null | undefined;
  readonly subjectId?: string | null | undefined;
  readonly grantingRoleId?: string | null | undefined;
  readonly contextId?: string | null | undefined;
  readonly action?: readonly string[] | null | undefined;
  readonly resourceType?: string | null | undefined;
  readonly resourceId?: string | null | undefined;
}

export interface AuditFilterInput {
  readonly subjectId?: string | null | undefined;
  readonly decision?: readonly string[] | null | undefined;
  readonly action?: readonly string[] | null | undefined;
  readonly contextId?: string | null | undefined;
  readonly grantingRoleId?: string | null | undefined;
  readonly resourceType?: string | null | undefined;
  readonly resourceId?: string | null | undefined;
  readonly from?: Date | null | undefined;
  readonly to?: Date | null | undefined;
}

class Conditions {
  readonly values: unknown[];
  readonly parts: string[] = [];

  constructor(values: unknown[] = []) {
    this.values = values;
  }

  bind(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  add(make: (place: string) => string, value: unknown): void {
    this.parts.push(make(this.bind(value)));
  }
}

const lowered = (values: readonly string[]) => values.map((value) => value.toLowerCase());
/** Text PostgreSQL cannot hold names nothing. */
const storable = (value: string) => (textProblem(value) === null ? value : '');
const idOrNone = (value: string) => (isId(value) ? value : '00000000-0000-0000-0000-000000000000');

interface Keyset {
  readonly list: string;
  readonly columns: string;
  readonly table: string;
  readonly alias: string;
  readonly descending: boolean;
}

const assignmentList = 'assignments';

function addAssignmentFilter(
  conditions: Conditions,
  tenantId: string,
  filter: AssignmentFilterInput | null | undefined,
): void {
  conditions.add((at) => `a.tenant_id = ${at}`, tenantId);
  const { status, roleId, subjectId, contextId } = filter ?? {};
  if (status != null) conditions.add((at) => `a.status = ANY(${at}::text[])`, lowered(status));
  if (roleId != null) conditions.add((at) => `a.role_id = ${at}::uuid`, idOrNone(roleId));
  if (subjectId != null) conditions.add((at) => `a.subject_id = ${at}::text`, storable(subjectId));
  if (contextId != null)
    conditions.add((at) => `(a.context_id IS NULL OR a.context_id = ${at}::uuid)`, idOrNone(contextId));
}

/** Assignments of a role, of a subject, or of one context alone, oldest first. */
export function assignmentsBelow(
  parent: 'role_id' | 'subject_id' | 'context_id',
  tenantId: string,
  filter: AssignmentFilterInput | null,
): ChildList<RoleAssignmentRow> {
  return {
    list: assignmentList,
    columns: assignmentColumns,
    from: () => 'role.assignment a',
    parent: { type: parent === 'subject_id' ? 'text' : 'uuid', condition: `a.${parent} = k.parent` },
    sort: [
      { column: 'a.created_at', type: 'timestamptz', keyOf: ({ createdAt }) => createdAt },
      { column: 'a.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    conditions(parameters) {
      const conditions = new Conditions(parameters);
      addAssignmentFilter(conditions, tenantId, filter);
      return conditions.parts;
    },
  };
}

const sides = {
  GIVEN: 'd.delegator_id = k.parent',
  RECEIVED: 'd.delegate_id = k.parent',
  both: '(d.delegate_id = k.parent OR d.delegator_id = k.parent)',
};

/** Delegations by and to a subject, the newest first. */
export function delegationsOf(tenantId: string, filter: DelegationFilterInput | null): ChildList<RoleDelegationRow> {
  return {
    list: 'delegations',
    columns: delegationColumns,
    from: () => 'role.delegation d',
    parent: { type: 'text', condition: sides[filter?.side ?? 'both'] },
    descending: true,
    sort: [
      { column: 'd.created_at', type: 'timestamptz', keyOf: ({ createdAt }) => createdAt },
      { column: 'd.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    conditions(parameters) {
      const conditions = new Conditions(parameters);
      const { status, contextId } = filter ?? {};
      conditions.add((at) => `d.tenant_id = ${at}`, tenantId);
      if (status != null) conditions.add((at) => `d.status = ANY(${at}::text[])`, lowered(status));
      if (contextId != null)
        conditions.add((at) => `(d.context_id IS NULL OR d.context_id = ${at}::uuid)`, idOrNone(contextId));
      return conditions.parts;
    },
  };
}

/** Keyset lists by time of creation and id. */
export function createRoleLists(sql: Sql) {
  const run = async <Row>(text: string, values: readonly unknown[]) =>
    (await sql.unsafe(text, values as never[], { prepare: true })) as unknown as Row[];

  async function list<Row extends { readonly id: string; readonly createdAt: string }>(
    keyset: Keyset,
    conditions: Conditions,
    page: Page,
  ) {
    const { alias, table, columns } = keyset;
    const where = conditions.parts.join(' AND ');
    const counted = [...conditions.values];
    const descending = keyset.descending === (page.direction === 'forward');
    let from = '';
    if (page.from) {
      const [at, id] = page.from;
      const time = conditions.bind(String(at));
      from = ` AND (${alias}.created_at, ${alias}.id) ${descending ? '<' : '>'} (${time}::timestamptz, ${conditions.bind(idOrNone(String(id)))}::uuid)`;
    }
    const order = descending ? 'DESC' : 'ASC';
    const limit = conditions.bind(page.limit + 1);
    const rows = await run<Row>(
      `SELECT ${columns} FROM role.${table} ${alias} WHERE ${where}${from} ORDER BY ${alias}.created_at ${order}, ${alias}.id ${order} LIMIT ${limit}::int`,
      conditions.values,
    );
    const connection = createConnection(keyset.list, page, rows, (row): readonly CursorValue[] => [
      row.createdAt,
      row.id,
    ]);
    const count = async () => {
      const [found] = await run<{ n: number }>(
        `SELECT count(*) AS n FROM role.${table} ${alias} WHERE ${where}`,
        counted,
      );
      return found!.n;
    };
    return { ...connection, count };
  }

  function readKeyset(name: string, page: PageInput): Page {
    const read = readPage(name, 2, page);
    // A cursor of ours bears a time.
    if (read.from !== null && Number.isNaN(Date.parse(String(read.from[0]))))
      return { ...read, from: ['1970-01-01T00:00:00.000Z', ''] };
    return read;
  }

  return {
    roles(tenantId: string, filter: RoleFilterInput | null | undefined, page: PageInput) {
      const conditions = new Conditions();
      conditions.add((at) => `r.tenant_id = ${at}`, tenantId);
      conditions.parts.push('r.deleted_at IS NULL');
      const { status, roleType, text, contextId, parentId, reviewDueBy } = filter ?? {};
      if (status != null) conditions.add((at) => `r.status = ANY(${at}::text[])`, lowered(status));
      if (roleType != null) conditions.add((at) => `r.role_type = ANY(${at}::text[])`, lowered(roleType));
      if (text != null)
        conditions.add(
          (at) => `strpos(lower(concat_ws(' ', r.name, r.display_name, r.description)), lower(${at}::text)) > 0`,
          storable(text),
        );
      if (contextId != null)
        conditions.add(
          (at) => `(NOT r.scope ? 'contextIds' OR r.scope->'contextIds' ? ${at}::text)`,
          storable(contextId),
        );
      if (reviewDueBy != null)
        conditions.add(
          (at) => `r.next_review_at <= ${at}::timestamptz AND r.status <> 'archived'`,
          reviewDueBy.toISOString(),
        );
      if (parentId != null)
        conditions.add(
          (at) =>
            `EXISTS (SELECT 1 FROM role.inheritance i WHERE i.tenant_id = r.tenant_id AND i.role_id = r.id AND i.parent_id = ${at}::uuid)`,
          idOrNone(parentId),
        );
      const keyset = { list: 'roles', columns: roleColumns, table: 'role', alias: 'r', descending: true };
      return list<RoleRow>(keyset, conditions, readKeyset('roles', page));
    },

    assignments(tenantId: string, filter: AssignmentFilterInput | null | undefined, page: PageInput) {
      const conditions = new Conditions();
      addAssignmentFilter(conditions, tenantId, filter);
      const keyset = {
        list: assignmentList,
        columns: assignmentColumns,
        table: 'assignment',
        alias: 'a',
        descending: false,
      };
      return list<RoleAssignmentRow>(keyset, conditions, readKeyset(assignmentList, page));
    },

    permissionRequests(tenantId: string, filter: PermissionRequestFilterInput | null | undefined, page: PageInput) {
      const conditions = new Conditions();
      conditions.add((at) => `q.tenant_id = ${at}`, tenantId);
      const { status, subjectId, grantingRoleId, contextId, action, resourceType, resourceId } = filter ?? {};
      if (status != null) conditions.add((at) => `q.status = ANY(${at}::text[])`, lowered(status));
      if (subjectId != null) conditions.add((at) => `q.subject_id = ${at}::text`, storable(subjectId));
      if (grantingRoleId != null) conditions.add((at) => `q.granting_role_id = ${at}::uuid`, idOrNone(grantingRoleId));
      if (contextId != null) conditions.add((at) => `q.context_id = ${at}::uuid`, idOrNone(contextId));
      if (action != null) conditions.add((at) => `q.action = ANY(${at}::text[])`, action.map(storable));
      if (resourceType != null) conditions.add((at) => `q.resource_type = ${at}::text`, storable(resourceType));
      if (resourceId != null) conditions.add((at) => `q.resource_id = ${at}::text`, storable(resourceId));
      const keyset = {
        list: 'permissionRequests',
        columns: permissionRequestColumns,
        table: 'permission_request',
        alias: 'q',
        descending: true,
      };
      return list<PermissionRequestRow>(keyset, conditions, readKeyset('permissionRequests', page));
    },

    auditLog(tenantId: string, filter: AuditFilterInput | null | undefined, page: PageInput) {
      const conditions = new Conditions();
      conditions.add((at) => `d.tenant_id = ${at}`, tenantId);
      const { subjectId, decision, action, resourceType, resourceId, contextId, grantingRoleId, from, to } =
        filter ?? {};
      if (subjectId != null) conditions.add((at) => `d.subject_id = ${at}::text`, storable(subjectId));
      if (decision != null) conditions.add((at) => `d.decision = ANY(${at}::text[])`, decision);
      if (action != null) conditions.add((at) => `d.action = ANY(${at}::text[])`, action.map(storable));
      if (contextId != null) conditions.add((at) => `d.context_id = ${at}::text`, storable(contextId));
      if (grantingRoleId != null) conditions.add((at) => `d.granting_role_id = ${at}::text`, storable(grantingRoleId));
      if (resourceType != null) conditions.add((at) => `d.resource_type = ${at}::text`, storable(resourceType));
      if (resourceId != null) conditions.add((at) => `d.resource_id = ${at}::text`, storable(resourceId));
      if (from != null) conditions.add((at) => `d.created_at >= ${at}::timestamptz`, from.toISOString());
      if (to != null) conditions.add((at) => `d.created_at < ${at}::timestamptz`, to.toISOString());
      const columns = `d.tenant_id AS "tenantId", d.id, d.subject_id AS "subjectId", d.asked_by AS "askedBy", d.source, d.action, d.resource_type AS "resourceType", d.resource_id AS "resourceId", d.context_id AS "contextId", d.decision, d.reason, d.granting_role_id AS "grantingRoleId", d.permission_id AS "permissionId", d.evaluation_us AS "evaluationUs", to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "createdAt"`;
      const keyset = { list: 'permissionAudit', columns, table: 'decision', alias: 'd', descending: true };
      return list<PermissionAuditEntryRow>(keyset, conditions, readKeyset('permissionAudit', page));
    },
  };
}
