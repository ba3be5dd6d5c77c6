import { isId } from '#shared/ids.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { PermissionRequestRow, RoleAssignmentRow, RoleDelegationRow, RoleRow, SubjectRow } from './rows.ts';

type Database = Sql | SqlTransaction;

const time = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

export const roleColumns = `
  r.tenant_id AS "tenantId", r.id, r.name, r.scope_key AS "scopeKey", r.display_name AS "displayName", r.description,
  r.role_type AS "roleType", r.status, r.scope, r.security_level AS "securityLevel", r.permissions, r.capabilities,
  r.inheritance_rules AS "inheritanceRules", r.capability_profiles AS "capabilityProfiles", r.attributes, r.separation_of_duties AS "separationOfDuties",
  r.assignment_rules AS "assignmentRules", r.delegation_rules AS "delegationRules", r.constraints, r.max_holders AS "maxHolders", r.auto_assign AS "autoAssign",
  ${time('r.effective_at')} AS "effectiveAt", ${time('r.expires_at')} AS "expiresAt",
  ${time('r.begun_at')} AS "begunAt", r.review_every_days AS "reviewEveryDays", ${time('r.next_review_at')} AS "nextReviewAt",
  ${time('r.review_told_at')} AS "reviewToldAt", ${time('r.reviewed_at')} AS "reviewedAt", r.reviewed_by AS "reviewedBy", r.governance, r.protocol, r.version,
  r.revision, ${time('r.deleted_at')} AS "deletedAt", ${time('r.created_at')} AS "createdAt",
  r.created_by AS "createdBy", ${time('r.updated_at')} AS "updatedAt", r.updated_by AS "updatedBy",
  COALESCE((
    SELECT json_agg(json_strip_nulls(json_build_object(
      'roleId', i.parent_id, 'type', i.type,
      'excludedPermissions', CASE WHEN cardinality(i.excluded_permissions) > 0 THEN i.excluded_permissions END,
      'conditions', i.conditions)) ORDER BY i.ordinal)
    FROM role.inheritance i WHERE i.tenant_id = r.tenant_id AND i.role_id = r.id), '[]'::json) AS parents`;

export const assignmentColumns = `
  a.tenant_id AS "tenantId", a.id, a.role_id AS "roleId", a.subject_id AS "subjectId", a.context_id AS "contextId",
  a.type, a.status, a.assigned_by AS "assignedBy", a.reason, a.status_reason AS "statusReason",
  ${time('a.valid_from')} AS "validFrom", ${time('a.expires_at')} AS "expiresAt", a.constraints, a.active_in AS "activeIn", a.approval, a.version,
  a.revision, ${time('a.created_at')} AS "createdAt", ${time('a.updated_at')} AS "updatedAt",
  a.updated_by AS "updatedBy"`;

export const delegationColumns = `
  d.tenant_id AS "tenantId", d.id, d.delegator_id AS "delegatorId", d.delegate_id AS "delegateId", d.permissions,
  d.context_id AS "contextId", d.status, d.reason, d.status_reason AS "statusReason", d.approval, d.max_depth AS "maxDepth", ${time('d.starts_at')} AS "startsAt",
  ${time('d.ends_at')} AS "endsAt", d.version, d.revision, ${time('d.created_at')} AS "createdAt",
  ${time('d.updated_at')} AS "updatedAt", d.updated_by AS "updatedBy"`;

export const permissionRequestColumns = `
  q.tenant_id AS "tenantId", q.id, q.subject_id AS "subjectId", q.permission_id AS "permissionId", q.granting_role_id AS "grantingRoleId",
  q.action, q.resource_type AS "resourceType", q.resource_id AS "resourceId", q.context_id AS "contextId", q.plan_id AS "planId",
  q.status, q.reason, q.status_reason AS "statusReason", q.threshold, q.approver_roles AS "approverRoles", q.approval,
  ${time('q.ends_at')} AS "endsAt", q.version, q.revision, ${time('q.created_at')} AS "createdAt",
  ${time('q.updated_at')} AS "updatedAt", q.updated_by AS "updatedBy"`;

