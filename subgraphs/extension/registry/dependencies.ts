import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { type Candidate, type Requirement, type Resolution, resolve } from '../manifest/resolution.ts';
import type { ExtensionRow, RuntimeStateValue } from '../rows.ts';
import type { Db } from '../store.ts';

const maxLevels = 50;

interface KnownRow {
  readonly name: string;
  readonly extensionId: string;
  readonly runtimeState: RuntimeStateValue;
  readonly currentReleaseId: string;
  readonly releaseId: string;
  readonly version: string;
  readonly dependencies: Manifest['dependencies'];
}

export interface KnownCandidate extends Candidate {
  readonly runtimeState: RuntimeStateValue;
  readonly isCurrent: boolean;
}

const live: readonly RuntimeStateValue[] = ['active', 'reloading', 'activating'];

/** What a manifest needs of other extensions. */
export function requirementsOf({ dependencies }: Pick<Manifest, 'dependencies'>): readonly Requirement[] {
  return dependencies
    .filter(({ type }) => type === 'extension' || type === 'peer')
    .map(({ name, version, optional }) => ({ name, range: version, optional }));
}

/** Extensions stand for names within their context: what is needed is looked for where the extension itself lies. */
export function createDependencies({ sql }: Pick<ModuleRuntime, 'sql'>) {
  async function findNamed(
    db: Db,
    { tenantId, contextId }: ExtensionRow,
    names: readonly string[],
  ): Promise<readonly KnownRow[]> {
    return (await db.unsafe(
      `SELECT e.name, e.id AS "extensionId", e.runtime_state AS "runtimeState", e.current_release_id AS "currentReleaseId",
         r.id AS "releaseId", r.version, r.manifest->'dependencies' AS dependencies
       FROM extension.extension e JOIN extension.release r ON r.tenant_id = e.tenant_id AND r.extension_id = e.id
       WHERE e.tenant_id = $1 AND e.context_id = $2 AND e.name = ANY($3::text[])
         AND (e.runtime_state IN ('active', 'reloading', 'activating') OR (e.runtime_state IN ('installed', 'inactive') AND e.deprecated_at IS NULL))`,
      [tenantId, contextId, names as string[]],
      { prepare: true },
    )) as unknown as readonly KnownRow[];
  }

  /** Everything that may be needed, directly or not, one statement a level. */
  async function findReachable(db: Db, extension: ExtensionRow, names: readonly string[]) {
    const known = new Map<string, KnownCandidate[]>();
    let open = names;
    for (let level = 0; open.length > 0 && level < maxLevels; level += 1) {
      const rows = await findNamed(db, extension, open);
      for (const name of open) known.set(name, []);
      for (const row of rows) {
        const isCurrent = row.releaseId === row.currentReleaseId;
        const running = isCurrent && live.includes(row.runtimeState);
        known.get(row.name)!.push({ ...row, running, isCurrent, requires: requirementsOf(row) });
      }
      open = [...new Set(rows.flatMap((row) => requirementsOf(row).map(({ name }) => name)))].filter(
        (name) => !known.has(name),
      );
    }
    return known;
  }

  return {
    /** Chooses what an extension needs and in which order it starts, itself last. */
    async resolve(
      extension: ExtensionRow,
      release: { readonly id: string; readonly version: string; readonly manifest: Pick<Manifest, 'dependencies'> },
      db: Db = sql,
    ): Promise<{ readonly resolution: Resolution; readonly known: ReadonlyMap<string, readonly KnownCandidate[]> }> {
      const requires = requirementsOf(release.manifest);
      const known = await findReachable(
        db,
        extension,
        requires.map(({ name }) => name),
      );
      const root: Candidate = {
        name: extension.name,
        extensionId: extension.id,
        releaseId: release.id,
        version: release.version,
        running: false,
        requires,
      };
      return { resolution: resolve(root, (name) => known.get(name) ?? []), known };
    },

    /** Running extensions that need this one, and cannot do without. */
    async findDependants(
      { tenantId, contextId, id, name }: ExtensionRow,
      db: Db = sql,
    ): Promise<readonly { readonly id: string; readonly name: string }[]> {
      return (await db.unsafe(
        `SELECT e.id, e.name FROM extension.extension e JOIN extension.release r ON r.tenant_id = e.tenant_id AND r.id = e.current_release_id
         WHERE e.tenant_id = $1 AND e.context_id = $2 AND e.id <> $3 AND e.runtime_state IN ('active', 'reloading', 'activating')
           AND EXISTS (SELECT 1 FROM jsonb_array_elements(r.manifest->'dependencies') d
             WHERE d->>'name' = $4 AND d->>'type' IN ('extension', 'peer') AND NOT (d->>'optional')::boolean)
         ORDER BY e.name`,
        [tenantId, contextId, id, name],
        { prepare: true },
      )) as unknown as { id: string; name: string }[];
    },
  };
}

export type Dependencies = ReturnType<typeof createDependencies>;

/** @throws {DEPENDENCY_CONFLICT} with the cycle, or with what is needed and what there is */
export function requireResolved(resolution: Resolution): readonly Candidate[] {
  if (resolution.ok) return resolution.order;
  if (resolution.kind === 'cycle')
    throw new PlatformError('DEPENDENCY_CONFLICT', `the extensions need each other: ${resolution.names.join(' -> ')}`, {
      details: { cycle: resolution.names },
    });
  throw new PlatformError('DEPENDENCY_CONFLICT', resolution.message, { details: { conflict: resolution.message } });
}
