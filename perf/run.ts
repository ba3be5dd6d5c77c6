import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { allRows, readBudgets } from './budgets.ts';
import { discoverScenarios } from './discover.ts';
import { defaultDataDir } from './environment.ts';
import { describeMachine, readCommit } from './machine.ts';
import { perfProfile } from './profile.ts';
import { countVerdicts } from './reporting/report.ts';
import { writeReport } from './reporting/write.ts';
import { runScenarios } from './runScenarios.ts';

const usage = `npm run perf                       every scenario; report in perf/report/
npm run perf -- --rows PREFIX      scenarios of the rows that begin so (repeatable)
npm run perf -- --smoke            every scenario for a second: answers must be right, nothing is timed or written
npm run perf -- --duration S       windows of S seconds instead of the scenarios' own
npm run perf -- --list             rows, and whether a scenario measures them
npm run perf -- --output FOLDER    report elsewhere
DATABASE_URL                       PostgreSQL to measure on; an embedded one under .data/perf otherwise`;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', multiple: true },
    smoke: { type: 'boolean', default: false },
    duration: { type: 'string' },
    list: { type: 'boolean', default: false },
    output: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const durationSeconds = values.duration === undefined ? undefined : Number(values.duration);
  if (durationSeconds !== undefined && !(durationSeconds > 0))
    throw new Error(`expected --duration in seconds, got ${values.duration}`);
  const budgets = readBudgets();
  const scenarios = await discoverScenarios(budgets);
  const measurable = new Set(scenarios.flatMap((scenario) => scenario.rows));
  if (values.list) {
    for (const row of allRows(budgets))
      console.log(`${measurable.has(row.id) ? 'scenario    ' : 'not measured'} ${row.id}`);
    return 0;
  }
  const prefixes = values.rows ?? [''];
  const isWanted = (row: string): boolean => prefixes.some((prefix) => row.startsWith(prefix));
  const chosen = scenarios.filter((scenario) => scenario.rows.some(isWanted));
  if (chosen.length === 0) {
    console.error(`no scenario measures a row that begins with ${prefixes.join(' or ')}`);
    return 1;
  }

  const machine = describeMachine();
  const at = new Date().toISOString();
  if (!values.smoke) console.log(`server settings: ${JSON.stringify(perfProfile)}`);
  const outcome = await runScenarios({
    budgets,
    scenarios: chosen,
    isWanted,
    smoke: values.smoke,
    durationSeconds,
    dataDir: defaultDataDir,
    databaseUrl: process.env['DATABASE_URL'],
  });
  if (values.smoke) {
    console.log(`smoke: ${chosen.length} scenarios, ${outcome.failures} with wrong answers or errors`);
    return outcome.failures === 0 ? 0 : 1;
  }
  const folder = values.output ?? fileURLToPath(new URL('./report', import.meta.url));
  const report = writeReport(folder, {
    budgets,
    run: {
      id: randomUUID(),
      at,
      commit: readCommit(),
      machine,
      durability: outcome.durability,
      profile: perfProfile,
      durationSeconds: durationSeconds ?? null,
    },
    measurements: outcome.measurements,
    measurable,
    attempted: outcome.attempted,
  });
  const counts = countVerdicts(report.rows);
  console.log(
    `${report.rows.length} rows: ${Object.entries(counts)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', ')}`,
  );
  console.log(`report: ${folder}/report.html`);
  // A missed bound is a finding, not a failure of the run; wrong answers and scenarios that broke are.
  return outcome.failures === 0 ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
