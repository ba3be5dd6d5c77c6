import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isIdempotencyRace } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { actorOf, type Commands, callOf } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import { extensionEvent } from '../events.ts';
import * as inputs from '../inputs.ts';
import { incompatibilityOf } from '../manifest/compatibility.ts';
import { type Manifest, readManifest } from '../manifest/manifest.ts';
import { digestOf } from '../manifest/signature.ts';
import { readPackage } from '../packages/readPackage.ts';
import type { ExtensionReleaseRow, ExtensionRow, PackageValue, SettingsValue } from '../rows.ts';
import { findReleases, findReleasesOf, insertRelease, putExtensions, replaceCapabilities } from '../store.ts';
import { capabilitiesOf } from './capabilities.ts';
import type { PublisherKeys, Trust } from './publisherKeys.ts';

/** Releases of an extension that are kept: the newest, the one that runs and the one before it. */
const keptReleases = 10;

export const defaultSettings: SettingsValue = Object.freeze({
  autoStart: false,
  maxMemoryMb: 16,
  maxCpuPercent: 100,
  monitoringLevel: 'detailed',
  initializationTimeoutMs: 5_000,
  operationTimeoutMs: 30_000,
  shutdownTimeoutMs: 5_000,
});

/** What the manifest asks for, where it does. */
function settingsOf({ resource_requirements }: Manifest): SettingsValue {
  const { memory_limit, cpu_limit } = resource_requirements ?? {};
  return {
    ...defaultSettings,
    ...(memory_limit !== undefined && { maxMemoryMb: memory_limit }),
    ...(cpu_limit !== undefined && { maxCpuPercent: Math.round(cpu_limit * 100) }),
  };
}

/** A release whose package is sound. */
interface Checked {
  readonly manifest: Manifest;
  readonly trust: Trust;
  readonly bundle: string;
  readonly package: PackageValue | null;
}

export interface RegistrationDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  readonly keys: PublisherKeys;
}

