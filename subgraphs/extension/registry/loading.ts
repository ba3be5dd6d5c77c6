import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { holdsIn } from '#shared/rights.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { actorOf, type Commands, callOf, unknownExtension } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import { type Engine, shownLimits } from '../engine.ts';
import * as inputs from '../inputs.ts';
import { flatten, grantOf, refusalOf, structured } from '../manifest/permissions.ts';
import type {
  ExtensionCapabilityRow,
  ExtensionRow,
  ExtensionSandboxRow,
  FailureValue,
  Json,
  RunnableRelease,
  SettingsValue,
  ValidationValue,
} from '../rows.ts';
import {
  findExtensions,
  findReleasesOf,
  putSandbox,
  replaceCapabilities,
  replaceHooks,
  setSandboxStatus,
} from '../store.ts';
import { capabilitiesOf, hooksOf, listensBefore } from './capabilities.ts';
import type { Checks } from './checks.ts';
import { type Dependencies, requireResolved } from './dependencies.ts';
import { publisherOf } from './registration.ts';

export interface LoadingDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  readonly checks: Checks;
  readonly dependencies: Dependencies;
  readonly engine: Engine;
}

export interface Loaded {
  readonly extension: ExtensionRow;
  readonly sandbox: ExtensionSandboxRow | null;
  readonly capabilities: readonly ExtensionCapabilityRow[];
  readonly validation: ValidationValue;
  readonly dependencies: readonly string[];
  readonly phases: {
    readonly validateMs: number;
    readonly resolveMs: number;
    readonly sandboxMs: number;
    readonly healthMs: number;
  };
}

