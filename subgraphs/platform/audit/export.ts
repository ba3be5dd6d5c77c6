import { parseInput } from '#shared/validation.ts';
import { csvLine } from '../files/csv.ts';
import type { FileSource } from '../files/writer.ts';
import { auditFilter, type createAuditList } from './list.ts';
import { type AuditRow, canonicalText } from './rows.ts';

const pageSize = 1_000;

const columns = [
  'createdAt',
  'module',
  'position',
  'id',
  'action',
  'resource',
  'resourceId',
  'actor',
  'traceparent',
  'detail',
  'origin',
] as const satisfies readonly (keyof AuditRow)[];

/** Lines of NDJSON are the canonical texts that the blocks hash: whoever has the export can hold it to the chain. */
export function createAuditSource(list: ReturnType<typeof createAuditList>): FileSource {
  return async function* write({ tenantId, format, request, createdAt }) {
    const { from, to, ...rest } = request as { from?: string; to?: string };
    const filter = parseInput(auditFilter, {
      ...rest,
      from: from == null ? null : new Date(from),
      // What is written while the export runs is not in it.
      to: new Date(to ?? createdAt),
    });
    const total = await list.count(tenantId, filter);
    let written = 0;
    if (format === 'csv') yield { text: csvLine(columns), rows: 0, progress: 0 };
    for await (const rows of list.pages(tenantId, filter, pageSize)) {
      written += rows.length;
      const text = rows
        .map((row) => (format === 'csv' ? csvLine(columns.map((column) => row[column])) : `${canonicalText(row)}\n`))
        .join('');
      yield { text, rows: rows.length, progress: Math.min(1, written / Math.max(1, total)) };
    }
  };
}
