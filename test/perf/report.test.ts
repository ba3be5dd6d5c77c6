import { expect, test } from 'vitest';
import { readBudgets } from '../../perf/budgets.ts';
import type { Measurement } from '../../perf/measurement.ts';
import type { HistoryEntry } from '../../perf/reporting/history.ts';
import { renderMarkdown } from '../../perf/reporting/markdown.ts';
import { renderPage } from '../../perf/reporting/page.ts';
import {
  countVerdicts,
  createReport,
  type Report,
  type ReportInput,
  type RunInfo,
} from '../../perf/reporting/report.ts';

const budgets = readBudgets();
const getContext = 'l2.context_module.get_context';

function runInfo(id: string): RunInfo {
  return {
    id,
    at: '2026-01-02T03:04:05.000Z',
    commit: 'abc1234',
    machine: { cpu: 'a <cpu>', cores: 2, memoryGb: 8, kernel: 'linux', node: 'v24', loadBefore: 0.1 },
    durability: { version: '18.1', fsync: 'on', synchronousCommit: 'on', fullPageWrites: 'on', unloggedTables: 0 },
    profile: { QUOTA: '1' },
    durationSeconds: null,
  };
}

function measured(overrides: Partial<Measurement> = {}): Measurement {
  return {
    row: getContext,
    variant: 'caches on',
    latency: { count: 1_000, minMs: 1, meanMs: 5, p50Ms: 4, p95Ms: 12.5, p99Ms: 20, maxMs: 30 },
    operations: 1_000,
    errors: {},
    wrong: 0,
    wrongExamples: [],
    load: 'open loop, 1000/s poisson, 60 s',
    targetPerSecond: 1_000,
    achievedPerSecond: 1_001,
    ...overrides,
  };
}

function report(measurements: readonly Measurement[], overrides: Partial<ReportInput> = {}): Report {
  const rows = new Set(measurements.map((measurement) => measurement.row));
  return createReport({
    budgets,
    run: runInfo('now'),
    measurements,
    measurable: rows,
    attempted: rows,
    earlier: null,
    ...overrides,
  });
}

const verdictOf = (of: Report, id = getContext): string => of.rows.find((row) => row.id === id)!.verdict.kind;

test('what was not answered is held against what fell due, where random gaps made that less than the rate', () => {
  const answered = (asked: number, achieved: number) =>
    verdictOf(report([measured({ askedPerSecond: asked, achievedPerSecond: achieved })]));
  expect(answered(850, 849)).toBe('holds');
  expect(answered(850, 700)).toBe('missed');
  expect(answered(1_200, 940)).toBe('missed');
});

test('a row without a measurement is not measured, in the data and on every page', () => {
  const empty = report([]);
  expect(countVerdicts(empty.rows)).toEqual({
    holds: 0,
    missed: 0,
    'wrong answers': 0,
    invalid: 0,
    'not measured': 100,
  });
  const markdown = renderMarkdown(empty);
  const page = renderPage(empty, []);
  for (const row of empty.rows) expect(markdown).toContain(`- \`${row.id}\` (${row.bound}): not measured`);
  // One badge a row, besides the tile.
  expect(page.match(/<span class="badge none"[^>]*>not measured<\/span>/g)).toHaveLength(100);
  expect(page).not.toContain('badge good');
});

test.each<[string, Partial<Measurement>, string]>([
  ['p95 and p99 within', {}, 'holds'],
  ['p95 over', { latency: { ...measured().latency!, p95Ms: 50.1 } }, 'missed'],
  ['p99 over twice the bound', { latency: { ...measured().latency!, p99Ms: 100.1 } }, 'missed'],
  ['one wrong answer', { wrong: 1, wrongExamples: ['x'] }, 'wrong answers'],
  ['1 % of errors', { errors: { INTERNAL_ERROR: 10 } }, 'holds'],
  ['over 1 % of errors', { errors: { INTERNAL_ERROR: 11 } }, 'missed'],
  ['the rate was not answered', { achievedPerSecond: 900 }, 'missed'],
  [
    'missed with clients that were late',
    { latency: { ...measured().latency!, p95Ms: 60 }, invalid: 'late' },
    'invalid',
  ],
  [
    'missed with clients late by more than half of the bound',
    { latency: { ...measured().latency!, p95Ms: 60 }, clientLag: { p50Ms: 1, p99Ms: 26 } },
    'invalid',
  ],
  [
    'missed with clients late by less',
    { latency: { ...measured().latency!, p95Ms: 60 }, clientLag: { p50Ms: 1, p99Ms: 24 } },
    'missed',
  ],
  ['held in spite of late clients', { invalid: 'late' }, 'holds'],
  ['nothing timed', { latency: { ...measured().latency!, count: 0 } }, 'not measured'],
])('a latency row with %s', (_, overrides, expected) => {
  expect(verdictOf(report([measured(overrides)]))).toBe(expected);
});

