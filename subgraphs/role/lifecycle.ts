import { PlatformError } from '#shared/errors.ts';
import type { RoleRow } from './rows.ts';

const dayMs = 86_400_000;

/** What follows from the times that a role was given: what its clock has to tell is told anew. */
export function planLife(before: RoleRow, row: RoleRow, now: string): RoleRow {
  const isMoved = row.effectiveAt !== before.effectiveAt;
  // One that is in force at once was told by its creation or its change.
  const begunAt = !isMoved ? row.begunAt : row.effectiveAt !== null && row.effectiveAt > now ? null : row.effectiveAt;
  if (row.reviewEveryDays === before.reviewEveryDays) return { ...row, begunAt };
  return { ...row, begunAt, nextReviewAt: nextReview(row, row.reviewedAt ?? now), reviewToldAt: null };
}

export function reviewed(row: RoleRow, reviewedBy: string, now: string): RoleRow {
  return { ...row, reviewedAt: now, reviewedBy, nextReviewAt: nextReview(row, now), reviewToldAt: null };
}

function nextReview({ reviewEveryDays }: RoleRow, since: string): string | null {
  return reviewEveryDays === null ? null : new Date(Date.parse(since) + reviewEveryDays * dayMs).toISOString();
}

export function isOver({ expiresAt }: RoleRow, timeMs: number): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= timeMs;
}

/** @throws {INVALID_STATE_TRANSITION} for a role whose time is over: it would end again at once. */
export function requireTimeLeft(row: RoleRow, timeMs: number): void {
  if (isOver(row, timeMs))
    throw new PlatformError(
      'INVALID_STATE_TRANSITION',
      'the time of the role is over: give it a later expiresAt first',
      {
        path: ['status'],
      },
    );
}
