import type { NewEvent } from '#shared/outbox.ts';
import type { ContributionRow, SessionRow, VoteRow } from './rows.ts';

/** An event of a session's stream; it carries the rows without what only the module itself needs. */
export function sessionEvent(
  type: string,
  session: SessionRow,
  detail: { readonly contribution?: ContributionRow; readonly vote?: VoteRow; readonly reason?: string | null } = {},
): NewEvent {
  const { contribution, ...rest } = detail;
  return {
    streamId: session.id,
    type,
    data: { session, ...rest, ...(contribution && { contribution: tellContribution(contribution) }) },
    tags: [`PlanSession:${session.id}`, `Plan:${session.planId}`],
  };
}

function tellContribution({ trail: _trail, electorate: _electorate, ordinal: _ordinal, ...told }: ContributionRow) {
  return told;
}
