import { ConcurrentInsert, type ProtocolCodec } from '#shared/codec.ts';
import { PlatformError } from '#shared/errors.ts';
import { hasScope, type Principal } from '#shared/principal.ts';
import type { RoleDocument } from '../../schema/protocol/index.ts';
import { type Permission, parsePermissionPattern } from './decision/index.ts';
import { toDocument } from './document.ts';
import { roleEvent } from './events.ts';
import { observeRole } from './observability.ts';
import type { RoleProtocol, RoleRow } from './rows.ts';
import { findRoles, lockTenant, saveRevision, upsertRoles } from './store.ts';

const maxIndexedBytes = 1_024;

/** Frozen roles in and out. They belong to no context. */
export const roleCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findRoles(sql, tenantId, ids);
    return new Map(rows.map((row) => [row.id, toDocument(row)]));
  },

  async write(tx, principal, documents) {
    const now = new Date().toISOString();
    const revision = (await lockTenant(tx, principal.tenantId)) + 1;
    const mayGrant = hasScope(principal, 'role:admin') && !(await holdsRoles(tx, principal));
    const rows = documents.map((document) => {
      const row = toRow(document as unknown as RoleDocument, principal, now);
      const permissions = mayGrant ? toPermissions(row.capabilities, principal) : [];
      return { ...row, permissions, revision };
    });
    await requireFree(tx, rows);
    await upsertRoles(tx, rows);
    await saveRevision(tx, principal.tenantId, revision);
    return rows.map((row) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [roleEvent('role.created', row, ['imported'])],
      audit: [{ action: 'role.import', resource: 'Role', resourceId: row.id }],
    }));
  },

  idsOfContext: async () => [],

  observe: observeRole,
};

/** @throws {DUPLICATE_ROLE} {VALIDATION_FAILED} {ConcurrentInsert} */
async function requireFree(tx: Parameters<ProtocolCodec['write']>[0], rows: readonly RoleRow[]): Promise<void> {
  const names = new Set<string>();
  for (const { name } of rows) {
    if (Buffer.byteLength(name) > maxIndexedBytes)
      throw new PlatformError('VALIDATION_FAILED', `name: expected at most ${maxIndexedBytes} bytes`, {
        path: ['name'],
      });
    if (names.has(name)) throw duplicate(name);
    names.add(name);
  }
  const tenantId = rows[0]?.tenantId ?? '';
  const taken = (await tx.unsafe(
    `SELECT id, name FROM role.role WHERE tenant_id = $1 AND deleted_at IS NULL
     AND (id = ANY($2::uuid[]) OR (scope_key = 'global' AND name = ANY($3::text[])))`,
    [tenantId, rows.map(({ id }) => id), [...names]],
    { prepare: true },
  )) as unknown as { id: string; name: string }[];
  const ids = new Set(rows.map(({ id }) => id));
  for (const { id, name } of taken) throw ids.has(id) ? new ConcurrentInsert() : duplicate(name);
}

function duplicate(name: string): PlatformError {
  return new PlatformError('DUPLICATE_ROLE', `there is a global role named ${name.slice(0, 100)} already`, {
    path: ['name'],
  });
}

/** A role of its own may deny the importer something, so that its token alone does not say what it may grant. */
async function holdsRoles(
  tx: Parameters<ProtocolCodec['write']>[0],
  { tenantId, subject }: Principal,
): Promise<boolean> {
  const held = await tx.unsafe(
    `SELECT 1 FROM role.assignment WHERE tenant_id = $1 AND subject_id = $2 AND status IN ('pending', 'active', 'suspended') LIMIT 1`,
    [tenantId, subject],
    { prepare: true },
  );
  return held.length > 0;
}

/** An imported tag becomes a permission where the importer could grant it; any other is kept and given back. */
function toPermissions(capabilities: readonly string[], principal: Principal): Permission[] {
  return [...new Set(capabilities)].slice(0, 100).flatMap((tag) => {
    const pattern = parsePermissionPattern(tag);
    if (pattern === undefined || tag === '*' || !hasScope(principal, `${pattern.resourceType}:${pattern.action}`))
      return [];
    const { resourceType, action } = pattern;
    return [{ permissionId: tag, resourceType, actions: [action], effect: 'allow' as const }];
  });
}

function toRow(document: RoleDocument, principal: Principal, now: string): RoleRow {
  const given = document as unknown as Readonly<Record<string, unknown>>;
  const protocol: RoleProtocol = {
    meta: given['meta'],
    ...(given['trace'] === undefined ? {} : { trace: given['trace'] }),
    ...(given['events'] === undefined ? {} : { events: given['events'] }),
    ...(document.created_at === undefined ? {} : { createdAt: document.created_at }),
    ...(document.updated_at === undefined ? {} : { updatedAt: document.updated_at }),
    ...(document.capabilities === undefined ? {} : { hasCapabilities: true }),
  };
  return {
    tenantId: principal.tenantId,
    id: document.role_id,
    name: document.name,
    scopeKey: 'global',
    displayName: null,
    description: document.description ?? null,
    roleType: 'functional',
    status: 'active',
    scope: { level: 'global' },
    securityLevel: 'medium',
    permissions: [],
    capabilities: document.capabilities ?? [],
    capabilityProfiles: [],
    parents: [],
    inheritanceRules: null,
    attributes: {},
    separationOfDuties: [],
    assignmentRules: [],
    delegationRules: null,
    constraints: null,
    maxHolders: null,
    autoAssign: false,
    effectiveAt: null,
    expiresAt: null,
    begunAt: null,
    reviewEveryDays: null,
    nextReviewAt: null,
    reviewToldAt: null,
    reviewedAt: null,
    reviewedBy: null,
    governance: (document.governance as RoleRow['governance'] | undefined) ?? null,
    protocol,
    version: 1,
    revision: 0,
    deletedAt: null,
    createdAt: now,
    createdBy: principal.subject,
    updatedAt: now,
    updatedBy: principal.subject,
  };
}
