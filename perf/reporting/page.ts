import { renderBoundChart, renderSparkline } from './charts.ts';
import { formatCpu, formatMs, formatNumber, notesOf } from './format.ts';
import { type HistoryEntry, seriesOf } from './history.ts';
import { pageStyle } from './pageStyle.ts';
import { type Column, countVerdicts, figureOf, type Report, type ReportRow } from './report.ts';

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character]!);

function verdictClass(kind: string): string {
  if (kind === 'holds') return 'good';
  return kind === 'not measured' ? 'none' : kind === 'invalid' ? 'warn' : 'bad';
}

const badge = (kind: string, title: string): string =>
  `<span class="badge ${verdictClass(kind)}" title="${escapeHtml(title)}">${escapeHtml(kind)}</span>`;

function describeDesign(row: ReportRow): string {
  const { design } = row;
  const arrival =
    design.arrival === 'open'
      ? `${formatNumber(design.ratePerSecond ?? 0)}/s, open loop`
      : `${design.concurrency} at a time`;
  const mix = Object.entries(design.mix).map(([name, weight]) => `${name} ${weight}`);
  const data = Object.entries(design.dataSet).map(
    ([name, count]) => `${formatNumber(count)} ${name.replaceAll('_', ' ')}`,
  );
  return [
    `at the ${design.measuredAt}: ${arrival}, ${design.durationSeconds} s`,
    mix.join(', '),
    data.join(', '),
    design.distribution,
    design.notes ?? '',
  ]
    .filter((part) => part !== '')
    .join('; ');
}

function renderColumn(
  report: Report,
  row: ReportRow,
  column: Column,
  history: readonly HistoryEntry[],
  first: boolean,
): string {
  const { measurement, verdict } = column;
  const { latency, cachedShare } = measurement;
  const figure = figureOf(row, column);
  const chart =
    figure === undefined
      ? ''
      : renderBoundChart({
          limit: row.limit,
          isLatency: row.isLatency,
          figure,
          ...(row.isLatency && latency ? { p50: latency.p50Ms, p99: latency.p99Ms } : {}),
          holds: verdict.kind === 'holds',
        });
  const figures = seriesOf(history, row.id, column.variant).map((entry) => entry.figure);
  const age =
    column.runId === report.run.id
      ? ''
      : `measured ${report.runs[column.runId]?.at.slice(0, 10) ?? 'earlier'} at ${report.runs[column.runId]?.commit ?? 'an unknown commit'}`;
  const notes = [...notesOf(measurement), ...(age === '' ? [] : [age])];
  return `<tr${first ? ' class="first"' : ''}>
<td class="name">${first ? `<b>${escapeHtml(row.operation)}</b><small title="${escapeHtml(describeDesign(row))}">${escapeHtml(row.bound)}</small>` : ''}</td>
<td>${escapeHtml(column.variant)}</td>
<td>${badge(verdict.kind, verdict.reason)}</td>
<td>${chart}</td>
<td class="n">${measurement.achieved === undefined ? '' : formatNumber(measurement.achieved)}</td>
<td class="n">${formatMs(latency?.p50Ms)}</td><td class="n"><b>${formatMs(latency?.p95Ms)}</b></td><td class="n">${formatMs(latency?.p99Ms)}</td><td class="n">${formatMs(latency?.maxMs)}</td>
<td class="n cpu">${escapeHtml(formatCpu(measurement.cpu)).replaceAll(' · ', '<br>')}</td>
<td class="n">${cachedShare === undefined ? '' : `${Math.round(cachedShare * 100)} %`}</td>
<td>${renderSparkline(figures, row.limit)}</td>
<td class="notes">${notes.map((note) => `<span>${escapeHtml(note)}</span>`).join('')}</td>
</tr>`;
}

/** Widths in px, the same in every table; the last takes what is left. */
const columns = `<colgroup>${[190, 105, 120, 282, 64, 64, 64, 64, 72, 112, 64, 112].map((width) => `<col style="width:${width}px">`).join('')}<col></colgroup>`;

function renderGroup(
  report: Report,
  group: string,
  rows: readonly ReportRow[],
  history: readonly HistoryEntry[],
): string {
  const measured = rows.filter((row) => row.columns.length > 0);
  const missing = rows.filter((row) => row.columns.length === 0);
  const table =
    measured.length === 0
      ? ''
      : `<div class="scroll"><table>${columns}<thead><tr><th>row</th><th>variant</th><th>verdict</th><th>against the bound</th><th class="n">rate</th><th class="n">p50</th><th class="n">p95</th><th class="n">p99</th><th class="n">max ms</th><th class="n">CPU us/op</th><th class="n">cached</th><th>runs</th><th>load, and what bounds it</th></tr></thead><tbody>
${measured.flatMap((row) => row.columns.map((column, index) => renderColumn(report, row, column, history, index === 0))).join('\n')}
</tbody></table></div>`;
  const list =
    missing.length === 0
      ? ''
      : `<ul class="missing">${missing
          .map(
            (row) =>
              `<li title="${escapeHtml(describeDesign(row))}"><span>${escapeHtml(row.operation)}</span><small>${escapeHtml(row.bound)}</small>${badge('not measured', row.verdict.reason)}</li>`,
          )
          .join('')}</ul>`;
  return `<section><h2>${escapeHtml(group.replaceAll('_', ' '))}</h2>${table}${list}</section>`;
}

/** The report as one HTML page without scripts or anything to fetch. */
export function renderPage(report: Report, history: readonly HistoryEntry[]): string {
  const { run } = report;
  const counts = countVerdicts(report.rows);
  const groups = new Map<string, ReportRow[]>();
  for (const row of report.rows) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  // What was measured first: a page of a hundred rows is read from the top.
  const ordered = [...groups].sort(
    (a, b) => Number(b[1].some((row) => row.columns.length > 0)) - Number(a[1].some((row) => row.columns.length > 0)),
  );
  const durability = run.durability;
  const facts: readonly (readonly [string, string])[] = [
    ['run', `${run.at.slice(0, 19).replace('T', ' ')} UTC`],
    ['commit', run.commit ?? 'unknown'],
    ['machine', `${run.machine.cpu}, ${run.machine.cores} cores, ${run.machine.memoryGb} GB`],
    ['system', `${run.machine.kernel}, Node ${run.machine.node}, load average before ${run.machine.loadBefore}`],
    [
      'durability',
      durability
        ? `PostgreSQL ${durability.version}: fsync ${durability.fsync}, synchronous_commit ${durability.synchronousCommit}, full_page_writes ${durability.fullPageWrites}, ${durability.unloggedTables} UNLOGGED tables`
        : 'no database was used',
    ],
    [
      'server settings',
      Object.entries(run.profile)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    ],
    ...(run.durationSeconds === null ? [] : [['windows', `shortened to ${run.durationSeconds} s`] as const]),
  ];
  const tiles = (['holds', 'missed', 'wrong answers', 'invalid', 'not measured'] as const).map(
    (kind) => `<div class="tile ${verdictClass(kind)}"><b>${counts[kind]}</b><span>${kind}</span></div>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Performance report</title><style>${pageStyle}</style></head>
<body><main>
<h1>Performance</h1>
<div class="tiles">${tiles.join('')}</div>
<dl>${facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl>
<p class="legend">Bar: p95, or the rate. Upright line: the bound, in every row at the same place. Ticks: p50 and p99. Dashed: the bound over the last runs. Latency counts from the moment a request was due; clients run in processes of their own. A row that no scenario measures is not measured.</p>
${ordered.map(([group, rows]) => renderGroup(report, group, rows, history)).join('\n')}
</main></body></html>
`;
}