test.each<[string, Partial<Measurement>, string]>([
  ['its own p99 and CPU within', {}, 'holds'],
  ['its own p99 over', { latency: { ...measured().latency!, p99Ms: 20.1 } }, 'missed'],
  ['CPU over', { cpu: { serverUs: 20.1, databaseUs: 1, clientUs: 1 } }, 'missed'],
])('a row that has to hold more than the guide’s figure, with %s', (_, overrides, expected) => {
  const row = 'l2.dialog_module.real_time_updates';
  const within = { row, cpu: { serverUs: 19.9, databaseUs: 1, clientUs: 1 } };
  expect(verdictOf(report([measured({ ...within, ...overrides })]), row)).toBe(expected);
});

test.each<[string, Partial<Measurement>, string]>([
  ['the rate', { achieved: 1_000 }, 'holds'],
  ['less', { achieved: 999 }, 'missed'],
  ['the rate with one error', { achieved: 2_000, errors: { TIMEOUT: 1 } }, 'missed'],
  ['no rate', {}, 'not measured'],
])('a throughput row with %s', (_, overrides, expected) => {
  const row = 'throughput.api_endpoints.context_operations';
  expect(verdictOf(report([measured({ row, ...overrides })]), row)).toBe(expected);
});

test('what another run measured stays with its date until the row is run again', () => {
  const before = report([measured()], { run: runInfo('before') });
  const measurable = new Set([getContext]);
  const kept = report([], { earlier: before, measurable });
  expect(verdictOf(kept)).toBe('holds');
  expect(kept.rows.find((row) => row.id === getContext)!.columns[0]!.runId).toBe('before');
  expect(renderPage(kept, [])).toContain('measured 2026-01-02 at abc1234');
  // Both name the run of each row; in Markdown by its place in the list of runs.
  const markdown = renderMarkdown({ ...kept, run: { ...kept.run, at: '2026-02-03T00:00:00.000Z' } });
  expect(markdown).toContain('1 of 1 lines are of earlier ones');
  const place = /^\| (\d) \| 2026-01-02T03:04:05.000Z \| abc1234 .* \| as designed \| 1 \|$/m.exec(markdown)![1];
  expect(markdown).toMatch(new RegExp(`get_context.* \\| ${place} \\| `));
  // Its scenario ran and found nothing, or is gone: what was is no longer so.
  expect(verdictOf(report([], { earlier: before, measurable, attempted: measurable }))).toBe('not measured');
  expect(verdictOf(report([], { earlier: before }))).toBe('not measured');
});

test('the page shows figures, bound, columns, durability and history, and escapes what it is given', () => {
  const off = measured({
    variant: 'caches off',
    boundBy: '<fsync>',
    cachedShare: 0.934,
    cpu: { serverUs: 120, databaseUs: 40, clientUs: 30 },
  });
  const history = [10, 11, 12.5].map(
    (figure, index): HistoryEntry => ({
      runId: `r${index}`,
      at: '',
      commit: null,
      cpu: '',
      row: getContext,
      variant: 'caches on',
      verdict: 'holds',
      figure,
      p99Ms: 20,
    }),
  );
  const page = renderPage(report([measured(), off]), history);
  for (const text of [
    'caches on',
    'caches off',
    '12.5',
    'fsync on',
    'synchronous_commit on',
    'full_page_writes on',
    '93 %',
    'server 120',
  ]) {
    expect(page).toContain(text);
  }
  expect(page).toContain('bound by &lt;fsync&gt;');
  expect(page).toContain('a &lt;cpu&gt;');
  expect(page).toContain('last 3 runs: 10, 11, 12.5');
  expect(page).not.toMatch(/https?:\/\//);
  expect(page).not.toContain('<script');
});
