import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { holdsIn } from '#shared/rights.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { ClosedModules } from '../closedModules.ts';
import { actorOf, type Commands, callOf } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import { type Engine, shownLimits } from '../engine.ts';
import * as inputs from '../inputs.ts';
import { breakingChanges } from '../manifest/compatibility.ts';
import { flatten, furtherConditions, granting, grantOf, type Permission, widened } from '../manifest/permissions.ts';
import type { ExtensionRow, RunnableRelease } from '../rows.ts';
import { putSandbox, replaceCapabilities, replaceHooks } from '../store.ts';
import { systemSubject } from '../system.ts';
import { capabilitiesOf, hooksOf, listensBefore } from './capabilities.ts';
import type { Checks } from './checks.ts';
import { type Dependencies, requireResolved } from './dependencies.ts';
import type { Loading } from './loading.ts';
import type { Trust } from './publisherKeys.ts';
import { notFrom } from './refusals.ts';
import { publisherOf, type Registration } from './registration.ts';

export interface ReloadDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  readonly checks: Checks;
  readonly dependencies: Dependencies;
  readonly engine: Engine;
  readonly loading: Loading;
  readonly registration: Registration;
  readonly modules: ClosedModules;
}

export interface Reloaded {
  readonly extension: ExtensionRow;
  readonly fromVersion: string;
  readonly toVersion: string;
  readonly switchMs: number;
  readonly drainedCount: number;
  readonly killedCount: number;
  readonly rolledBack: boolean;
}

/**
 * Another release in the place of the one that runs, blue-green: both are there, calls go to the new one from the commit
 * on that names it, those under way end in the old one. What fails before that commit changes nothing; what is found
 * out after it is taken back by the same commit the other way round.
 */
