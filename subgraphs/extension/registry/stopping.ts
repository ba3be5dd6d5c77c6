import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type Actor, type Commands, type callOf, unknownExtension } from '../commands.ts';
import type { Engine } from '../engine.ts';
import type { ExtensionRow, RuntimeStateValue } from '../rows.ts';
import { findExtensions, setCapabilityStatus, setSandboxStatus } from '../store.ts';
import { systemSubject } from '../system.ts';
import type { Checks } from './checks.ts';
import type { Dependencies } from './dependencies.ts';
import { notFrom } from './refusals.ts';

export interface StoppingDeps {
  readonly commands: Commands;
  readonly checks: Checks;
  readonly dependencies: Dependencies;
  readonly engine: Engine;
}

export const running: readonly RuntimeStateValue[] = ['active', 'reloading'];

export type Stopping = ReturnType<typeof createStopping>;

/** Ends what runs: for whoever asks, and for what has lost what it needs. */
export function createStopping({ sql, logger }: ModuleRuntime, deps: StoppingDeps) {
  const { commands, checks, dependencies, engine } = deps;

  /** @throws {INVALID_STATE} and what `require` throws */
  async function stop(
    actor: Actor,
    extensionId: string,
    options: {
      readonly reason: string | null;
      readonly call?: ReturnType<typeof callOf>;
      readonly expectedVersion?: number | null | undefined;
      readonly evenLocked?: boolean;
      /** Asked under the lock. */
      readonly require?: (row: ExtensionRow, tx: Parameters<Dependencies['findDependants']>[1]) => Promise<void>;
    },
  ): Promise<ExtensionRow> {
    const { reason, call = null, expectedVersion, evenLocked = false } = options;
    const told = { reason };
    const leaving = await commands.change(
      actor,
      extensionId,
      { action: 'extension.deactivate', type: 'extension.status.changed', expectedVersion, evenLocked },
      async (row, tx) => {
        if (!running.includes(row.runtimeState)) throw notFrom(row, 'stopped');
        await options.require?.(row, tx);
        return { row: { runtimeState: 'deactivating' }, told };
      },
    );
    const release = await engine.runnable(actor.tenantId, leaving.currentReleaseId!);
    // What is under way ends; what does not is ended with the sandbox.
    const { left } = await engine.drain(leaving, release, leaving.settings.shutdownTimeoutMs);
    if (left > 0) engine.kill(leaving, release);
    await checks.runHook(leaving, release, 'pre_deactivate').catch(() => null);
    const row = await commands.change(
      actor,
      extensionId,
      { call, action: 'extension.deactivated', type: 'extension.status.changed', evenLocked: true },
      (current) => {
        if (current.runtimeState !== 'deactivating') return null;
        return {
          row: { runtimeState: 'inactive', status: 'inactive', deactivatedAt: new Date().toISOString() },
          told,
          async write(tx, next) {
            await setSandboxStatus(tx, next, 'stopped');
            await setCapabilityStatus(tx, next, 'inactive');
          },
        };
      },
    );
    if (row.runtimeState === 'inactive') await checks.runHook(row, release, 'post_deactivate').catch(() => null);
    engine.forget(row.tenantId, row.id);
    return row;
  }

  return {
    stop,

    /** Stops those that need one which is gone, and first those that need them; what cannot be stopped is told in the log. */
    async stopDependants(gone: ExtensionRow): Promise<void> {
      const actor: Actor = { tenantId: gone.tenantId, subject: systemSubject, scope: null };
      const seen = new Set([gone.id]);
      const visit = async (row: ExtensionRow, needs: string): Promise<void> => {
        for (const { id } of await dependencies.findDependants(row)) {
          if (seen.has(id)) continue;
          seen.add(id);
          try {
            const [dependant] = await findExtensions(sql, gone.tenantId, [id]);
            if (dependant === undefined) throw unknownExtension(id);
            await visit(dependant, dependant.name);
            await stop(actor, id, { reason: `${needs}, which it needs, does not run any more`, evenLocked: true });
          } catch (error) {
            logger.warn(
              { extensionId: id, error: String(error) },
              'an extension that lost what it needs was not stopped',
            );
          }
        }
      };
      await visit(gone, gone.name);
    },
  };
}
