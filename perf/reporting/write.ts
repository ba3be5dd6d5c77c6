import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendHistory, entriesOf, readHistory } from './history.ts';
import { renderMarkdown } from './markdown.ts';
import { renderPage } from './page.ts';
import { createReport, type Report, type ReportInput } from './report.ts';

/** Writes latest.json, report.md and report.html, and appends to history.ndjson. */
export function writeReport(folder: string, input: Omit<ReportInput, 'earlier'>): Report {
  mkdirSync(folder, { recursive: true });
  const latest = join(folder, 'latest.json');
  const earlier = existsSync(latest) ? (JSON.parse(readFileSync(latest, 'utf8')) as Report) : null;
  const report = createReport({ ...input, earlier });
  const historyFile = join(folder, 'history.ndjson');
  appendHistory(historyFile, entriesOf(report));
  writeFileSync(latest, `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(folder, 'report.md'), renderMarkdown(report));
  writeFileSync(join(folder, 'report.html'), renderPage(report, readHistory(historyFile)));
  return report;
}