/** New extensions and new releases of them. Everything about a package is checked before it is stored. */
export function createRegistration(runtime: ModuleRuntime, { commands, contexts, keys }: RegistrationDeps) {
  const { sql, config } = runtime;

  /** @throws {PACKAGE_INVALID} {MANIFEST_INVALID} {CHECKSUM_MISMATCH} {SIGNATURE_INVALID} */
  async function check(tenantId: string, given: inputs.ReleaseInput): Promise<Checked> {
    const content = given.package == null ? null : Buffer.from(given.package.content, 'base64');
    // The digest comes first: what is not what was meant to arrive is not even looked into.
    const digest = content === null ? digestOf(given.bundle!) : digestOf(content);
    const checksum = digest.toString('hex');
    if (checksum !== given.checksum)
      throw new PlatformError(
        'CHECKSUM_MISMATCH',
        `the ${content === null ? 'bundle' : 'package'} has the SHA-256 ${checksum}`,
        { path: ['input', 'release', 'checksum'] },
      );
    const unpacked = content === null ? null : readPackage(given.package!.format, content);
    const bundle = unpacked?.bundle ?? given.bundle!;
    if (Buffer.byteLength(bundle) > inputs.maxBundleBytes)
      throw new PlatformError('PACKAGE_INVALID', `expected an entry point of at most ${inputs.maxBundleBytes} bytes`, {
        path: ['input', 'release', 'package'],
      });
    const manifest = readManifest(unpacked?.manifest ?? given.manifest);
    const trust = await keys.trustOf(tenantId, {
      digest,
      signature: given.signature ?? null,
      keyId: given.keyId ?? null,
    });
    const packed = content === null ? null : { format: given.package!.format, checksum, sizeBytes: content.length };
    return { manifest, trust, bundle, package: packed };
  }

  function releaseRow(
    scope: RequestScope,
    extension: Pick<ExtensionRow, 'id' | 'contextId'>,
    version: string,
    given: inputs.ReleaseInput,
    { manifest, trust, bundle, package: packed }: Checked,
  ): ExtensionReleaseRow {
    const { tenantId, subject } = scope.principal;
    return {
      tenantId,
      id: newId(),
      extensionId: extension.id,
      contextId: extension.contextId,
      version,
      manifest,
      checksum: digestOf(bundle).toString('hex'),
      sizeBytes: Buffer.byteLength(bundle),
      package: packed,
      signature: given.signature ?? null,
      keyId: trust.key?.id ?? null,
      trustLevel: trust.trustLevel,
      validation: {
        manifestValid: true,
        packageIntegrityVerified: true,
        compatibilityVerified: incompatibilityOf(manifest) === null,
        dependenciesResolved: manifest.dependencies.length === 0,
        securityApproved: trust.key !== null,
      },
      qualityScore: qualityOf(manifest, trust),
      approvedBy: null,
      createdAt: new Date().toISOString(),
      createdBy: subject,
    };
  }

  async function requireRoom(tenantId: string): Promise<void> {
    const [row] = (await sql.unsafe(
      `SELECT count(*)::int AS n FROM (SELECT 1 FROM extension.extension WHERE tenant_id = $1 AND runtime_state <> 'uninstalled' LIMIT $2) e`,
      [tenantId, config.QUOTA_EXTENSIONS_PER_TENANT],
      { prepare: true },
    )) as unknown as { n: number }[];
    if (row!.n >= config.QUOTA_EXTENSIONS_PER_TENANT)
      throw new PlatformError(
        'QUOTA_EXCEEDED',
        `a tenant has at most ${config.QUOTA_EXTENSIONS_PER_TENANT} extensions`,
      );
  }

  return {
    /** @throws {NOT_FOUND} {PACKAGE_INVALID} {MANIFEST_INVALID} {CHECKSUM_MISMATCH} {SIGNATURE_INVALID} {CONFLICT} {QUOTA_EXCEEDED} */
    async register(scope: RequestScope, raw: unknown): Promise<ExtensionRow> {
      const { idempotencyKey, ...input } = parseInput(inputs.registerExtension, raw);
      const { tenantId, subject } = scope.principal;
      const call = callOf(scope, idempotencyKey, 'registerExtension', input);
      const known = await commands.repeated(call);
      if (known) return known;
      await contexts.require(scope.principal, input.contextId);
      await requireRoom(tenantId);
      const checked = await check(tenantId, input.release);
      const at = new Date().toISOString();
      const id = newId();
      const release = releaseRow(scope, { id, contextId: input.contextId }, input.version, input.release, checked);
      const row: ExtensionRow = {
        tenantId,
        id,
        contextId: input.contextId,
        name: input.name,
        extensionType: input.extensionType.toLowerCase() as ExtensionRow['extensionType'],
        version: input.version,
        status: 'registered',
        runtimeState: 'registered',
        displayName: input.displayName ?? null,
        description: input.description ?? null,
        category: input.category ?? null,
        keywords: [...new Set(input.keywords ?? [])],
        license: input.license ?? null,
        homepage: input.homepage ?? null,
        repository: input.repository ?? null,
        publisher: publisherOf(checked.trust),
        trustLevel: checked.trust.trustLevel,
        config: input.config ?? null,
        settings: settingsOf(checked.manifest),
        integrationTargets: null,
        grants: [],
        currentReleaseId: release.id,
        previousReleaseId: null,
        reloadedAt: null,
        deprecatedAt: null,
        installedAt: null,
        activatedAt: null,
        deactivatedAt: null,
        activationCount: 0,
        errorCount: 0,
        lastError: null,
        quarantine: null,
        governance: null,
        protocol: null,
        revision: 1,
        createdAt: at,
        createdBy: subject,
        updatedAt: at,
        updatedBy: subject,
      };
      try {
        return await commands.transact(actorOf(scope), async (tx, append) => {
          await putExtensions(tx, [row], 'insert');
          await insertRelease(tx, release, checked.bundle);
          await replaceCapabilities(tx, row, capabilitiesOf(row, checked.manifest, 'available'));
          await append(
            [extensionEvent('extension.registered', row, { releaseId: release.id })],
            { extensionId: id, action: 'extension.register', detail: { name: row.name, version: row.version } },
            call,
          );
          return row;
        });
      } catch (error) {
        // A call with the same key may have been faster: it took the name too.
        const first = isIdempotencyRace(error) || isNameTaken(error) ? await commands.repeated(call) : null;
        if (first) return first;
        if (isNameTaken(error))
          throw new PlatformError('CONFLICT', 'the context has an extension of this name', { path: ['input', 'name'] });
        throw error;
      }
    },

    /** @throws {NOT_FOUND} {PACKAGE_INVALID} {MANIFEST_INVALID} {CHECKSUM_MISMATCH} {SIGNATURE_INVALID} {CONFLICT} {INVALID_STATE} */
    async publish(
      scope: RequestScope,
      raw: unknown,
    ): Promise<{ readonly extension: ExtensionRow; readonly release: ExtensionReleaseRow }> {
      const { idempotencyKey, ...input } = parseInput(inputs.publishVersion, raw);
      const { tenantId } = scope.principal;
      const call = callOf(scope, idempotencyKey, 'publishVersion', input);
      const checked = await check(tenantId, input.release);
      const extension = await commands.change(
        actorOf(scope),
        input.extensionId,
        { call, action: 'extension.publish', type: 'extension.version.published' },
        async (row, tx) => {
          if (row.currentReleaseId === null)
            throw new PlatformError('INVALID_STATE', 'the extension came as a document: it has no code');
          const release = releaseRow(scope, row, input.version, input.release, checked);
          const others = await findReleasesOf(tx, tenantId, [row.id]);
          if (others.some(({ version }) => version === input.version))
            throw new PlatformError('CONFLICT', `the extension has a release ${input.version}`, {
              path: ['input', 'version'],
            });
          await insertRelease(tx, release, checked.bundle);
          await dropOld(tx, row, others);
          return { row: {}, told: { releaseId: release.id, releaseVersion: release.version } };
        },
      );
      const releases = await findReleasesOf(sql, tenantId, [extension.id]);
      const release = releases.find(({ version }) => version === input.version);
      if (!release) throw new PlatformError('NOT_FOUND', 'the release is no longer kept');
      return { extension, release };
    },

    /** @throws {NOT_FOUND} */
    async requireRelease(tenantId: string, extensionId: string, releaseId: string): Promise<ExtensionReleaseRow> {
      const [row] = await findReleases(sql, tenantId, [releaseId]);
      if (row?.extensionId !== extensionId)
        throw new PlatformError('NOT_FOUND', 'no such release of the extension', { path: ['input', 'releaseId'] });
      return row;
    },
  };
}

