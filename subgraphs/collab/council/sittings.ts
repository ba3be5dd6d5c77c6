import type { CouncilOutcome, CouncilRow } from '../councilRows.ts';
import type { DecisionRow } from '../decisionRows.ts';
import { count, type Draft, find, list, put, setDeadline, tell } from '../draft.ts';

export const isSitting = ({ status }: Pick<CouncilRow, 'status'>): boolean => status !== 'closed';

/** Nothing is voted in it any more. */
export function close(
  draft: Draft,
  council: CouncilRow,
  { outcome, winner = null, note = null }: { outcome: CouncilOutcome; winner?: string | null; note?: string | null },
): CouncilRow {
  const closed = put(draft, 'council', {
    ...council,
    status: 'closed',
    outcome,
    winner,
    note,
    closedAt: draft.at,
    version: council.version + 1,
  });
  setDeadline(draft, `council:${council.id}`, null);
  return closed;
}

export const tellClosed = (draft: Draft, council: CouncilRow): void =>
  tell(draft, 'collab.council.closed', { council });

/** The decision as others find it when a council has not decided it. */
export function handBack(draft: Draft, decision: DecisionRow, advice: DecisionRow['advice']): void {
  const back = put(draft, 'decision', {
    ...decision,
    status: 'under_review',
    councilId: null,
    advice,
    deadline: null,
    version: decision.version + 1,
  });
  setDeadline(draft, `decision:${decision.id}`, null);
  tell(draft, advice === decision.advice ? 'collab.decision.underreview' : 'collab.decision.advised', {
    decision: back,
  });
}

/** Sittings end without a result where the collaboration does not go on. */
export function dissolveAll(draft: Draft, reason: string): void {
  for (const council of list(draft, 'council')) if (isSitting(council)) dissolve(draft, council, reason);
}

export function dissolve(draft: Draft, council: CouncilRow, reason: string): void {
  const rounds = council.rounds.map((round) =>
    round.closedAt === null ? { ...round, closedAt: draft.at, outcome: 'withdrawn' as const } : round,
  );
  const closed = close(draft, { ...council, rounds }, { outcome: 'dissolved', note: reason });
  const decision = find(draft, 'decision', council.decisionId);
  if (decision !== undefined && (decision.status === 'voting' || decision.status === 'under_review')) {
    count(draft, { decisionsConcluded: 1 });
    handBack(draft, decision, decision.advice);
  }
  tellClosed(draft, closed);
}

/** What a council adopted was turned down by those who had to approve it. */
export function refuse(draft: Draft, council: CouncilRow): void {
  const refused = put(draft, 'council', { ...council, outcome: 'refused', version: council.version + 1 });
  tellClosed(draft, refused);
}
