import type { Consumer } from '#shared/consumer.ts';
import type { JobHandler } from '#shared/jobs.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createAnalyses } from './analyses.ts';
import { createConfirms } from './approval/confirms.ts';
import { createCircuits } from './circuits.ts';
import { createCommands } from './commands.ts';
import { createConnectionQueue } from './connectionQueue.ts';
import { createConnections } from './connections.ts';
import { createContexts } from './contexts.ts';
import { createSeeking } from './discovery/seeking.ts';
import { createEdits } from './edits.ts';
import { createForesight } from './foresight.ts';
import { createHealth } from './health.ts';
import { createHeartbeats } from './heartbeats.ts';
import { createNetworkImports } from './imports.ts';
import { createNetworkLifecycle } from './lifecycle.ts';
import { createLinks } from './links.ts';
import { createMessages } from './messages.ts';
import { createNetworkChanges } from './networkChanges.ts';
import { createNetworks } from './networks.ts';
import { createNodes } from './nodes.ts';
import { createOptimizations } from './optimizations.ts';
import { createProbes } from './probes.ts';
import { createRoutes } from './routes.ts';
import { createSamples } from './samples.ts';
import { createServices } from './services.ts';
import { createTopologies } from './topologies.ts';

/** Detection is promised within five seconds; a node of one heartbeat a second is given up after about one and a half. */
const sweepEveryMs = 250;
const waitEveryMs = 1_000;
const expireEveryMs = 5_000;

export type NetworkService = ReturnType<typeof createNetworkService>;

export function createNetworkService(runtime: ModuleRuntime) {
  const { sql, logger } = runtime;
  const commands = createCommands(runtime);
  const contexts = createContexts(runtime, commands);
  const topologies = createTopologies();
  const networks = createNetworks(runtime, { commands, contexts });
  const edits = createEdits(commands, networks.describe);
  const circuits = createCircuits(runtime, commands);
  const heartbeats = createHeartbeats(runtime, edits, circuits);
  const services = createServices(runtime, commands, topologies);
  const messages = createMessages(runtime, commands, topologies);
  const samples = createSamples(runtime, commands);
  const probes = createProbes(runtime, commands, circuits);
  const foresight = createForesight(runtime, commands);
  const confirms = createConfirms(runtime, { commands, topologies });
  const queue = createConnectionQueue(runtime, { commands, topologies });
  let followers: readonly Consumer[] = [];

  return {
    sql,
    learn: contexts.learn,
    networks,
    imports: createNetworkImports({ networks, contexts }),
    lifecycle: createNetworkLifecycle(createNetworkChanges(commands), commands),
    nodes: createNodes(edits),
    links: createLinks(edits),
    heartbeats,
    circuits,
    probes,
    connections: createConnections(runtime, { commands, topologies, probes }),
    queue,
    optimizations: createOptimizations(runtime, commands, topologies),
    analyses: createAnalyses(runtime),
    routes: createRoutes(runtime, topologies),
    samples,
    foresight,
    services,
    seeking: createSeeking(runtime, commands, services),
    messages,
    health: createHealth(runtime, heartbeats),

    /** Reads everything other modules have told so far; for tests. */
    async catchUp(): Promise<void> {
      for (const follower of followers) await follower.catchUp();
    },

    async start(): Promise<StartedModule> {
      followers = await Promise.all([contexts.follow(async () => {}), confirms.follow()]);
      const closers = [
        repeat(sweepEveryMs, 'a sweep of heartbeats', () => heartbeats.sweep()),
        repeat(waitEveryMs, 'a look at connections that wait', () => queue.sweep()),
        repeat(expireEveryMs, 'the end of services and messages', async () => {
          await services.expire();
          await messages.expire();
        }),
      ];
      return {
        async close() {
          await Promise.all(closers.map((close) => close()));
          await heartbeats.drain();
          await Promise.all(followers.map((follower) => follower.close()));
        },
      };
    },

    jobs(): Readonly<Record<string, JobHandler>> {
      return {
        sample: async () => void (await samples.sample()),
        foresee: async () => void (await foresight.run()),
      };
    },
  };

  /** Does something again and again, never twice at the same time. */
  function repeat(everyMs: number, what: string, work: () => Promise<unknown>): () => Promise<void> {
    let active: Promise<unknown> | null = null;
    const timer = setInterval(() => {
      active ??= work()
        .catch((error: unknown) => logger.warn({ error: String(error) }, `${what} failed; the next follows`))
        .finally(() => {
          active = null;
        });
    }, everyMs);
    return async () => {
      clearInterval(timer);
      await active;
    };
  }
}

/** graphile-worker's crontab: minute hour day month weekday task. */
export const networkCrontab = ['* * * * * network.sample', '*/15 * * * * network.foresee'];
