import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createClosedModules } from './closedModules.ts';
import { createCommands } from './commands.ts';
import { createContexts } from './contexts.ts';
import { createDiscovery } from './discovery/discover.ts';
import { createEngine } from './engine.ts';
import { createBreakers } from './execution/breakers.ts';
import { createCrashes } from './execution/crashes.ts';
import { createExecute } from './execution/execute.ts';
import { createRecorder } from './execution/recorder.ts';
import { readExtensionHealth, readExtensionMetrics } from './figures.ts';
import { readDependencyGraph } from './graph.ts';
import { createHooks } from './hooks.ts';
import { createBroker } from './host/broker.ts';
import { createChecks } from './registry/checks.ts';
import { createConfirms } from './registry/confirms.ts';
import { createDependencies } from './registry/dependencies.ts';
import { createLifecycle } from './registry/lifecycle.ts';
import { createLoading } from './registry/loading.ts';
import { createPublisherKeys } from './registry/publisherKeys.ts';
import { createRegistration } from './registry/registration.ts';
import { createReload } from './registry/reload.ts';
import { createStopping } from './registry/stopping.ts';
import type { ExtensionRow, ExtensionSandboxRow } from './rows.ts';
import { createUpkeep } from './upkeep.ts';

export type ExtensionService = ReturnType<typeof createExtensionService>;

/** Everything the extension module does; resolvers, jobs and consumers call it. */
export function createExtensionService(runtime: ModuleRuntime) {
  const { sql, bus, logger } = runtime;
  const commands = createCommands(runtime);
  const contexts = createContexts(runtime);
  const engine = createEngine(runtime, createBroker(runtime));
  const keys = createPublisherKeys(runtime);
  const modules = createClosedModules(runtime);
  const checks = createChecks({ engine, keys });
  const dependencies = createDependencies(runtime);
  const registration = createRegistration(runtime, { commands, contexts, keys });
  const loading = createLoading(runtime, { commands, contexts, checks, dependencies, engine, modules });
  const shared = { commands, contexts, checks, dependencies, engine, modules, loading, registration };
  const stopping = createStopping(runtime, shared);
  const lifecycle = createLifecycle({ ...shared, stopping });
  const reload = createReload(runtime, shared);
  const breakers = createBreakers();
  const recorder = createRecorder(runtime);
  const execute = createExecute(runtime, {
    engine,
    contexts,
    breakers,
    recorder,
    crashed: createCrashes(runtime, { quarantine: lifecycle.putInQuarantine, takeBack: reload.takeBack }),
  });
  const hooks = createHooks(runtime, { contexts, execute });
  const discovery = createDiscovery(runtime, { modules });
  const confirms = createConfirms(runtime, commands);
  const upkeep = createUpkeep(runtime, { commands, engine, checks, stopping });
  let followed: readonly { catchUp(): Promise<void>; close(): Promise<void> }[] = [];

  /** What other instances have changed: their sandboxes of it are not ours to keep. */
  function onEvents(events: readonly unknown[]): void {
    for (const event of events as readonly EventRow[]) {
      if (!event.type?.startsWith('extension.') || !isId(event.streamId)) continue;
      const extension = event.data['extension'] as ExtensionRow | undefined;
      if (extension === undefined) continue;
      const runs = ['active', 'reloading', 'installing', 'activating', 'deactivating'].includes(extension.runtimeState);
      if (!runs) engine.forget(event.tenantId, extension.id);
    }
  }

  return {
    sql,
    contexts,
    engine,
    modules,
    keys,
    registration,
    loading,
    lifecycle,
    reload,
    execute,
    hooks,
    discovery,
    upkeep,

    dependencyGraph: (extension: ExtensionRow) => readDependencyGraph({ engine, dependencies }, extension),
    metrics: (extension: ExtensionRow, hours: number) => readExtensionMetrics(sql, extension, hours),
    health: (extension: ExtensionRow, sandbox: ExtensionSandboxRow | null) =>
      readExtensionHealth(sql, extension, { sandbox, breakers }),

    jobs: () => upkeep.jobs(),

    async start(): Promise<StartedModule> {
      const unsubscribe = bus.subscribe('extension', onEvents);
      const consumers = [await contexts.follow(), await confirms.follow(), ...(await hooks.follow())];
      followed = consumers;
      engine.warm().catch((error: unknown) => logger.warn({ error: String(error) }, 'no sandbox could be made ready'));
      return {
        async close() {
          unsubscribe();
          await Promise.all(consumers.map((consumer) => consumer.close()));
          await recorder.drain();
          modules.close();
          discovery.close();
          await engine.close();
        },
      };
    },

    /** Reads everything other modules have told so far; for tests. */
    async catchUp(): Promise<void> {
      for (const consumer of followed) await consumer.catchUp();
    },

    async close(): Promise<void> {
      await recorder.drain();
      modules.close();
      discovery.close();
      await engine.close();
    },
  };
}