/** Installs and starts extensions. A step that fails leaves the state `error` and says why. */
export function createLoading(runtime: ModuleRuntime, deps: LoadingDeps) {
  const { sql, config } = runtime;
  const { commands, contexts, checks, dependencies, engine } = deps;

  async function requireExtension(tenantId: string, id: string): Promise<ExtensionRow> {
    const [row] = await findExtensions(sql, tenantId, [id]);
    if (!row || row.runtimeState === 'uninstalled') throw unknownExtension(id);
    if (row.currentReleaseId === null)
      throw new PlatformError('INVALID_STATE', 'the extension came as a document: it has no code');
    return row;
  }

  /** Leaves `error` behind; the failure itself is the caller's to hear. */
  async function fail(scope: RequestScope, id: string, error: unknown): Promise<void> {
    const at = new Date().toISOString();
    const failure: FailureValue = {
      type: 'load',
      code: error instanceof PlatformError ? error.code : 'INTERNAL_ERROR',
      message: error instanceof PlatformError ? error.message : 'an unexpected failure',
      at,
    };
    await commands.change(
      actorOf(scope),
      id,
      { action: 'extension.fail', type: 'extension.status.changed', evenLocked: true },
      (row) => ({
        row: { runtimeState: 'error', status: 'inactive', errorCount: row.errorCount + 1, lastError: failure },
        told: { error: failure },
        write: (tx, next) => setSandboxStatus(tx, next, 'error', failure),
      }),
    );
  }

  /** What of the request the caller may grant at all. @throws {PERMISSION_NOT_GRANTED} for what is asked by name and is not */
  async function grantsFor(
    scope: RequestScope,
    { contextId }: ExtensionRow,
    { manifest, trustLevel }: RunnableRelease & { readonly trustLevel: number },
    wanted: readonly string[] | null,
  ): Promise<readonly string[]> {
    const requested = flatten(manifest.security_requirements.permissions);
    const holds = (permission: string) => holdsIn(scope.principal, permission, contextId);
    const question = { requested, trustLevel, holds };
    if (wanted === null) return grantOf(question);
    for (const permission of wanted) {
      const refusal = await refusalOf(permission, question);
      if (refusal !== null) throw notGranted(permission, refusal);
    }
    return wanted;
  }

  async function requireRoom(tenantId: string): Promise<void> {
    const [row] = (await sql.unsafe(
      `SELECT count(*)::int AS n FROM extension.extension WHERE tenant_id = $1 AND runtime_state = 'active'`,
      [tenantId],
      { prepare: true },
    )) as unknown as { n: number }[];
    if (row!.n >= config.QUOTA_ACTIVE_EXTENSIONS_PER_TENANT)
      throw new PlatformError(
        'QUOTA_EXCEEDED',
        `a tenant runs at most ${config.QUOTA_ACTIVE_EXTENSIONS_PER_TENANT} extensions`,
      );
  }

  /** Starts one extension and first whatever it needs. `path` holds those that are being started for it. */
  async function start(
    scope: RequestScope,
    input: {
      readonly extensionId: string;
      readonly releaseId: string | null;
      readonly config: Json | null | undefined;
      readonly grants: readonly string[] | null;
      readonly expectedVersion: number | null | undefined;
      readonly call: ReturnType<typeof callOf>;
    },
  ): Promise<Loaded> {
    const actor = actorOf(scope);
    const { tenantId } = actor;
    const before = await requireExtension(tenantId, input.extensionId);
    await contexts.require(scope.principal, before.contextId);
    await requireRoom(tenantId);
    const releaseId = input.releaseId ?? before.currentReleaseId!;
    const release = await engine.runnable(tenantId, releaseId);
    const settings = input.config === undefined ? before.config : input.config;
    // What the caller got wrong changes nothing; all that follows is the extension's own doing.
    checks.requireConfig(release, settings);
    const grants = await grantsFor(scope, before, release, input.grants);
    const moving = await commands.change(
      actor,
      before.id,
      { action: 'extension.activate', type: 'extension.status.changed', expectedVersion: input.expectedVersion },
      (row) => {
        if (row.runtimeState !== 'installed' && row.runtimeState !== 'inactive') throw notFrom(row, 'started');
        if (row.deprecatedAt !== null) throw new PlatformError('INVALID_STATE', 'the extension is deprecated');
        return { row: { runtimeState: 'activating', config: settings } };
      },
    );
    try {
      const marks = [performance.now()];
      const mark = () => void marks.push(performance.now());
      const trust = await checks.requireSound(release);
      mark();
      const order = requireResolved((await dependencies.resolve(moving, release)).resolution);
      const started: string[] = [];
      for (const candidate of order) {
        if (candidate.extensionId === before.id || candidate.running) continue;
        await start(scope, {
          extensionId: candidate.extensionId,
          releaseId: candidate.releaseId,
          config: undefined,
          grants: null,
          expectedVersion: null,
          call: null,
        });
        started.push(candidate.extensionId);
      }
      mark();
      await checks.requireStart(moving, release);
      await checks.runHook(moving, release, 'pre_activate');
      mark();
      await checks.runHook(moving, release, 'health_check');
      mark();
      let sandbox: ExtensionSandboxRow | null = null;
      let capabilities: readonly ExtensionCapabilityRow[] = [];
      const at = new Date().toISOString();
      const extension = await commands.change(
        actor,
        before.id,
        { action: 'extension.activated', type: 'extension.status.changed', call: input.call },
        (row) => {
          if (row.runtimeState !== 'activating') throw notFrom(row, 'started');
          return {
            row: {
              runtimeState: 'active',
              status: 'active',
              version: release.version,
              currentReleaseId: release.id,
              trustLevel: trust.trustLevel,
              publisher: publisherOf(trust),
              grants: structured(grants),
              activatedAt: at,
              activationCount: row.activationCount + 1,
              lastError: null,
            },
            told: { listens: listensBefore(release.manifest) },
            async write(tx, next) {
              sandbox = await putSandbox(tx, {
                tenantId,
                id: newId(),
                extensionId: next.id,
                contextId: next.contextId,
                releaseId: release.id,
                status: 'running',
                limits: shownLimits(next.settings),
                errors: [],
                recoveryAttempts: 0,
                healthFailures: 0,
                healthCheckedAt: release.manifest.lifecycle_hooks.health_check === undefined ? null : at,
                startedAt: at,
              });
              capabilities = await replaceCapabilities(tx, next, capabilitiesOf(next, release.manifest, 'active'));
              await replaceHooks(tx, next, hooksOf(next, release.manifest));
            },
          };
        },
      );
      await checks.runHook(extension, release, 'post_activate').catch((error: unknown) => {
        runtime.logger.warn(
          { extensionId: extension.id, error: String(error) },
          'an extension failed after it was started',
        );
      });
      const phase = (n: number) => Math.round((marks[n + 1]! - marks[n]!) * 100) / 100;
      return {
        extension,
        sandbox,
        capabilities,
        validation: {
          manifestValid: true,
          packageIntegrityVerified: true,
          compatibilityVerified: true,
          dependenciesResolved: true,
          securityApproved: trust.key !== null,
        },
        dependencies: started,
        phases: { validateMs: phase(0), resolveMs: phase(1), sandboxMs: phase(2), healthMs: phase(3) },
      };
    } catch (error) {
      engine.forget(tenantId, before.id);
      await fail(scope, before.id, error);
      throw error;
    }
  }

  return {
    requireExtension,

    /** Eight steps, in the order of the protocol's documentation. @throws what the first that fails says */
    async install(scope: RequestScope, raw: unknown): Promise<ExtensionRow> {
      const { idempotencyKey, ...input } = parseInput(inputs.installExtension, raw);
      const actor = actorOf(scope);
      const { tenantId } = actor;
      const call = callOf(scope, idempotencyKey, 'installExtension', input);
      const known = await commands.repeated(call);
      if (known) return known;
      const before = await requireExtension(tenantId, input.extensionId);
      await contexts.require(scope.principal, before.contextId);
      const newest = (await findReleasesOf(sql, tenantId, [before.id]))[0];
      const release = await engine.runnable(tenantId, input.releaseId ?? newest?.id ?? before.currentReleaseId!);
      if (release.extensionId !== before.id)
        throw new PlatformError('NOT_FOUND', 'no such release of the extension', { path: ['input', 'releaseId'] });
      const config = input.config === undefined ? before.config : input.config;
      checks.requireConfig(release, config);
      const settings = mergedSettings(before.settings, input.settings);
      const moving = await commands.change(
        actor,
        before.id,
        { action: 'extension.install', type: 'extension.status.changed', expectedVersion: input.expectedVersion },
        (row) => {
          if (row.runtimeState !== 'registered') throw notFrom(row, 'installed');
          return { row: { runtimeState: 'installing', config, settings } };
        },
      );
      let installed: ExtensionRow;
      try {
        // Manifest and integrity; the package is here already. Then dependencies, and that it runs at all.
        const trust = await checks.requireSound(release);
        requireResolved((await dependencies.resolve(moving, release)).resolution);
        await checks.runHook(moving, release, 'pre_install');
        await checks.requireStart(moving, release);
        await checks.runHook(moving, release, 'post_install');
        installed = await commands.change(
          actor,
          before.id,
          { action: 'extension.installed', type: 'extension.status.changed', call },
          (row) => {
            if (row.runtimeState !== 'installing') throw notFrom(row, 'installed');
            return {
              row: {
                runtimeState: 'installed',
                status: 'registered',
                currentReleaseId: release.id,
                version: release.version,
                trustLevel: trust.trustLevel,
                publisher: publisherOf(trust),
                installedAt: new Date().toISOString(),
              },
              async write(tx, next) {
                await replaceCapabilities(tx, next, capabilitiesOf(next, release.manifest, 'available'));
                await tx.unsafe(
                  `UPDATE extension.release SET validation = validation || '{"dependenciesResolved": true, "compatibilityVerified": true}' WHERE tenant_id = $1 AND id = $2`,
                  [tenantId, release.id],
                  { prepare: true },
                );
              },
            };
          },
        );
      } catch (error) {
        engine.forget(tenantId, before.id);
        await fail(scope, before.id, error);
        throw error;
      }
      if (!settings.autoStart) return installed;
      return (
        await start(scope, {
          extensionId: installed.id,
          releaseId: null,
          config: undefined,
          grants: null,
          expectedVersion: null,
          call: null,
        })
      ).extension;
    },

    /** @throws {CHECKSUM_MISMATCH} {SIGNATURE_INVALID} {DEPENDENCY_CONFLICT} {PERMISSION_NOT_GRANTED} {INIT_TIMEOUT} {SANDBOX_FAILED} */
    async load(scope: RequestScope, raw: unknown): Promise<Loaded> {
      const { idempotencyKey, ...input } = parseInput(inputs.loadExtension, raw);
      const call = callOf(scope, idempotencyKey, 'loadExtension', input);
      const known = await commands.repeated(call);
      if (known)
        return {
          extension: known,
          sandbox: null,
          capabilities: [],
          validation: (await engine.runnable(known.tenantId, known.currentReleaseId!)).validation,
          dependencies: [],
          phases: { validateMs: 0, resolveMs: 0, sandboxMs: 0, healthMs: 0 },
        };
      return start(scope, {
        extensionId: input.extensionId,
        releaseId: null,
        config: input.config,
        grants: input.grants ?? null,
        expectedVersion: input.expectedVersion,
        call,
      });
    },

    /** @throws {NOT_FOUND} {VALIDATION_FAILED} {VERSION_CONFLICT} */
    async updateConfig(scope: RequestScope, raw: unknown): Promise<ExtensionRow> {
      const { idempotencyKey, ...input } = parseInput(inputs.updateConfig, raw);
      const { tenantId } = scope.principal;
      const call = callOf(scope, idempotencyKey, 'updateExtensionConfig', input);
      const before = await requireExtension(tenantId, input.extensionId);
      await contexts.require(scope.principal, before.contextId);
      const release = await engine.runnable(tenantId, before.currentReleaseId!);
      const row = await commands.change(
        actorOf(scope),
        before.id,
        {
          call,
          action: 'extension.configure',
          type: 'extension.config.updated',
          expectedVersion: input.expectedVersion,
        },
        (current) => {
          const config = input.config === undefined ? current.config : input.config;
          checks.requireConfig(release, config);
          return { row: { config, settings: mergedSettings(current.settings, input.settings) } };
        },
      );
      // It begins anew with what it is told now.
      engine.forget(tenantId, row.id);
      return row;
    },
  };
}

export type Loading = ReturnType<typeof createLoading>;

export function notFrom({ runtimeState }: ExtensionRow, what: string): PlatformError {
  return new PlatformError('INVALID_STATE', `an extension that is ${runtimeState.toUpperCase()} cannot be ${what}`, {
    details: { runtimeState: runtimeState.toUpperCase() },
  });
}

export function notGranted(permission: string, refusal: string): PlatformError {
  const why: Readonly<Record<string, string>> = {
    'not requested': 'the release does not ask for it',
    trust: 'its publisher is not trusted enough for it',
    'not held': 'the caller does not hold it',
  };
  return new PlatformError('PERMISSION_NOT_GRANTED', `${permission}: ${why[refusal] ?? refusal}`, {
    details: { permission, reason: refusal },
  });
}

function mergedSettings(
  before: SettingsValue,
  given: { readonly [Name in keyof SettingsValue]?: SettingsValue[Name] | null | undefined } | null | undefined,
): SettingsValue {
  const known = Object.entries(given ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return { ...before, ...Object.fromEntries(known) };
}
