import { z } from 'zod';
import { PlatformError } from '../errors.ts';
import { isId } from '../ids.ts';
import { id, parseInput, textProblem } from '../validation.ts';
import type { ExportEntity, ExportKeyType } from './exportEntity.ts';

export const exportFormats = ['copy', 'binary', 'ndjson', 'csv', 'parquet'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** What one export is asked for. */
export interface ExportQuery {
  readonly format: ExportFormat;
  /** Epoch milliseconds, the first of them included. */
  readonly from: number | null;
  readonly to: number;
  readonly contextId: string | null;
  /** Keys of the last row that was received, as texts; null for the first. */
  readonly after: readonly string[] | null;
  /** Rows at most; null for all. */
  readonly limit: number | null;
}

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

const shape = z.strictObject({
  format: z.enum(exportFormats).default('ndjson'),
  from: instant.optional(),
  to: instant.optional(),
  contextId: id.optional(),
  after: z.string().min(1).max(500).optional(),
  limit: z.coerce.number().int().min(1).max(100_000_000).optional(),
});

const keyRules: Readonly<Record<ExportKeyType, (text: string) => boolean>> = {
  uuid: isId,
  // PostgreSQL's own text of a time, or that of its JSON.
  timestamptz: (text) => /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d(:\d\d)?)$/.test(text),
  bigint: (text) => /^\d{1,18}$/.test(text),
  text: (text) => text.length > 0 && textProblem(text) === null,
};

/**
 * Reads the parameters of an export.
 * @throws {VALIDATION_FAILED} {CURSOR_INVALID} where `after` does not name a row of the entity
 */
export function readExportQuery(entity: ExportEntity, raw: unknown, nowMs = Date.now()): ExportQuery {
  const { format, from = null, to = nowMs, contextId = null, after, limit = null } = parseInput(shape, raw);
  if (from !== null && from >= to)
    throw new PlatformError('VALIDATION_FAILED', 'from: expected it before `to`', { path: ['from'] });
  return { format, from, to, contextId, after: after === undefined ? null : readKeys(entity, after), limit };
}

function readKeys({ keys }: ExportEntity, after: string): readonly string[] {
  const texts = after.split(',');
  if (texts.length === keys.length && keys.every(([, type], at) => keyRules[type](texts[at]!))) return texts;
  throw new PlatformError(
    'CURSOR_INVALID',
    `expected the first columns of the last row (${keys.map(([column]) => column).join(', ')}), joined by commas`,
    { path: ['after'] },
  );
}
