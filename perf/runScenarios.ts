import { allRows, type Budgets } from './budgets.ts';
import { createPerfRun } from './environment.ts';
import { createProgress } from './load/progress.ts';
import type { Durability } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scenario } from './scenario.ts';
import { createServerShelf, type ServerShelf } from './serverShelf.ts';
import { judge } from './verdict.ts';

export interface ScenarioRunOptions {
  readonly budgets: Budgets;
  /** Those of one file share databases and servers in a smoke run. */
  readonly scenarios: readonly (Scenario & { readonly file?: string })[];
  readonly isWanted: (row: string) => boolean;
  readonly smoke: boolean;
  readonly durationSeconds: number | undefined;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  /** @default console.log */
  readonly print?: (line: string) => void;
}

export interface ScenarioRunOutcome {
  readonly measurements: readonly Measurement[];
  readonly attempted: ReadonlySet<string>;
  /** Scenarios that threw, answered wrongly, or (smoke) had an error or left a row out. */
  readonly failures: number;
  readonly durability: Durability | null;
}

/** Why a smoke measurement does not pass; null when it does. */
function smokeProblem(measurement: Measurement): string | null {
  if (measurement.wrong > 0) return `wrong answers: ${measurement.wrongExamples.join(' | ')}`;
  const errors = Object.entries(measurement.errors);
  if (errors.length > 0)
    return `errors: ${errors.map(([code, times]) => `${code} ${times}`).join(', ')} ${measurement.wrongExamples[0] ?? ''}`;
  return measurement.operations === 0 ? 'nothing was asked' : null;
}

/** Timings need the machine to themselves; right answers do not, and a window of a second is mostly waiting. */
const smokeLanes = 3;

/** Runs the scenarios one after the other, in a smoke run some beside each other; one that throws does not stop the rest. */
export async function runScenarios(options: ScenarioRunOptions): Promise<ScenarioRunOutcome> {
  const print = options.print ?? console.log;
  const rows = new Map(allRows(options.budgets).map((row) => [row.id, row]));
  const run = createPerfRun(options);
  const measurements: Measurement[] = [];
  const attempted = new Set<string>();
  let failures = 0;

  async function runScenario(scenario: Scenario, index: number, shelf: ServerShelf | null): Promise<void> {
    const progress =
      process.stderr.isTTY && !options.smoke
        ? createProgress({ total: 1, label: `${index + 1}/${options.scenarios.length}` })
        : null;
    const lines: string[] = [];
    let failed = false;
    for (const row of scenario.rows) if (options.isWanted(row)) attempted.add(row);
    const opened = run.open(scenario.title, progress, shelf);
    const startedMs = performance.now();
    try {
      progress?.update(0, scenario.title);
      const found = (await scenario.run(opened.environment)).filter((measurement) => options.isWanted(measurement.row));
      for (const measurement of found) {
        const row = rows.get(measurement.row);
        if (!row || !scenario.rows.includes(measurement.row)) {
          throw new Error(`it answered with ${measurement.row}, which is none of its rows`);
        }
        measurements.push(measurement);
        const problem = options.smoke ? smokeProblem(measurement) : null;
        const verdict = judge(row, measurement);
        failed ||= problem !== null || verdict.kind === 'wrong answers';
        const text = options.smoke ? (problem ?? 'right') : `${verdict.kind}: ${verdict.reason}`;
        lines.push(`  ${measurement.row} (${measurement.variant}) ${text}`);
      }
      const left = scenario.rows.filter(
        (row) => options.isWanted(row) && !found.some((measurement) => measurement.row === row),
      );
      failed ||= left.length > 0;
      for (const row of left) lines.push(`  ${row} not measured: the scenario gave no figure for it`);
    } catch (error) {
      failed = true;
      lines.push(`  failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    try {
      await opened.close();
    } catch (error) {
      failed = true;
      lines.push(`  failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    progress?.done();
    if (failed) failures += 1;
    print(`${failed ? 'FAILED ' : ''}${scenario.title} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
    for (const line of lines) print(line);
  }

  const groups = Map.groupBy(options.scenarios.entries(), ([index, { file }]) =>
    options.smoke && file !== undefined ? file : index,
  );
  const waiting = groups.values();
  async function runLane(): Promise<void> {
    for (const group of waiting) {
      const shelf = options.smoke ? createServerShelf() : null;
      for (const [index, scenario] of group) await runScenario(scenario, index, scenario.alone ? null : shelf);
      await shelf?.close();
    }
  }
  try {
    await Promise.all(Array.from({ length: options.smoke ? smokeLanes : 1 }, runLane));
    return { measurements, attempted, failures, durability: run.durability };
  } finally {
    await run.close();
  }
}
