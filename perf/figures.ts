/**
 * Figures that are no budget rows: start, memory, what one small query costs the gateway, the flow of governed work.
 *   node perf/figures.ts [--duration S] [--only start|overhead|query|flow] [--output FOLDER]   -> figures.md, figures.json
 */
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
};

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
    const about = { at: new Date().toISOString(), commit: readCommit(), machine: describeMachine() };
    writeFileSync(`${folder}/figures.json`, `${JSON.stringify({ ...about, figures }, null, 2)}\n`);
    writeFileSync(
      `${folder}/figures.md`,
      `# Figures beside the budgets\n\n${about.at}, commit ${about.commit}\n\n${text}`,
    );
  } finally {
    await close();
    await run.close();
  }
}

if (import.meta.main) await main();