export type Registration = ReturnType<typeof createRegistration>;

export function publisherOf({ key }: Trust): ExtensionRow['publisher'] {
  if (key === null) return null;
  const { publisherId, name, email, website } = key;
  return { publisherId, name, email, website };
}

async function dropOld(tx: SqlTransaction, row: ExtensionRow, others: readonly ExtensionReleaseRow[]): Promise<void> {
  const old = others
    .slice(keptReleases - 1)
    .filter(({ id }) => id !== row.currentReleaseId && id !== row.previousReleaseId)
    .map(({ id }) => id);
  if (old.length > 0)
    await tx.unsafe(
      'DELETE FROM extension.release WHERE tenant_id = $1 AND id = ANY($2::uuid[])',
      [row.tenantId, old],
      { prepare: true },
    );
}

/** Share of what a good release has: a signature, words, schemas, a health check, codes, ranges. */
function qualityOf(manifest: Manifest, trust: Trust): number {
  const methods = manifest.capabilities.flatMap(({ interfaces }) => interfaces.flatMap((one) => one.methods));
  const shareOf = (has: (method: (typeof methods)[number]) => boolean) => methods.filter(has).length / methods.length;
  const parts = [
    trust.key === null ? 0 : 1,
    manifest.capabilities.every(({ description }) => description) ? 1 : 0,
    shareOf(({ description }) => Boolean(description)),
    shareOf(({ input_schema }) => Boolean(input_schema)),
    shareOf(({ output_schema }) => Boolean(output_schema)),
    manifest.lifecycle_hooks.health_check === undefined ? 0 : 1,
    manifest.compatibility.mplp_version === undefined ? 0 : 1,
  ];
  return Math.round((parts.reduce((sum, part) => sum + part, 0) / parts.length) * 100) / 100;
}

function isNameTaken(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'constraint_name' in error &&
    error.constraint_name === 'extension_name_key'
  );
}
