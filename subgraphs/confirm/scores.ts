import { PlatformError } from '#shared/errors.ts';
import { type Draft, definitionOf } from './draft.ts';
import type { Scores, Vote } from './quorum/index.ts';
import type { ConfirmApproverRow } from './rows.ts';

/** The scores that an approval of criteria consists of; anything else takes none. */
export function requireScores(
  draft: Draft,
  approver: ConfirmApproverRow,
  given: { readonly vote: Vote | null; readonly scores: Scores | null },
): Scores | null {
  const path = ['input', 'scores'];
  const { quorum } = definitionOf(draft, approver.stepId);
  const isScored = quorum.kind === 'criteria' && approver.level === 0 && given.vote === 'approve';
  if (!isScored) {
    if (given.scores === null) return null;
    throw new PlatformError('VALIDATION_FAILED', 'scores: this decision takes none', { path });
  }
  const expected = (quorum.criteria ?? []).map(({ id }) => id);
  requireAllScored(given.scores ?? {}, expected, path);
  return given.scores;
}

/** @throws {VALIDATION_FAILED} unless exactly these are scored. */
export function requireAllScored(scores: Scores, expected: readonly string[], path: readonly string[]): void {
  const got = Object.keys(scores);
  const missing = expected.filter((id) => !got.includes(id));
  const unknown = got.filter((id) => !expected.includes(id));
  if (missing.length === 0 && unknown.length === 0) return;
  throw new PlatformError(
    'VALIDATION_FAILED',
    `${path.at(-1)}: expected a score for each of ${expected.join(', ')}, got ${got.join(', ') || 'none'}`,
    { path, details: { missing, unknown } },
  );
}
