import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { holdsIn } from '#shared/rights.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { ClosedModules } from '../closedModules.ts';
import { actorOf, type Commands, type callOf, unknownExtension } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import { type Engine, shownLimits } from '../engine.ts';
import { moduleOf } from '../integrations.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { flatten, granting, grantOf, refusalOf } from '../manifest/permissions.ts';
import type {
  ExtensionCapabilityRow,
  ExtensionRow,
  ExtensionSandboxRow,
  FailureValue,
  Json,
  RunnableRelease,
  ValidationValue,
} from '../rows.ts';
import { findExtensions, lockRoom, putSandbox, replaceCapabilities, replaceHooks, setSandboxStatus } from '../store.ts';
import { capabilitiesOf, hooksOf, listensBefore } from './capabilities.ts';
import type { Checks } from './checks.ts';
import { type Dependencies, requireResolved } from './dependencies.ts';
import { notFrom, notGranted } from './refusals.ts';
import { publisherOf } from './registration.ts';

export interface LoadingDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  readonly checks: Checks;
  readonly dependencies: Dependencies;
  readonly engine: Engine;
  readonly modules: ClosedModules;
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
    readonly initMs: number;
    readonly healthMs: number;
  };
}

/** How long a start of a dependency that is under way elsewhere is waited for: as long as one may take. */
const startedElsewhereMs = 30_000;
const lookAgainMs = 50;

/** What a release could be integrated with: modules at whose points it is heard, and core where it offers anything. */
function requireTargets(manifest: Manifest, targets: NonNullable<ExtensionRow['integrationTargets']>): void {
  const known = new Set(manifest.hooks.map(({ point }) => moduleOf(point)));
  if (manifest.capabilities.length > 0) known.add('core');
  for (const [at, { module }] of targets.entries())
    if (!known.has(module))
      throw new PlatformError(
        'VALIDATION_FAILED',
        `module: expected ${[...known].sort().join(', ') || 'none'}, got ${module}`,
        { path: ['input', 'integrationTargets', at, 'module'] },
      );
}

