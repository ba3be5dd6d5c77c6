import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Bus, BusMessage } from '#shared/bus.ts';
import { readConsistencyToken } from '#shared/cache/consistencyToken.ts';
import { runForAll } from '#shared/cancellation.ts';
import { isId } from '#shared/ids.ts';
import type { Sql } from '#shared/sql.ts';
import {
  createExtensionIndex,
  type ExtensionIndex,
  readDocuments,
  readSlice,
  requirementOf,
  toDocument,
} from './documents.ts';

const sliceRows = 1_000;
/** Documents put in before other work gets its turn. */
const rowsPerTurn = 200;
const lowestId = '00000000-0000-0000-0000-000000000000';
/** How often what calls came to is taken over, ms. */
const usageEveryMs = 5_000;
const extensionTag = 'Extension:';
/** A tenant that nobody searches while so much of it changes is read anew when somebody does. */
const forgottenChanges = 5_000;

interface TenantIndex {
  readonly index: ExtensionIndex;
  readonly versions: Set<string>;
  readonly requirements: Set<string>;
  readonly dirty: Set<string>;
  /** Called since their success was last looked at. */
  readonly used: Set<string>;
  loading: Promise<void>;
  rereading: Promise<void> | null;
  usedAtMs: number;
}

export interface SearchedTenant {
  readonly index: ExtensionIndex;
  /** Versions that any of its releases ever had here. */
  readonly versions: ReadonlySet<string>;
  /** Lists of modules that any of them ever required here. */
  readonly requirements: ReadonlySet<string>;
}

export interface IndexesDeps {
  readonly sql: Sql;
  readonly bus: Bus;
  /** All indexes together, bytes. */
  readonly maxBytes: number;
}

/** Indexes of tenants, made at the first search of each and kept current by the module's events. */
export function createIndexes({ sql, bus, maxBytes }: IndexesDeps) {
  /** Least recently searched first. */
  const tenants = new Map<string, TenantIndex>();

  function mark(tenantId: string, extensionId: string): void {
    const tenant = tenants.get(tenantId);
    if (!tenant) return;
    tenant.dirty.add(extensionId);
    if (tenant.dirty.size > forgottenChanges) tenants.delete(tenantId);
  }

  const unsubscribe = bus.subscribe('extension', (messages: readonly BusMessage[]) => {
    for (const message of messages) {
      if (!('eventId' in message)) continue;
      if (message.type === 'capability.invoked') {
        const { execution } = message.data as { readonly execution?: { readonly extensionId?: string } };
        if (execution?.extensionId) tenants.get(message.tenantId)?.used.add(execution.extensionId);
      } else if (message.type === 'extension.access.changed') {
        // Which of them are restricted now is read anew, all of that context: rare, and few.
        void markContext(message.tenantId, String(message.data['contextId']));
      } else if (message.type === 'subject.erased') {
        // Rows have changed that no other event names.
        tenants.delete(message.tenantId);
      } else if (message.tags.includes('extensions')) mark(message.tenantId, message.streamId);
    }
  });

  async function markContext(tenantId: string, contextId: string): Promise<void> {
    if (!tenants.has(tenantId)) return;
    const rows = await sql
      .unsafe('SELECT id FROM extension.extension WHERE tenant_id = $1 AND context_id = $2', [tenantId, contextId], {
        prepare: true,
      })
      .catch(() => {
        tenants.delete(tenantId);
        return [];
      });
    for (const { id } of rows as unknown as { id: string }[]) mark(tenantId, id);
  }

  function put(tenant: TenantIndex, row: Awaited<ReturnType<typeof readDocuments>>[number]): void {
    tenant.index.put(toDocument(row));
    tenant.requirements.add(requirementOf(row));
    for (const version of row.versions ?? []) tenant.versions.add(version);
  }

  async function load(tenantId: string, tenant: TenantIndex): Promise<void> {
    for (let after = lowestId; ; ) {
      const rows = await readSlice(sql, tenantId, after, sliceRows);
      for (const [at, row] of rows.entries()) {
        if (at % rowsPerTurn === rowsPerTurn - 1) await nextTurn();
        put(tenant, row);
      }
      if (rows.length < sliceRows) return;
      after = rows.at(-1)!.id;
    }
  }

  async function reread(tenantId: string, tenant: TenantIndex): Promise<void> {
    const ids = [...tenant.dirty];
    tenant.dirty.clear();
    try {
      for (let from = 0; from < ids.length; from += sliceRows) {
        const part = ids.slice(from, from + sliceRows);
        const rows = await readDocuments(sql, tenantId, part);
        const found = new Set(rows.map(({ id }) => id));
        for (const id of part) if (!found.has(id)) tenant.index.remove(id);
        for (const row of rows) put(tenant, row);
      }
    } catch (error) {
      for (const id of ids) tenant.dirty.add(id);
      throw error;
    } finally {
      tenant.rereading = null;
    }
  }

  async function settle(tenantId: string, tenant: TenantIndex): Promise<void> {
    if (tenant.used.size > 0 && performance.now() - tenant.usedAtMs > usageEveryMs) {
      tenant.usedAtMs = performance.now();
      for (const id of tenant.used) tenant.dirty.add(id);
      tenant.used.clear();
    }
    while (tenant.dirty.size > 0 || tenant.rereading) {
      tenant.rereading ??= runForAll(() => reread(tenantId, tenant));
      await tenant.rereading;
    }
  }

  function makeRoom(kept: string): void {
    let bytes = 0;
    for (const { index } of tenants.values()) bytes += index.bytes;
    for (const [tenantId, { index }] of tenants) {
      if (bytes <= maxBytes) return;
      if (tenantId === kept) continue;
      bytes -= index.bytes;
      tenants.delete(tenantId);
    }
  }

  return {
    mark,

    /** The tenant's index, current as of what this process has heard and of what the caller's token names. */
    async current(tenantId: string, consistencyToken: string | undefined): Promise<SearchedTenant> {
      const known = tenants.get(tenantId);
      const tenant: TenantIndex = known ?? {
        index: createExtensionIndex(),
        versions: new Set(),
        requirements: new Set(),
        dirty: new Set(),
        used: new Set(),
        loading: Promise.resolve(),
        rereading: null,
        usedAtMs: performance.now(),
      };
      tenants.delete(tenantId);
      // Marks arrive from here on, before the first row is read.
      tenants.set(tenantId, tenant);
      if (!known) {
        tenant.loading = runForAll(() => load(tenantId, tenant));
        tenant.loading.then(
          () => makeRoom(tenantId),
          () => tenants.delete(tenantId),
        );
      }
      await tenant.loading;
      if (consistencyToken !== undefined)
        for (const { tags } of readConsistencyToken(consistencyToken).changes)
          for (const tag of tags) {
            const id = tag.startsWith(extensionTag) ? tag.slice(extensionTag.length) : '';
            if (isId(id)) tenant.dirty.add(id);
          }
      await settle(tenantId, tenant);
      return tenant;
    },

    close(): void {
      unsubscribe();
      tenants.clear();
    },
  };
}

export type Indexes = ReturnType<typeof createIndexes>;
