import { agentTokens, measureBeside, measureMix, variants } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { perfTenant, seedContexts } from '../seeds/context.ts';
import { type ExtensionSeed, seedExtensions } from '../seeds/extension.ts';
import type { RunningServer } from '../serverProcess.ts';
import type { ExtensionParams } from '../workloads/extension.ts';
import type { ReloadParams } from '../workloads/extensionReload.ts';

const rows = {
  extension_discovery: 'l2.extension_module.extension_discovery',
  load_extension: 'l2.extension_module.load_extension',
  execute_extension: 'l2.extension_module.execute_extension',
} as const;
const reloadRow = 'l2.extension_module.hot_reload';
const workload = new URL('../workloads/extension.ts', import.meta.url);
const contexts = 20;
const running = 50;
const callers = 20;
/** Searches beside each hot reload. */
const besidePerSecond = 10;

function seedOf(environment: PerfEnvironment): ExtensionSeed {
  const { extensions = 0 } = environment.design(rows.extension_discovery).dataSet;
  return environment.smoke
    ? { contexts, extensions: 1_000, running: 10, installed: 100 }
    : { contexts, extensions, running, installed: 500 };
}

function extensionSeed(seed: ExtensionSeed): SeedOptions {
  return {
    name: `extensions${seed.extensions}`,
    version: 1,
    async load(sql, log) {
      await seedContexts(sql, seed.contexts, log);
      await seedExtensions(sql, seed, log);
    },
  };
}

/** How long the index of a hundred thousand extensions may take. */
const indexMs = 120_000;
const adminOf = (server: RunningServer) => server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] });

/** A search that came while the index was being built may have run out of time. */
async function searches(server: RunningServer, admin: string): Promise<boolean> {
  const response = await fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}` },
    body: JSON.stringify({ query: '{ discoverExtensions(query: { text: "dock" }, first: 1) { totalCount } }' }),
  });
  const { data } = (await response.json()) as { readonly data?: { readonly discoverExtensions: unknown } | null };
  return data?.discoverExtensions != null;
}

async function paramsOf(
  environment: PerfEnvironment,
  server: RunningServer,
  mix: ExtensionParams['mix'],
): Promise<ExtensionParams> {
  const params = {
    seed: seedOf(environment),
    tokens: await agentTokens(server, callers),
    admin: await adminOf(server),
    mix,
  };
  // The first search of a tenant builds its index: a minute old, a server has it.
  for (const until = performance.now() + indexMs; !(await searches(server, params.admin)); )
    if (performance.now() > until) throw new Error(`no search was answered within ${indexMs} ms`);
  return params;
}

export const scenarios: readonly Scenario[] = [
  {
    rows: Object.values(rows),
    title: 'extension mix',
    run(environment) {
      const { mix } = environment.design(rows.extension_discovery);
      return measureMix<ExtensionParams>(environment, {
        designRow: rows.extension_discovery,
        seed: extensionSeed(seedOf(environment)),
        workload,
        params: (server) => paramsOf(environment, server, mix),
        rows,
        smokeVariants: variants.slice(0, 1),
        notes: ({ facts: { pages = 0, found = 0 } }) => ({
          extension_discovery: [`${(found / Math.max(1, pages)).toFixed(1)} extensions a page`],
        }),
      });
    },
  },
  {
    rows: [reloadRow],
    title: 'hot reload',
    run(environment) {
      const seed = seedOf(environment);
      return measureBeside<ReloadParams>(environment, {
        row: reloadRow,
        operation: 'hot_reload',
        seed: extensionSeed(seed),
        workload: new URL('../workloads/extensionReload.ts', import.meta.url),
        params: async (server) => ({ seed, admin: await adminOf(server), url: server.url }),
        beside: {
          workload,
          ratePerSecond: besidePerSecond,
          params: (server) => paramsOf(environment, server, { extension_discovery: 100 }),
        },
        notes: ({ facts: { reloads = 0, calls = 0, failed = 0, switchMs = 0 } }) => [
          `${calls} calls under way over ${reloads} reloads, ${failed} lost; the switch itself ${(switchMs / Math.max(1, reloads)).toFixed(1)} ms`,
        ],
      });
    },
  },
];
