import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { manifestColumns } from '../codec.ts';
import type { CallOptions, Commands } from '../commands.ts';
import { systemEvent } from '../systemEvents.ts';
import * as inputs from './inputs.ts';
import { findLacks } from './needs.ts';
import type { ManifestRow } from './rows.ts';

interface Options extends CallOptions {
  readonly expectedVersion?: number | null | undefined;
}

/** What a change makes of a manifest, and those that another took the place of. */
type Changed = Partial<ManifestRow> & { readonly replaced?: readonly ManifestRow[] };

/** Where a manifest may go from each status. */
const moves: Readonly<Record<ManifestRow['status'], readonly ManifestRow['status'][]>> = {
  draft: ['active', 'archived'],
  active: ['deprecated'],
  deprecated: ['archived'],
  archived: [],
};

const event = (type: string, row: ManifestRow): NewEvent => ({
  streamId: row.id,
  type,
  data: { manifest: row },
  tags: [`CoreManifest:${row.id}`, 'manifests'],
});

const changedModules = (before: ManifestRow, after: ManifestRow) =>
  after.modules.filter((one) =>
    before.modules.some((was) => was.module_id === one.module_id && was.status !== one.status),
  );

/** @throws {INVALID_STATE} where a module is off that another needs */
function requireWhole(modules: ManifestRow['modules']): void {
  const [lack] = findLacks(modules);
  if (lack)
    throw new PlatformError('INVALID_STATE', `${lack.module} is needed by ${lack.neededBy.join(', ')}`, {
      path: ['status'],
      details: { ...lack },
    });
}

export type Manifests = ReturnType<typeof createManifests>;

