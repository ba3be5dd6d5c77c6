import { ConcurrentInsert, type ProtocolCodec } from '#shared/codec.ts';
import type { Principal } from '#shared/principal.ts';
import type { ExtensionDocument } from '../../schema/protocol/index.ts';
import { findVerdicts } from './access.ts';
import { toDocument } from './document.ts';
import { extensionEvent } from './events.ts';
import { observeExtension } from './observability.ts';
import { defaultSettings } from './registry/registration.ts';
import type { ExtensionRow, GovernanceValue, RuntimeStateValue } from './rows.ts';
import { findExtensions, putExtensions } from './store.ts';

/** Frozen extensions in and out. A document brings no code: what comes so is a record and never runs. */
export const extensionCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findExtensions(sql, tenantId, ids);
    return new Map(rows.map((row) => [row.id, toDocument(row)]));
  },

  async visibleTo(sql, principal, ids) {
    const rows = await findExtensions(sql, principal.tenantId, ids);
    const verdicts = await findVerdicts(
      sql,
      principal,
      rows.map(({ contextId }) => contextId),
    );
    return new Set(rows.filter(({ contextId }) => verdicts.get(contextId) !== true).map(({ id }) => id));
  },

  async write(tx, principal, documents) {
    const rows = documents.map((document) => toRow(document as unknown as ExtensionDocument, principal));
    try {
      await putExtensions(tx, rows, 'insert');
    } catch (error) {
      // Someone stored one of the ids since the caller looked.
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === '23505')
        throw new ConcurrentInsert();
      throw error;
    }
    return rows.map((row) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [extensionEvent('extension.registered', row, { imported: true })],
      audit: [{ action: 'extension.import', resource: 'Extension', resourceId: row.id, detail: { name: row.name } }],
    }));
  },

  async idsOfContext(sql, tenantId, contextId) {
    const rows = await sql<
      { id: string }[]
    >`SELECT id FROM extension.extension WHERE tenant_id = ${tenantId} AND context_id = ${contextId} ORDER BY ordinal`;
    return rows.map((row) => row.id);
  },

  observe: observeExtension,
};

const runtimeStates: Readonly<Record<ExtensionDocument['status'], RuntimeStateValue>> = {
  registered: 'registered',
  // It ran where it came from.
  active: 'inactive',
  inactive: 'inactive',
  deprecated: 'inactive',
};

function toRow(document: ExtensionDocument, { tenantId, subject }: Principal): ExtensionRow {
  const at = new Date().toISOString();
  return {
    tenantId,
    id: document.extension_id,
    contextId: document.context_id,
    name: document.name,
    extensionType: document.extension_type,
    version: document.version,
    status: document.status,
    runtimeState: runtimeStates[document.status],
    displayName: null,
    description: null,
    category: null,
    keywords: [],
    license: null,
    homepage: null,
    repository: null,
    publisher: null,
    integrationTargets: null,
    trustLevel: 0,
    config: document.config ?? null,
    settings: defaultSettings,
    grants: [],
    currentReleaseId: null,
    previousReleaseId: null,
    reloadedAt: null,
    deprecatedAt: document.status === 'deprecated' ? at : null,
    installedAt: null,
    activatedAt: null,
    deactivatedAt: null,
    activationCount: 0,
    errorCount: 0,
    lastError: null,
    quarantine: null,
    governance: (document.governance as GovernanceValue | undefined) ?? null,
    protocol: {
      meta: document.meta,
      ...(document.trace === undefined ? {} : { trace: document.trace }),
      ...(document.events === undefined ? {} : { events: document.events }),
    },
    revision: 1,
    createdAt: at,
    createdBy: subject,
    updatedAt: at,
    updatedBy: subject,
  };
}
