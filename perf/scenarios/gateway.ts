import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Figure, figure } from '../figure.ts';
import { agentTokens, boundBy } from '../moduleMix.ts';
import { cachesOff } from '../profile.ts';
import { profilingEnvironment } from '../profiling.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { startServerProcess } from '../serverProcess.ts';
import type { ContextParams } from '../workloads/context.ts';
import { contextSeed } from './context.ts';

/** None: no budget row asks for them. `perf/figures.ts` measures them. */
export const scenarios: readonly Scenario[] = [];

const idleMs = 10_000;
const probeOperations = 10_000;
const queriesPerSecond = 200;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The first start on an empty data folder and the next one on it, embedded PostgreSQL included. */
export async function measureStart(dataDir: string): Promise<Figure[]> {
  const folder = `${dataDir}/start-${process.pid}`;
  const start = () =>
    startServerProcess({ dataDir: folder, logFile: `${dataDir}/logs/start.log`, env: { DATABASE_URL: '' } });
  try {
    const first = await start();
    await first.stop();
    const second = await start();
    await sleep(idleMs);
    const bytes = second.residentBytes() ?? 0;
    await second.stop();
    return [
      figure('first start until ready', first.readyAfterMs / 1000, 's', {
        below: 15,
        note: 'empty data folder: initdb, PostgreSQL, migrations',
      }),
      figure('next start until ready', second.readyAfterMs / 1000, 's', { below: 5, note: 'PostgreSQL started anew' }),
      figure('resident memory when idle', bytes / 2 ** 20, 'MB', {
        below: 350,
        note: `${idleMs / 1000} s after the start, PostgreSQL aside`,
      }),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One entity through the in-process gateway without HTTP, a constant in place of the database: what the layers themselves cost. */
export async function measureOverhead(): Promise<Figure[]> {
  const probe = fileURLToPath(new URL('../probes/dataSources.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [probe, String(probeOperations)], {
    timeout: 300_000,
    maxBuffer: 10_000_000,
  });
  const read = (row: string): number => {
    const line = stdout.split('\n').find((text) => text.includes(`'${row}'`) || text.includes(`│ ${row} `));
    const value =
      line?.match(/'(\d+(?:\.\d+)?)'/g)?.[0]?.replaceAll("'", '') ?? line?.match(/│\s+(\d+(?:\.\d+)?)\s+│/)?.[1];
    if (value === undefined) throw new Error(`the probe printed no row "${row}":\n${stdout}`);
    return Number(value);
  };
  return [
    figure('gateway per one-entity query, in-process', read('executor, data source: compiled'), 'us CPU', {
      below: 150,
      note: 'executor with the compiled data source, response caches off; perf/probes/dataSources.ts',
    }),
    figure('the same over the stock data source', read('executor, data source: stock'), 'us CPU'),
    figure('Apollo Server over it, without HTTP', read('Apollo Server over it: compiled'), 'us CPU'),
  ];
}

/** The same query as clients ask it: HTTP, authentication, one row of 100,000 by id. */
export async function measureQuery(environment: PerfEnvironment, durationSeconds: number): Promise<Figure[]> {
  const design = environment.design('l2.context_module.get_context');
  const seed = contextSeed(environment, design);
  const figures: Figure[] = [];
  for (const variant of ['caches off', 'caches on']) {
    const database = await environment.prepareDatabase(seed);
    const env = { ...profilingEnvironment(), ...(variant === 'caches off' ? cachesOff : {}) };
    const server = await environment.startServer({ database, env });
    const params: ContextParams = {
      contexts: seed.contexts,
      tokens: await agentTokens(server, 10),
      mix: { get_context: 1 },
    };
    const result = await environment.load({
      workload: new URL('../workloads/context.ts', import.meta.url),
      params,
      server,
      database,
      arrival: { kind: 'open', ratePerSecond: queriesPerSecond },
      warmupSeconds: 5,
      durationSeconds,
    });
    if (result.wrong > 0 || result.errorCount > 0)
      throw new Error(`wrong answers or errors: ${result.wrongExamples.join(' | ')}`);
    const note = `${queriesPerSecond}/s, p95 ${result.latency.p95Ms.toFixed(1)} ms; ${boundBy(result)}`;
    figures.push(
      figure(`one-entity query at the HTTP server, ${variant}`, result.cpu.serverUs ?? 0, 'us CPU', { note }),
    );
    if (result.cpu.databaseUs !== null)
      figures.push(figure(`PostgreSQL for it, ${variant}`, result.cpu.databaseUs, 'us CPU'));
    await server.stop();
  }
  return figures;
}
