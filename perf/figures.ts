/**
 * Figures that are no budget rows: start, memory, what one small query costs the gateway, the flow of governed work, and
 * what the modules' algorithms and stores do by themselves (`perf/probes`, each in a process of its own).
 *   node perf/figures.ts [--duration S] [--only PART] [--output FOLDER]   -> figures.md, figures.json
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readBudgets } from './budgets.ts';
import { createPerfRun, defaultDataDir } from './environment.ts';
import { type Figure, figuresMarkdown } from './figure.ts';
import { describeMachine, readCommit } from './machine.ts';
import type { PerfEnvironment } from './scenario.ts';
import { measureOverhead, measureQuery, measureStart } from './scenarios/gateway.ts';
import { measureGovernedFlow } from './scenarios/governedFlow.ts';

const parts: Readonly<Record<string, (environment: PerfEnvironment, seconds: number) => Promise<Figure[]>>> = {
  start: () => measureStart(defaultDataDir),
  overhead: () => measureOverhead(),
  query: measureQuery,
  flow: measureGovernedFlow,
  decision: () => runProbe('decision.ts'),
  plans: () => runProbe('scheduling.ts', '2000'),
  spans: () => runProbe('traceIngest.ts'),
  votes: () => runProbe('schulze.ts'),
  sandbox: () => runProbe('sandbox.ts'),
  networks: () => runProbe('networkRouting.ts'),
  steps: () => runProbe('workflowSteps.ts'),
  cache: () => runProbe('cacheHitRatio.ts'),
  limits: () => runProbe('rateLimits.ts'),
};

/** What a probe tells; what it prints goes to stderr. */
async function runProbe(file: string, ...arguments_: readonly string[]): Promise<Figure[]> {
  const script = fileURLToPath(new URL(`probes/${file}`, import.meta.url));
  const child = spawn(process.execPath, [script, ...arguments_], { stdio: ['ignore', 2, 2, 'ipc'] });
  const figures: Figure[] = [];
  child.on('message', (told) => figures.push(...(told as Figure[])));
  // What it told last may come after its end.
  const [[code]] = (await Promise.all([once(child, 'exit'), once(child, 'disconnect')])) as [[number | null], unknown];
  if (code !== 0) throw new Error(`perf/probes/${file} ended with ${code}`);
  if (figures.length === 0) throw new Error(`perf/probes/${file} told no figure`);
  return figures;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      duration: { type: 'string', default: '20' },
      only: { type: 'string' },
      output: { type: 'string' },
    },
  });
  const chosen = Object.entries(parts).filter(([name]) => values.only === undefined || values.only === name);
  if (chosen.length === 0) throw new Error(`--only: expected one of ${Object.keys(parts).join(', ')}`);
  const folder = values.output ?? fileURLToPath(new URL('report', import.meta.url));
  const run = createPerfRun({ budgets: readBudgets(), smoke: false, dataDir: defaultDataDir });
  const { environment, close } = run.open('figures', null);
  try {
    const figures: Figure[] = [];
    for (const [, measure] of chosen) figures.push(...(await measure(environment, Number(values.duration))));
    const text = figuresMarkdown(figures);
    console.log(text);
    // A part alone is a look at it, not the report.
    if (values.only !== undefined && values.output === undefined) return;
    mkdirSync(folder, { recursive: true });
    const machine = describeMachine();
    const about = { at: new Date().toISOString(), commit: readCommit(), machine };
    writeFileSync(`${folder}/figures.json`, `${JSON.stringify({ ...about, figures }, null, 2)}\n`);
    writeFileSync(
      `${folder}/figures.md`,
      `# Figures beside the budgets\n\n${about.at}, commit ${about.commit}. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, Node ${machine.node}\n\n${text}`,
    );
  } finally {
    await close();
    await run.close();
  }
}

if (import.meta.main) await main();
