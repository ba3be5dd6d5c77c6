import { formatCpu, formatMs, formatNumber, notesOf } from './format.ts';
import { type Column, countVerdicts, type Report, type ReportRow, type RunInfo } from './report.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function columnLine(row: ReportRow, column: Column, nameOfRun: ReadonlyMap<string, string>): string {
  const { measurement, verdict } = column;
  const { latency, cachedShare } = measurement;
  return [
    `\`${row.id}\``,
    row.bound,
    column.variant,
    verdict.kind === 'holds' ? 'holds' : `**${verdict.kind}** (${cell(verdict.reason)})`,
    measurement.achieved === undefined ? '' : formatNumber(measurement.achieved),
    formatMs(latency?.p50Ms),
    formatMs(latency?.p95Ms),
    formatMs(latency?.p99Ms),
    formatCpu(measurement.cpu),
    cachedShare === undefined ? '' : `${Math.round(cachedShare * 100)} %`,
    nameOfRun.get(column.runId) ?? '',
    cell(notesOf(measurement).join('; ')),
  ].join(' | ');
}

/** The newest first, as rows name them: 1, 2, ... */
function orderRuns({ runs }: Report): readonly RunInfo[] {
  return Object.values(runs).toSorted((one, other) => (one.at < other.at ? 1 : -1));
}

function runLine(run: RunInfo, at: number, columns: number): string {
  const { machine } = run;
  return [
    String(at + 1),
    run.at,
    run.commit ?? 'unknown',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.kernel}, Node ${machine.node}`,
    String(machine.loadBefore),
    run.durationSeconds === null ? 'as designed' : `${run.durationSeconds} s`,
    String(columns),
  ].join(' | ');
}

/** The report as a page of Markdown, rows that are not measured included. */
export function renderMarkdown(report: Report): string {
  const { run } = report;
  const counts = countVerdicts(report.rows);
  const measured = report.rows.filter((row) => row.columns.length > 0);
  const missing = report.rows.filter((row) => row.columns.length === 0);
  const runs = orderRuns(report);
  const nameOfRun = new Map(runs.map(({ id }, at) => [id, String(at + 1)]));
  const columns = measured.flatMap((row) => row.columns);
  const earlier = columns.filter(({ runId }) => runId !== run.id).length;
  const durability = run.durability
    ? `PostgreSQL ${run.durability.version}: fsync ${run.durability.fsync}, synchronous_commit ${run.durability.synchronousCommit}, full_page_writes ${run.durability.fullPageWrites}, UNLOGGED tables ${run.durability.unloggedTables}`
    : 'no database was used';
  return `# Performance

Newest run ${run.at}, commit ${run.commit ?? 'unknown'}${earlier === 0 ? '' : `; ${earlier} of ${columns.length} lines are of earlier ones, see Runs`}.
${durability}.
Server settings of the run: ${Object.entries(run.profile)
    .map(([name, value]) => `\`${name}=${value}\``)
    .join(' ')}.

${report.rows.length} rows: ${counts.holds} hold, ${counts.missed} missed, ${counts['wrong answers']} with wrong answers, ${counts.invalid} invalid, ${counts['not measured']} not measured.

| row | bound | variant | verdict | rate | p50 ms | p95 ms | p99 ms | CPU us/operation | cached | run | notes |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${measured.flatMap((row) => row.columns.map((column) => `| ${columnLine(row, column, nameOfRun)} |`)).join('\n')}

## Runs

| run | at | commit | machine | load before | windows | lines |
| --- | --- | --- | --- | --- | --- | --- |
${runs.map((one, at) => `| ${runLine(one, at, columns.filter(({ runId }) => runId === one.id).length)} |`).join('\n')}

## Not measured

${missing.length === 0 ? 'None.' : missing.map((row) => `- \`${row.id}\` (${row.bound}): not measured`).join('\n')}
`;
}