/** Manifests of protocol instances: which modules are on, in which version. */
export function createManifests({ sql, authorizer }: Pick<ModuleRuntime, 'sql' | 'authorizer'>, commands: Commands) {
  async function change(
    scope: RequestScope,
    manifestId: string,
    {
      operation,
      input,
      options,
      work,
    }: {
      readonly operation: string;
      readonly input: Readonly<Record<string, unknown>>;
      readonly options: Options;
      readonly work: (row: ManifestRow, tx: SqlTransaction) => Promise<Changed> | Changed;
    },
  ): Promise<string> {
    const id = requireId(manifestId, ['manifestId']);
    const { tenantId, subject } = scope.principal;
    return commands.run(
      scope,
      {
        operation,
        input: { id, ...input, expectedVersion: options.expectedVersion ?? null },
        idempotencyKey: options.idempotencyKey,
      },
      async (tx) => {
        const [before] = (await tx.unsafe(
          `SELECT ${manifestColumns} FROM core.manifest m WHERE m.tenant_id = $1 AND m.id = $2 FOR UPDATE`,
          [tenantId, id],
          { prepare: true },
        )) as unknown as ManifestRow[];
        if (!before) throw new PlatformError('NOT_FOUND', 'no such manifest', { path: ['manifestId'] });
        requireVersion(options.expectedVersion, before.version);
        const isLocked = (before.protocol?.governance as { locked?: boolean } | undefined)?.locked === true;
        if (isLocked && !(await authorizer.allows(scope.principal, 'governance:override')))
          throw new PlatformError('GOVERNANCE_LOCKED', 'the manifest is locked', { path: ['manifestId'] });
        const { status, modules, replaced = [] } = { ...before, ...(await work(before, tx)) };
        const [row] = (await tx.unsafe(
          `UPDATE core.manifest m SET status = $3, modules = $4::text::jsonb, version = version + 1, updated_at = now(), updated_by = $5 WHERE m.tenant_id = $1 AND m.id = $2 RETURNING ${manifestColumns}`,
          [tenantId, id, status, JSON.stringify(modules), subject],
          { prepare: true },
        )) as unknown as ManifestRow[];
        return {
          response: id,
          events: [
            event('manifest.changed', row!),
            // Whoever keeps the one before hears that it is no longer the active one.
            ...replaced.map((other) => event('manifest.changed', other)),
            ...replaced.map((other) =>
              systemEvent(tenantId, 'manifest.changed', { manifestId: other.id, status: other.status }),
            ),
            systemEvent(tenantId, 'manifest.changed', { manifestId: id, status }),
            ...changedModules(before, row!).map((module) =>
              systemEvent(tenantId, `module.${module.status}`, { manifestId: id, moduleId: module.module_id }),
            ),
          ],
          audit: [{ action: `manifest.${operation}`, resource: 'CoreManifest', resourceId: id }],
        };
      },
    );
  }

  return {
    /** The active manifest that changed last, else the newest one. */
    async current(tenantId: string): Promise<ManifestRow | null> {
      const [row] = (await sql.unsafe(
        `SELECT ${manifestColumns} FROM core.manifest m WHERE m.tenant_id = $1 ORDER BY (m.status = 'active') DESC, m.updated_at DESC, m.id LIMIT 1`,
        [tenantId],
        { prepare: true },
      )) as unknown as ManifestRow[];
      return row ?? null;
    },

    create(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.createManifest, raw);
      const { tenantId, subject } = scope.principal;
      return commands.run(scope, { operation: 'createManifest', input, idempotencyKey }, async (tx) => {
        const [row] = (await tx.unsafe(
          `INSERT INTO core.manifest AS m (tenant_id, id, protocol_version, status, modules, created_by, updated_by) VALUES ($1, $2, $3, 'draft', $4::text::jsonb, $5, $5) RETURNING ${manifestColumns}`,
          [tenantId, newId(), input.protocolVersion, JSON.stringify(input.modules), subject],
          { prepare: true },
        )) as unknown as ManifestRow[];
        return {
          response: row!.id,
          events: [event('manifest.created', row!)],
          audit: [{ action: 'manifest.create', resource: 'CoreManifest', resourceId: row!.id }],
        };
      });
    },

    /** One manifest of a tenant is active at a time: the one before is deprecated with it. */
    setStatus(
      scope: RequestScope,
      manifestId: string,
      status: ManifestRow['status'],
      options: Options,
    ): Promise<string> {
      return change(scope, manifestId, {
        ...{ operation: 'changeManifestStatus', input: { status }, options },
        async work(row, tx) {
          if (!moves[row.status].includes(status))
            throw new PlatformError(
              'INVALID_STATE_TRANSITION',
              `expected ${moves[row.status].join(' or ') || 'no change'} after ${row.status}, got ${status}`,
              { path: ['status'] },
            );
          if (status === 'active') requireWhole(row.modules);
          if (status !== 'active') return { status };
          const replaced = (await tx.unsafe(
            `UPDATE core.manifest m SET status = 'deprecated', version = version + 1, updated_at = now(), updated_by = $3
             WHERE m.tenant_id = $1 AND m.status = 'active' AND m.id <> $2 RETURNING ${manifestColumns}`,
            [row.tenantId, row.id, scope.principal.subject],
            { prepare: true },
          )) as unknown as ManifestRow[];
          return { status, replaced };
        },
      });
    },

    /** @throws {INVALID_STATE} for a module that is required or that others need, {NOT_FOUND} for one it does not list */
    setModule(
      scope: RequestScope,
      manifestId: string,
      moduleId: string,
      status: ManifestRow['modules'][number]['status'],
      options: Options,
    ): Promise<string> {
      return change(scope, manifestId, {
        ...{ operation: 'setModuleStatus', input: { moduleId, status }, options },
        work(row) {
          const module = row.modules.find((one) => one.module_id === moduleId);
          if (!module) throw new PlatformError('NOT_FOUND', 'the manifest has no such module', { path: ['moduleId'] });
          if (status === 'disabled' && module.required === true)
            throw new PlatformError('INVALID_STATE', `${moduleId} is required`, { path: ['status'] });
          const modules = row.modules.map((one) => (one === module ? { ...one, status } : one));
          requireWhole(modules);
          return { modules };
        },
      });
    },
  };
}