export function createReload({ sql }: Pick<ModuleRuntime, 'sql'>, deps: ReloadDeps) {
  const { commands, contexts, checks, dependencies, engine, loading, registration, modules } = deps;

  /** The commit that moves all calls from one release to another. */
  function switchTo(
    actor: Parameters<Commands['change']>[0],
    extension: ExtensionRow,
    target: {
      readonly release: RunnableRelease;
      readonly previousReleaseId: string | null;
      readonly trust: Pick<Trust, 'trustLevel'> & { readonly publisher: ExtensionRow['publisher'] };
      readonly grants: readonly string[];
      /** What was held, and what the release that held it had asked for: further conditions stay. */
      readonly before: { readonly grants: readonly Permission[]; readonly requested: readonly Permission[] };
      readonly from: readonly ExtensionRow['runtimeState'][];
      readonly told: Readonly<Record<string, unknown>>;
      readonly reloadedAt: string | null;
      readonly call?: ReturnType<typeof callOf>;
    },
  ): Promise<ExtensionRow> {
    const { release, trust } = target;
    return commands.change(
      actor,
      extension.id,
      { action: 'extension.reload', type: 'extension.reloaded', call: target.call ?? null, evenLocked: true },
      (row) => {
        if (!target.from.includes(row.runtimeState)) throw notFrom(row, 'reloaded');
        return {
          row: {
            runtimeState: 'active',
            status: 'active',
            version: release.version,
            currentReleaseId: release.id,
            previousReleaseId: target.previousReleaseId,
            trustLevel: trust.trustLevel,
            publisher: trust.publisher,
            grants: granting(
              release.manifest.security_requirements.permissions,
              target.grants,
              furtherConditions(target.before.grants, target.before.requested),
            ),
            reloadedAt: target.reloadedAt,
          },
          told: { ...target.told, listens: listensBefore(release.manifest, row) },
          async write(tx, next) {
            await putSandbox(tx, {
              tenantId: next.tenantId,
              id: newId(),
              extensionId: next.id,
              contextId: next.contextId,
              releaseId: release.id,
              status: 'running',
              limits: shownLimits(next.settings),
              errors: [],
              recoveryAttempts: 0,
              healthFailures: 0,
              healthCheckedAt: null,
              startedAt: new Date().toISOString(),
            });
            await replaceCapabilities(tx, next, capabilitiesOf(next, release.manifest, 'active'));
            await replaceHooks(tx, next, hooksOf(next, release.manifest));
          },
        };
      },
    );
  }

  /** Puts the release before in the place of the one that runs. Nothing where that has happened already. */
  async function takeBack(extension: ExtensionRow, reason: string): Promise<ExtensionRow | null> {
    if (extension.previousReleaseId === null) return null;
    const { tenantId } = extension;
    const release = await engine.runnable(tenantId, extension.previousReleaseId);
    const current = await loading.requireExtension(tenantId, extension.id);
    if (current.currentReleaseId !== extension.currentReleaseId) return null;
    const requested = flatten(release.manifest.security_requirements.permissions);
    return switchTo({ tenantId, subject: systemSubject, scope: null }, current, {
      release,
      previousReleaseId: null,
      trust: { trustLevel: release.trustLevel, publisher: current.publisher },
      // Never more than it runs with now.
      grants: flatten(current.grants).filter((permission) => requested.includes(permission)),
      before: { grants: current.grants, requested: [] },
      from: ['active', 'reloading'],
      told: { rolledBack: true, reason, from: current.version, to: release.version },
      reloadedAt: null,
    });
  }

  /** Hands over what the old release says it has to the new one, where both know how. */
  async function handOver(extension: ExtensionRow, before: RunnableRelease, after: RunnableRelease): Promise<void> {
    const run = (release: RunnableRelease, method: string, parameters: string) =>
      engine.run({
        extension,
        release,
        method,
        parameters,
        context: JSON.stringify({ config: extension.config ?? {} }),
        timeoutMs: extension.settings.initializationTimeoutMs,
        principal: null,
        traceparent: undefined,
      });
    const offers = (release: RunnableRelease, name: string) =>
      release.manifest.capabilities.some(({ interfaces }) =>
        interfaces.some(({ methods }) => methods.some(({ method_name }) => method_name === name)),
      );
    if (!offers(before, 'exportState') || !offers(after, 'importState')) return;
    const { outcome: given } = await run(before, 'exportState', '{}');
    if (!given.ok)
      throw new PlatformError('ROLLED_BACK', `the release that runs could not hand over: ${given.failure.message}`);
    const { outcome: taken } = await run(after, 'importState', given.value);
    if (!taken.ok)
      throw new PlatformError('ROLLED_BACK', `the new release could not take over: ${taken.failure.message}`);
  }

  return {
    takeBack,

    /** @throws {INTERFACE_BREAKING} {PERMISSION_ESCALATION} {ROLLED_BACK} and what keeps a release from being loaded */
    async hotReload(scope: RequestScope, raw: unknown): Promise<Reloaded> {
      const { idempotencyKey, ...input } = parseInput(inputs.hotReload, raw);
      const actor = actorOf(scope);
      const { tenantId } = actor;
      const call = callOf(scope, idempotencyKey, 'hotReloadExtension', input);
      const known = await commands.repeated(call);
      if (known)
        return {
          extension: known,
          fromVersion: known.version,
          toVersion: known.version,
          switchMs: 0,
          drainedCount: 0,
          killedCount: 0,
          rolledBack: false,
        };
      const before = await loading.requireExtension(tenantId, input.extensionId);
      await contexts.require(scope.principal, before.contextId);
      await registration.requireRelease(tenantId, before.id, input.releaseId);
      if (before.currentReleaseId === input.releaseId)
        throw new PlatformError('INVALID_STATE', 'this release runs already', { path: ['input', 'releaseId'] });
      const [old, next] = await Promise.all([
        engine.runnable(tenantId, before.currentReleaseId!),
        engine.runnable(tenantId, input.releaseId),
      ]);
      await modules.requireOpen(tenantId, next.manifest);
      const changes = breakingChanges(old.manifest, next.manifest);
      if (changes.length > 0 && input.force !== true)
        throw new PlatformError('INTERFACE_BREAKING', `callers would miss something: ${changes.join('; ')}`, {
          details: { changes },
        });
      const requested = flatten(next.manifest.security_requirements.permissions);
      const held = flatten(before.grants);
      // What was taken away from the release that runs does not come back with the next one.
      const asked = old.manifest.security_requirements.permissions;
      const wanted = widened(asked, next.manifest.security_requirements.permissions);
      const approved = await isApproved(tenantId, next.id);
      if (wanted.length > 0 && !approved)
        throw new PlatformError('PERMISSION_ESCALATION', `the release asks for more: ${wanted.join(', ')}`, {
          details: { permissions: wanted },
        });
      const more = await grantOf({
        requested: wanted,
        trustLevel: next.trustLevel,
        holds: (permission) => holdsIn(scope.principal, permission, before.contextId),
      });
      const moving = await commands.change(
        actor,
        before.id,
        { action: 'extension.reload.begin', type: 'extension.status.changed', expectedVersion: input.expectedVersion },
        (row) => {
          if (row.runtimeState !== 'active') throw notFrom(row, 'reloaded');
          if (row.currentReleaseId !== old.id) throw new PlatformError('INVALID_STATE', 'another release runs by now');
          return { row: { runtimeState: 'reloading' } };
        },
      );
      let trust: Trust;
      try {
        trust = await checks.requireSound(next);
        checks.requireConfig(next, moving.config);
        requireResolved((await dependencies.resolve(moving, next)).resolution);
        await checks.requireStart(moving, next);
        await checks.runHook(moving, next, 'pre_activate');
        await checks.runHook(moving, next, 'health_check');
        await handOver(moving, old, next);
      } catch (error) {
        engine.forget(tenantId, before.id, next.id);
        await commands.change(
          actor,
          before.id,
          { action: 'extension.reload.abandon', type: 'extension.status.changed', evenLocked: true },
          (row) =>
            row.runtimeState === 'reloading' ? { row: { runtimeState: 'active' }, told: { rolledBack: true } } : null,
        );
        if (error instanceof PlatformError)
          throw new PlatformError('ROLLED_BACK', `${error.code}: ${error.message}`, { details: { code: error.code } });
        throw error;
      }
      const startedMs = performance.now();
      const at = new Date().toISOString();
      let extension = await switchTo(actor, moving, {
        release: next,
        previousReleaseId: old.id,
        trust: { trustLevel: trust.trustLevel, publisher: publisherOf(trust) },
        // What is held under conditions that the release leaves out is granted anew, or lost.
        grants: [...held.filter((one) => requested.includes(one) && !wanted.includes(one)), ...more],
        before: { grants: before.grants, requested: asked },
        from: ['reloading'],
        told: { rolledBack: false, from: old.version, to: next.version },
        reloadedAt: at,
        call,
      });
      const switchMs = performance.now() - startedMs;
      const { before: underWay, left } = await engine.drain(
        extension,
        old,
        input.drainTimeoutMs ?? extension.settings.shutdownTimeoutMs,
      );
      const killedCount = left > 0 ? engine.kill(extension, old) : 0;
      let rolledBack = false;
      try {
        await checks.runHook(extension, next, 'post_activate');
      } catch (error) {
        const returned = await takeBack(extension, String(error));
        rolledBack = returned !== null;
        extension = returned ?? extension;
      }
      engine.forget(tenantId, before.id, rolledBack ? next.id : old.id);
      return {
        extension,
        fromVersion: old.version,
        toVersion: next.version,
        switchMs,
        drainedCount: underWay - killedCount,
        killedCount,
        rolledBack,
      };
    },
  };

  /** The confirm of a release comes after it was read into memory. */
  async function isApproved(tenantId: string, releaseId: string): Promise<boolean> {
    const [row] = (await sql.unsafe(
      'SELECT approved_by FROM extension.release WHERE tenant_id = $1 AND id = $2',
      [tenantId, releaseId],
      { prepare: true },
    )) as unknown as { approved_by: string | null }[];
    return row?.approved_by != null;
  }
}

export type Reload = ReturnType<typeof createReload>;
