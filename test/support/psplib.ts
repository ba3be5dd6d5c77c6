import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Precedence, SchedulingProblem } from '../../subgraphs/plan/scheduling/problem.ts';

export interface PsplibInstance {
  readonly file: string;
  readonly problem: SchedulingProblem;
  /** Upper end of the best known makespan; null where the table has none. */
  readonly bestKnown: number | null;
  /** The best known makespan is the optimum. */
  readonly proven: boolean;
}

const folder = join(process.cwd(), '..', 'shared', 'data', 'psplib');

/** The instances of PSPLIB (Kolisch and Sprecher 1996) that lie beside the project; null where they are absent. */
export function loadPsplib(): PsplibInstance[] | null {
  if (!existsSync(folder)) return null;
  const bounds = new Map(
    readFileSync(join(folder, 'best-known.csv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(',') as [string, string]),
  );
  const files = readdirSync(folder).filter((file) => file.endsWith('.sm'));
  return files.sort(byJobsThenName).map((file) => {
    const bound = bounds.get(file);
    return {
      file,
      problem: parsePsplib(readFileSync(join(folder, file), 'utf8')),
      bestKnown: bound === undefined ? null : Number(bound.split('..').at(-1)),
      proven: bound !== undefined && !bound.includes('..'),
    };
  });
}

/** @throws {Error} when a section of the single-mode format is missing */
export function parsePsplib(text: string): SchedulingProblem {
  const lines = text.split(/\r?\n/);
  const section = (title: string, skip: number): number[][] => {
    const head = lines.findIndex((line) => line.startsWith(title));
    if (head < 0) throw new Error(`expected a section "${title}", got none`);
    const rows: number[][] = [];
    for (const line of lines.slice(head + 1 + skip)) {
      if (line.startsWith('*')) break;
      rows.push(line.trim().split(/\s+/).map(Number));
    }
    return rows;
  };
  const successorRows = section('PRECEDENCE RELATIONS', 1);
  const requestRows = section('REQUESTS/DURATIONS', 2);
  const capacities = section('RESOURCEAVAILABILITIES', 1)[0]!;
  const precedences = successorRows.flatMap(([job, , , ...successors]) =>
    successors.map((to): Precedence => ({ from: job! - 1, to: to - 1, type: 'finish_to_start', lag: 0 })),
  );
  return {
    durations: Int32Array.from(requestRows, (row) => row[2]!),
    demands: Int32Array.from(requestRows.flatMap((row) => row.slice(3))),
    resources: capacities.map((capacity) => ({ capacity })),
    precedences,
  };
}

function byJobsThenName(left: string, right: string): number {
  const jobs = (file: string) => (file.startsWith('j120') ? 120 : Number(file.slice(1, 3)));
  return jobs(left) - jobs(right) || left.localeCompare(right);
}