/** Starts extensions, and says why one could not be started. */
export function createStarting(runtime: ModuleRuntime, deps: LoadingDeps) {
  const { sql, config } = runtime;
  const { commands, contexts, checks, dependencies, engine, modules } = deps;

  async function requireExtension(tenantId: string, id: string): Promise<ExtensionRow> {
    const [row] = await findExtensions(sql, tenantId, [id]);
    if (!row || row.runtimeState === 'uninstalled') throw unknownExtension(id);
    if (row.currentReleaseId === null)
      throw new PlatformError('INVALID_STATE', 'the extension came as a document: it has no code');
    return row;
  }

  /** Leaves `error` behind; the failure itself is the caller's to hear. */
  async function fail(
    scope: RequestScope,
    id: string,
    { from, error }: { readonly from: 'installing' | 'activating'; readonly error: unknown },
  ): Promise<void> {
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
      (row) =>
        // Whoever has put it elsewhere meanwhile, into quarantine above all, has the last word.
        row.runtimeState !== from
          ? null
          : {
              row: { runtimeState: 'error', status: 'inactive', errorCount: row.errorCount + 1, lastError: failure },
              told: { error: failure },
              write: (tx, next) => setSandboxStatus(tx, next, 'error', failure),
            },
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

  /** One after the other of a tenant, until the end of the transaction: however many start at once, no more run. */
  async function requireRoom(tx: SqlTransaction, tenantId: string): Promise<void> {
    await lockRoom(tx, tenantId);
    const [row] = (await tx.unsafe(
      `SELECT count(*)::int AS n FROM extension.extension WHERE tenant_id = $1 AND runtime_state IN ('activating', 'active', 'reloading')`,
      [tenantId],
      { prepare: true },
    )) as unknown as { n: number }[];
    if (row!.n >= config.QUOTA_ACTIVE_EXTENSIONS_PER_TENANT)
      throw new PlatformError(
        'QUOTA_EXCEEDED',
        `a tenant runs at most ${config.QUOTA_ACTIVE_EXTENSIONS_PER_TENANT} extensions`,
      );
  }

  /**
   * Starts what another needs; false where somebody else is starting it, or has, which is waited for.
   * @throws what keeps it from being started {DEPENDENCY_CONFLICT} where another of its releases runs by then
   */
  async function startNeeded(
    scope: RequestScope,
    { extensionId, releaseId }: { readonly extensionId: string; readonly releaseId: string },
  ): Promise<boolean> {
    const nothingOwn = { config: undefined, grants: null, expectedVersion: null, call: null };
    const { tenantId } = scope.principal;
    const endsAtMs = performance.now() + startedElsewhereMs;
    for (;;) {
      const [row] = await findExtensions(sql, tenantId, [extensionId]);
      const isElsewhere = row?.runtimeState === 'activating' || row?.runtimeState === 'reloading';
      if (row?.runtimeState === 'active') {
        if (row.currentReleaseId === releaseId) return false;
        throw new PlatformError('DEPENDENCY_CONFLICT', `${row.name} ${row.version} runs by now: resolve anew`);
      }
      if (!isElsewhere || performance.now() > endsAtMs) {
        try {
          await start(scope, { extensionId, releaseId, ...nothingOwn });
          return true;
        } catch (error) {
          // Somebody was faster between the look and the start.
          const state = error instanceof PlatformError ? error.details?.['runtimeState'] : null;
          const isTaken = state === 'ACTIVATING' || state === 'ACTIVE' || state === 'RELOADING';
          if (!isTaken || performance.now() > endsAtMs) throw error;
        }
      }
      await sleep(lookAgainMs);
    }
  }

  /** Starts one extension and first whatever it needs. `path` holds those that are being started for it. */
  async function start(
    scope: RequestScope,
    input: {
      readonly extensionId: string;
      readonly releaseId: string | null;
      readonly config: Json | null | undefined;
      readonly grants: readonly string[] | null;
      /** What stands where it is left out. */
      readonly integrationTargets?: ExtensionRow['integrationTargets'] | undefined;
      readonly expectedVersion: number | null | undefined;
      readonly call: ReturnType<typeof callOf>;
    },
  ): Promise<Loaded> {
    const actor = actorOf(scope);
    const { tenantId } = actor;
    const before = await requireExtension(tenantId, input.extensionId);
    await contexts.require(scope.principal, before.contextId);
    const releaseId = input.releaseId ?? before.currentReleaseId!;
    const release = await engine.runnable(tenantId, releaseId);
    const settings = input.config === undefined ? before.config : input.config;
    // What the caller got wrong changes nothing; all that follows is the extension's own doing.
    checks.requireConfig(release, settings);
    // A tenant may open the module again: what needs it waits, and is in no error.
    await modules.requireOpen(tenantId, release.manifest);
    const integrationTargets = input.integrationTargets ?? before.integrationTargets;
    requireTargets(release.manifest, input.integrationTargets ?? []);
    const grants = await grantsFor(scope, before, release, input.grants);
    const moving = await commands.change(
      actor,
      before.id,
      { action: 'extension.activate', type: 'extension.status.changed', expectedVersion: input.expectedVersion },
      async (row, tx) => {
        if (row.runtimeState !== 'installed' && row.runtimeState !== 'inactive') throw notFrom(row, 'started');
        if (row.deprecatedAt !== null) throw new PlatformError('INVALID_STATE', 'the extension is deprecated');
        await requireRoom(tx, tenantId);
        return { row: { runtimeState: 'activating', config: settings, integrationTargets } };
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
        if (await startNeeded(scope, candidate)) started.push(candidate.extensionId);
      }
      mark();
      const initMs = await checks.requireStart(moving, release);
      mark();
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
              grants: granting(release.manifest.security_requirements.permissions, grants),
              activatedAt: at,
              activationCount: row.activationCount + 1,
              lastError: null,
            },
            told: { listens: listensBefore(release.manifest, row) },
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
      const rounded = (ms: number) => Math.round(ms * 100) / 100;
      const phase = (n: number) => rounded(marks[n + 1]! - marks[n]!);
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
        phases: {
          ...{ validateMs: phase(0), resolveMs: phase(1), healthMs: phase(4) },
          ...{ sandboxMs: rounded(Math.max(0, marks[3]! - marks[2]! - initMs)) },
          initMs: rounded(initMs + marks[4]! - marks[3]!),
        },
      };
    } catch (error) {
      engine.forget(tenantId, before.id);
      await fail(scope, before.id, { from: 'activating', error });
      throw error;
    }
  }

  return { requireExtension, fail, start };
}