export const subjectColumns = `
  s.tenant_id AS "tenantId", s.id, s.type, s.display_name AS "displayName", s.attributes, s.capabilities, s.version,
  s.revision`;

async function select<Row>(sql: Database, text: string, values: readonly unknown[]): Promise<readonly Row[]> {
  return (await sql.unsafe(text, values as never[], { prepare: true })) as unknown as Row[];
}

/** What is no id names none. */
export function findRoles(sql: Database, tenantId: string, ids: readonly string[]): Promise<readonly RoleRow[]> {
  return select(
    sql,
    `SELECT ${roleColumns} FROM role.role r WHERE r.tenant_id = $1 AND r.id = ANY($2::uuid[]) AND r.deleted_at IS NULL`,
    [tenantId, ids.filter(isId)],
  );
}

/** Roles for which something is to happen by the clock: over, begun and not told, or to be reviewed and not told. */
export function findDueRoles(sql: Sql, limit: number): Promise<readonly { tenantId: string; id: string }[]> {
  return select(
    sql,
    `SELECT DISTINCT tenant_id AS "tenantId", id FROM (
       SELECT tenant_id, id FROM role.role WHERE expires_at <= now() AND status IN ('active', 'suspended', 'deprecated') AND deleted_at IS NULL
       UNION ALL SELECT tenant_id, id FROM role.role WHERE effective_at <= now() AND begun_at IS NULL AND deleted_at IS NULL
       UNION ALL SELECT tenant_id, id FROM role.role WHERE next_review_at <= now() AND review_told_at IS NULL AND status <> 'archived' AND deleted_at IS NULL
     ) due LIMIT $1::int`,
    [limit],
  );
}

