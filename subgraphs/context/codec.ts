import type { ProtocolCodec, ProtocolDocument } from '#shared/codec.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { ContextDocument } from '../../schema/protocol/index.ts';
import { keepVisible } from './access.ts';
import { ownerTypeOf } from './changes.ts';
import { toDocument } from './document.ts';
import { contextEvent } from './events.ts';
import { defaultAccessControl, defaultConfiguration } from './inputs.ts';
import { claimedName, createNames, duplicateName, findNameHolders } from './names.ts';
import { observeContext } from './observability.ts';
import type { ContextRow, ContextStatusValue, GovernanceValue, ProtocolRemainder } from './rows.ts';
import { checksumOf } from './sharedState.ts';
import { isOpen } from './states.ts';
import { findContexts, insertContexts } from './store.ts';

const maxIndexedBytes = 1_024;

/** Frozen contexts in and out. */
export const contextCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findContexts(sql, tenantId, ids);
    return new Map(rows.map((row) => [row.id, toDocument(row)]));
  },

  async visibleTo(sql, principal, ids) {
    const rows = await findContexts(sql, principal.tenantId, ids);
    return new Set((await keepVisible(sql, { principal, readTags: new Set() }, rows)).map((row) => row.id));
  },

  async write(tx, principal, documents, config) {
    const rows = documents
      .map((document) => toRow(document as unknown as ContextDocument, principal))
      .map((row) => ({ ...row, uniqueName: claimedName(null, row, config?.CONTEXT_UNIQUE_NAMES ?? false) }));
    await forgetDeleted(
      tx,
      principal.tenantId,
      rows.map((row) => row.id),
    );
    rows.forEach(requireIndexable);
    await requireFreeNames(tx, rows);
    await insertContexts(tx, rows);
    const open = rows.filter((row) => isOpen(row.status)).length;
    if (open > 0) {
      await tx`
        INSERT INTO context.usage AS u (tenant_id, owner_id, open_contexts)
        SELECT ${principal.tenantId}, owner_id, ${open} FROM unnest(${[principal.subject, '*'].sort()}::text[]) AS o(owner_id)
        ON CONFLICT (tenant_id, owner_id) DO UPDATE SET open_contexts = u.open_contexts + EXCLUDED.open_contexts`;
    }
    return rows.map((row) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [contextEvent('context.created', row, { imported: true })],
      audit: [{ action: 'context.import', resource: 'Context', resourceId: row.id }],
    }));
  },

  idsOfContext: async (_sql, _tenantId, contextId) => [contextId],

  observe: observeContext,
};

/** An id that was deleted begins anew: nothing of its former life may show up below it. */
async function forgetDeleted(
  tx: Parameters<ProtocolCodec['write']>[0],
  tenantId: string,
  ids: readonly string[],
): Promise<void> {
  await tx.unsafe(
    'DELETE FROM context.context WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NOT NULL',
    [tenantId, ids as string[]],
    { prepare: true },
  );
}

/** What an index holds has to fit into its pages; the frozen form sets no bound. @throws {VALIDATION_FAILED} */
function requireIndexable({ title, domain, tags }: ContextRow): void {
  for (const [path, value] of [
    ['title', title],
    ['root/domain', domain],
    ...tags.map((tag) => ['tags', tag] as const),
  ] as const)
    if (Buffer.byteLength(value) > maxIndexedBytes)
      throw new PlatformError(
        'VALIDATION_FAILED',
        `${path}: expected at most ${maxIndexedBytes} bytes, got ${Buffer.byteLength(value)}`,
        { path: path.split('/') },
      );
}

/** @throws {DUPLICATE_NAME} when the importer has another context of one of the names. */
async function requireFreeNames(tx: Parameters<ProtocolCodec['write']>[0], rows: readonly ContextRow[]): Promise<void> {
  const wanted = rows.flatMap(({ tenantId, ownerId, uniqueName }) =>
    uniqueName === null ? [] : [{ tenantId, ownerId, name: uniqueName }],
  );
  const names = createNames(await findNameHolders(tx, wanted));
  for (const row of rows) {
    if (names.isTaken(row)) throw duplicateName(row.title, ['title']);
    names.change(null, row);
  }
}

function toRow(document: ContextDocument, principal: Principal): ContextRow {
  const now = new Date().toISOString();
  const root = document.root as Readonly<Record<string, unknown>>;
  const given = document as unknown as ProtocolDocument;
  const protocol: ProtocolRemainder = {
    imported: true,
    meta: given['meta'],
    ...(given['trace'] === undefined ? {} : { trace: given['trace'] }),
    ...(given['events'] === undefined ? {} : { events: given['events'] }),
    ...(document.created_at === undefined ? {} : { createdAt: document.created_at }),
    ...(document.updated_at === undefined ? {} : { updatedAt: document.updated_at }),
    ...(document.tags === undefined ? {} : { hasTags: true }),
  };
  return {
    tenantId: principal.tenantId,
    id: document.context_id,
    title: document.title,
    status: document.status as ContextStatusValue,
    root,
    domain: String(root['domain']),
    environment: String(root['environment']),
    summary: document.summary ?? null,
    tags: document.tags ?? [],
    language: document.language ?? null,
    ownerRole: document.owner_role ?? null,
    constraints: (document.constraints as Record<string, unknown> | undefined) ?? null,
    governance: (document.governance as GovernanceValue | undefined) ?? null,
    protocol,
    type: 'COLLABORATIVE',
    lifecycleStage: document.status === 'closed' || document.status === 'archived' ? 'COMPLETED' : 'PLANNING',
    ownerId: principal.subject,
    ownerType: ownerTypeOf(principal),
    uniqueName: null,
    configuration: defaultConfiguration,
    accessControl: defaultAccessControl,
    priority: 'NORMAL',
    category: null,
    customData: null,
    metadataText: '',
    joinTokenHash: null,
    version: 1,
    participantCount: 0,
    sessionCount: 0,
    sharedVersion: 0,
    sharedChecksum: checksumOf([]),
    sharedUpdatedAt: now,
    lastActivityAt: now,
    // An imported context has no clock of ours: it ends when somebody ends it.
    expiresAt: null,
    closeReason: null,
    closedAt: null,
    deletedAt: null,
    createdAt: instantOf(document.created_at) ?? now,
    createdBy: principal.subject,
    updatedAt: instantOf(document.updated_at) ?? now,
    updatedBy: principal.subject,
  };
}

/** An RFC 3339 text as an instant; leap seconds, which Date does not know, become the second before. */
function instantOf(text: string | undefined): string | null {
  if (text === undefined) return null;
  const date = new Date(text.replace(/:60(?=[.Zz+-])/, ':59'));
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
