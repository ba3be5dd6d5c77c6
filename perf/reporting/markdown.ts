import { formatCpu, formatMs, formatNumber, notesOf } from './format.ts';
import { type Column, countVerdicts, type Report, type ReportRow } from './report.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function columnLine(row: ReportRow, column: Column): string {
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
    cell(notesOf(measurement).join('; ')),
  ].join(' | ');
}

/** The report as a page of Markdown, rows that are not measured included. */
export function renderMarkdown(report: Report): string {
  const { run } = report;
  const counts = countVerdicts(report.rows);
  const measured = report.rows.filter((row) => row.columns.length > 0);
  const missing = report.rows.filter((row) => row.columns.length === 0);
  const durability = run.durability
    ? `PostgreSQL ${run.durability.version}: fsync ${run.durability.fsync}, synchronous_commit ${run.durability.synchronousCommit}, full_page_writes ${run.durability.fullPageWrites}, UNLOGGED tables ${run.durability.unloggedTables}`
    : 'no database was used';
  return `# Performance

${run.at}, commit ${run.commit ?? 'unknown'}. ${run.machine.cpu}, ${run.machine.cores} cores, ${run.machine.memoryGb} GB, ${run.machine.kernel}, Node ${run.machine.node}; load average before ${run.machine.loadBefore}.
${durability}.
Server settings of the run: ${Object.entries(run.profile)
    .map(([name, value]) => `\`${name}=${value}\``)
    .join(' ')}.${run.durationSeconds === null ? '' : ` Windows shortened to ${run.durationSeconds} s.`}

${report.rows.length} rows: ${counts.holds} hold, ${counts.missed} missed, ${counts['wrong answers']} with wrong answers, ${counts.invalid} invalid, ${counts['not measured']} not measured.

| row | bound | variant | verdict | rate | p50 ms | p95 ms | p99 ms | CPU us/operation | cached | notes |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${measured.flatMap((row) => row.columns.map((column) => `| ${columnLine(row, column)} |`)).join('\n')}

## Not measured

${missing.length === 0 ? 'None.' : missing.map((row) => `- \`${row.id}\` (${row.bound}): not measured`).join('\n')}
`;
}