export function findAssignments(
  sql: Database,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly RoleAssignmentRow[]> {
  return select(
    sql,
    `SELECT ${assignmentColumns} FROM role.assignment a WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[])`,
    [tenantId, ids.filter(isId)],
  );
}

export function findDelegations(
  sql: Database,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly RoleDelegationRow[]> {
  return select(
    sql,
    `SELECT ${delegationColumns} FROM role.delegation d WHERE d.tenant_id = $1 AND d.id = ANY($2::uuid[])`,
    [tenantId, ids.filter(isId)],
  );
}

export function findPermissionRequests(
  sql: Database,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly PermissionRequestRow[]> {
  return select(
    sql,
    `SELECT ${permissionRequestColumns} FROM role.permission_request q WHERE q.tenant_id = $1 AND q.id = ANY($2::uuid[])`,
    [tenantId, ids.filter(isId)],
  );
}

/** Those of a subject that wait or hold. */
export function findOpenRequests(
  sql: Database,
  tenantId: string,
  subjectId: string,
): Promise<readonly PermissionRequestRow[]> {
  return select(
    sql,
    `SELECT ${permissionRequestColumns} FROM role.permission_request q
     WHERE q.tenant_id = $1 AND q.subject_id = $2 AND q.status IN ('pending', 'approved') AND q.ends_at > now() ORDER BY q.created_at, q.id`,
    [tenantId, subjectId],
  );
}

export function findSubjects(sql: Database, tenantId: string, ids: readonly string[]): Promise<readonly SubjectRow[]> {
  return select(sql, `SELECT ${subjectColumns} FROM role.subject s WHERE s.tenant_id = $1 AND s.id = ANY($2::text[])`, [
    tenantId,
    ids,
  ]);
}

/** The rows of a tenant that are newer than a revision, roles with their tombstones. */
export async function findRowsSince(sql: Database, tenantId: string, revision: number) {
  const newer = async <Row>(columns: string, table: string, alias: string) =>
    select<Row>(
      sql,
      `SELECT ${columns} FROM role.${table} ${alias} WHERE ${alias}.tenant_id = $1 AND ${alias}.revision > $2`,
      [tenantId, revision],
    );
  const roles = await newer<RoleRow>(roleColumns, 'role', 'r');
  const assignments = await newer<RoleAssignmentRow>(assignmentColumns, 'assignment', 'a');
  const delegations = await newer<RoleDelegationRow>(delegationColumns, 'delegation', 'd');
  const subjects = await newer<SubjectRow>(subjectColumns, 'subject', 's');
  const requests = await newer<PermissionRequestRow>(permissionRequestColumns, 'permission_request', 'q');
  return { roles, assignments, delegations, subjects, requests };
}

export type RowsSince = Awaited<ReturnType<typeof findRowsSince>>;

export async function findRevision(sql: Database, tenantId: string): Promise<number> {
  const [row] = await select<{ revision: number }>(sql, 'SELECT revision FROM role.tenant WHERE tenant_id = $1', [
    tenantId,
  ]);
  return row?.revision ?? 0;
}

/** Locks the tenant against other changes and answers its revision. */
export async function lockTenant(tx: SqlTransaction, tenantId: string): Promise<number> {
  const [row] = await select<{ revision: number }>(
    tx,
    `INSERT INTO role.tenant AS t (tenant_id) VALUES ($1)
     ON CONFLICT (tenant_id) DO UPDATE SET revision = t.revision RETURNING revision`,
    [tenantId],
  );
  return row!.revision;
}

export async function saveRevision(tx: SqlTransaction, tenantId: string, revision: number): Promise<void> {
  await select(tx, 'UPDATE role.tenant SET revision = $2 WHERE tenant_id = $1', [tenantId, revision]);
}

const roleTypes =
  '"tenantId" text, id uuid, name text, "scopeKey" text, "displayName" text, description text, "roleType" text, status text, scope jsonb, "securityLevel" text, permissions jsonb, capabilities text[], "inheritanceRules" jsonb, "capabilityProfiles" jsonb, attributes jsonb, "separationOfDuties" jsonb, "assignmentRules" jsonb, "delegationRules" jsonb, constraints jsonb, "maxHolders" int, "autoAssign" boolean, "effectiveAt" timestamptz, "expiresAt" timestamptz, "begunAt" timestamptz, "reviewEveryDays" int, "nextReviewAt" timestamptz, "reviewToldAt" timestamptz, "reviewedAt" timestamptz, "reviewedBy" text, governance jsonb, protocol jsonb, version int, revision bigint, "deletedAt" timestamptz, "createdAt" timestamptz, "createdBy" text, "updatedAt" timestamptz, "updatedBy" text';
const roleTargets =
  'tenant_id, id, name, scope_key, display_name, description, role_type, status, scope, security_level, permissions, capabilities, inheritance_rules, capability_profiles, attributes, separation_of_duties, assignment_rules, delegation_rules, constraints, max_holders, auto_assign, effective_at, expires_at, begun_at, review_every_days, next_review_at, review_told_at, reviewed_at, reviewed_by, governance, protocol, version, revision, deleted_at, created_at, created_by, updated_at, updated_by';

export async function upsertRoles(tx: SqlTransaction, rows: readonly RoleRow[]): Promise<void> {
  if (rows.length === 0) return;
  await upsert(tx, { table: 'role', targets: roleTargets, types: roleTypes, key: 'tenant_id, id' }, rows);
  const tenantId = rows[0]!.tenantId;
  await select(tx, 'DELETE FROM role.inheritance WHERE tenant_id = $1 AND role_id = ANY($2::uuid[])', [
    tenantId,
    rows.map((row) => row.id),
  ]);
  const edges = rows.flatMap((row) =>
    row.deletedAt !== null
      ? []
      : row.parents.map(({ roleId, type, excludedPermissions = [], conditions = null }, ordinal) => ({
          tenant_id: tenantId,
          role_id: row.id,
          parent_id: roleId,
          type,
          excluded_permissions: excludedPermissions,
          conditions,
          ordinal,
        })),
  );
  if (edges.length === 0) return;
  await select(
    tx,
    `INSERT INTO role.inheritance (tenant_id, role_id, parent_id, type, excluded_permissions, conditions, ordinal)
     SELECT * FROM json_to_recordset($1::text::json) AS x(tenant_id text, role_id uuid, parent_id uuid, type text, excluded_permissions text[], conditions jsonb, ordinal int)`,
    [JSON.stringify(edges)],
  );
}

export async function upsertAssignments(tx: SqlTransaction, rows: readonly RoleAssignmentRow[]): Promise<void> {
  if (rows.length === 0) return;
  const targets =
    'tenant_id, id, role_id, subject_id, context_id, type, status, assigned_by, reason, status_reason, valid_from, expires_at, constraints, active_in, approval, version, revision, created_at, updated_at, updated_by';
  const types =
    '"tenantId" text, id uuid, "roleId" uuid, "subjectId" text, "contextId" uuid, type text, status text, "assignedBy" text, reason text, "statusReason" text, "validFrom" timestamptz, "expiresAt" timestamptz, constraints jsonb, "activeIn" text[], approval jsonb, version int, revision bigint, "createdAt" timestamptz, "updatedAt" timestamptz, "updatedBy" text';
  await upsert(tx, { table: 'assignment', targets, types, key: 'tenant_id, id' }, rows);
}

export async function upsertDelegations(tx: SqlTransaction, rows: readonly RoleDelegationRow[]): Promise<void> {
  if (rows.length === 0) return;
  const targets =
    'tenant_id, id, delegator_id, delegate_id, permissions, context_id, status, reason, status_reason, approval, max_depth, starts_at, ends_at, version, revision, created_at, updated_at, updated_by';
  const types =
    '"tenantId" text, id uuid, "delegatorId" text, "delegateId" text, permissions text[], "contextId" uuid, status text, reason text, "statusReason" text, approval jsonb, "maxDepth" int, "startsAt" timestamptz, "endsAt" timestamptz, version int, revision bigint, "createdAt" timestamptz, "updatedAt" timestamptz, "updatedBy" text';
  await upsert(tx, { table: 'delegation', targets, types, key: 'tenant_id, id' }, rows);
}

export async function upsertPermissionRequests(
  tx: SqlTransaction,
  rows: readonly PermissionRequestRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const targets =
    'tenant_id, id, subject_id, permission_id, granting_role_id, action, resource_type, resource_id, context_id, plan_id, status, reason, status_reason, threshold, approver_roles, approval, ends_at, version, revision, created_at, updated_at, updated_by';
  const types =
    '"tenantId" text, id uuid, "subjectId" text, "permissionId" text, "grantingRoleId" uuid, action text, "resourceType" text, "resourceId" text, "contextId" uuid, "planId" uuid, status text, reason text, "statusReason" text, threshold int, "approverRoles" text[], approval jsonb, "endsAt" timestamptz, version int, revision bigint, "createdAt" timestamptz, "updatedAt" timestamptz, "updatedBy" text';
  await upsert(tx, { table: 'permission_request', targets, types, key: 'tenant_id, id' }, rows);
}

export async function upsertSubject(tx: SqlTransaction, row: SubjectRow, actor: string): Promise<void> {
  const targets =
    'tenant_id, id, type, display_name, attributes, capabilities, version, revision, updated_at, updated_by';
  const types =
    '"tenantId" text, id text, type text, "displayName" text, attributes jsonb, capabilities jsonb, version int, revision bigint, "updatedAt" timestamptz, "updatedBy" text';
  const stored = { ...row, updatedAt: new Date().toISOString(), updatedBy: actor };
  await upsert(tx, { table: 'subject', targets, types, key: 'tenant_id, id' }, [stored]);
}

interface UpsertTarget {
  readonly table: string;
  /** Columns in the order of `types`. */
  readonly targets: string;
  readonly types: string;
  readonly key: string;
}

async function upsert(tx: SqlTransaction, target: UpsertTarget, rows: readonly object[]): Promise<void> {
  const { table, targets, types, key } = target;
  const keys = new Set(key.split(', '));
  const changed = targets
    .split(', ')
    .filter((column) => !keys.has(column))
    .map((column) => `${column} = EXCLUDED.${column}`)
    .join(', ');
  await select(
    tx,
    `INSERT INTO role.${table} (${targets}) SELECT * FROM json_to_recordset($1::text::json) AS x(${types})
     ON CONFLICT (${key}) DO UPDATE SET ${changed}`,
    [JSON.stringify(rows)],
  );
}
