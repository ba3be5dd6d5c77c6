import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { actorOf, callOf } from '../commands.ts';
import * as inputs from '../inputs.ts';
import type { ExtensionRow, SettingsValue } from '../rows.ts';
import { findReleasesOf, lockRoom, replaceCapabilities } from '../store.ts';
import { capabilitiesOf } from './capabilities.ts';
import { requireResolved } from './dependencies.ts';
import { notFrom } from './refusals.ts';
import { publisherOf } from './registration.ts';
import { createStarting, type Loaded, type LoadingDeps } from './starting.ts';

/** Installs and starts extensions. A step that fails leaves the state `error` and says why. */
export function createLoading(runtime: ModuleRuntime, deps: LoadingDeps) {
  const { sql } = runtime;
  const { commands, contexts, checks, dependencies, engine, modules } = deps;
  const { requireExtension, fail, start } = createStarting(runtime, deps);

  /** @throws {QUOTA_EXCEEDED} while as many are being installed as may be */
  async function requireTurn(tx: SqlTransaction, tenantId: string): Promise<void> {
    const most = runtime.config.QUOTA_CONCURRENT_INSTALLS_PER_TENANT;
    await lockRoom(tx, tenantId);
    const [row] = (await tx.unsafe(
      `SELECT count(*)::int AS n FROM extension.extension WHERE tenant_id = $1 AND runtime_state = 'installing'`,
      [tenantId],
      { prepare: true },
    )) as unknown as { n: number }[];
    if (row!.n >= most)
      throw new PlatformError('QUOTA_EXCEEDED', `a tenant installs at most ${most} extensions at the same time`, {
        retryAfterMs: 1_000,
      });
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
      await modules.requireOpen(tenantId, release.manifest);
      const settings = mergedSettings(before.settings, input.settings);
      const moving = await commands.change(
        actor,
        before.id,
        { action: 'extension.install', type: 'extension.status.changed', expectedVersion: input.expectedVersion },
        async (row, tx) => {
          if (row.runtimeState !== 'registered') throw notFrom(row, 'installed');
          await requireTurn(tx, tenantId);
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
        await fail(scope, before.id, { from: 'installing', error });
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
          phases: { validateMs: 0, resolveMs: 0, sandboxMs: 0, initMs: 0, healthMs: 0 },
        };
      return start(scope, {
        extensionId: input.extensionId,
        releaseId: null,
        config: input.config,
        grants: input.grants ?? null,
        integrationTargets: input.integrationTargets?.map(({ module, configuration }) => ({
          ...{ module, configuration: configuration ?? null },
        })),
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

function mergedSettings(
  before: SettingsValue,
  given: { readonly [Name in keyof SettingsValue]?: SettingsValue[Name] | null | undefined } | null | undefined,
): SettingsValue {
  const known = Object.entries(given ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return { ...before, ...Object.fromEntries(known) };
}
