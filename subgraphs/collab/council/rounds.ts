import { PlatformError } from '#shared/errors.ts';
import { conclude, rationaleOf } from '../conclude.ts';
import type { CouncilRow, CouncilType } from '../councilRows.ts';
import type { DecisionOption, DecisionRow } from '../decisionRows.ts';
import { count, type Draft, find, put, setDeadline, tell } from '../draft.ts';
import type { Tally } from '../voting/index.ts';
import { carryOut, judge } from './effects.ts';
import { close, handBack, tellClosed } from './sittings.ts';

/** Rounds that one sitting may have. */
export const maxRounds = 50;

/** Nothing of a sitting lasts longer than the sitting. */
const within = ({ endsAt }: Pick<CouncilRow, 'endsAt'>, atMs: number): string =>
  new Date(Math.min(atMs, Date.parse(endsAt))).toISOString();

/** Has the members vote on the decision: their first votes of this round, whatever they said before. */
export function openRound(draft: Draft, council: CouncilRow, decision: DecisionRow, roundTimeMs: number): CouncilRow {
  const number = council.rounds.length + 1;
  const deadline = within(council, draft.atMs + roundTimeMs);
  const sitting = put(draft, 'council', {
    ...council,
    status: 'voting',
    rounds: [
      ...council.rounds,
      { number, openedAt: draft.at, deadline, closedAt: null, outcome: null, winner: null, tally: null },
    ],
    version: council.version + 1,
  });
  const voting = put(draft, 'decision', {
    ...decision,
    status: 'voting',
    electorate: council.members,
    councilId: council.id,
    // Rounds of an earlier sitting stay what they were.
    round: decision.openedAt === null ? 1 : decision.round + 1,
    ballotCount: 0,
    openedAt: draft.at,
    deadline,
    version: decision.version + 1,
  });
  setDeadline(draft, `decision:${decision.id}`, deadline);
  if (number === 1) count(draft, { decisionsOpened: 1 });
  tell(draft, 'collab.decision.opened', { decision: voting });
  tell(draft, 'collab.council.round.opened', { council: sitting });
  return sitting;
}

const isClear = ({ outcome }: Tally): boolean => outcome === 'adopted' || outcome === 'rejected';

/** What a MIXED council is, by what it sits about and what it came to. */
function actsAs({ rules, conflictId }: CouncilRow, option: DecisionOption | undefined): Exclude<CouncilType, 'mixed'> {
  if (rules.type !== 'mixed') return rules.type;
  if (conflictId !== null) return 'judicial';
  return option?.action == null ? 'advisory' : 'executive';
}

/** Does what was adopted; the outcome of the sitting is that of the doing. */
export function takeEffect(draft: Draft, council: CouncilRow, decision: DecisionRow): void {
  const option = decision.options.find(({ id }) => id === council.winner)!;
  const as = actsAs(council, option);
  try {
    if (as === 'judicial') judge(draft, { ...council, conflictId: council.conflictId! }, option);
    else if (option.action !== null && option.action !== undefined)
      carryOut(draft, option.action, decision.title.slice(0, 500));
    const done = put(draft, 'council', {
      ...council,
      outcome: as === 'judicial' ? 'settled' : 'carried_out',
      version: council.version + 1,
    });
    if (!option.isStatusQuo) {
      const implemented = put(draft, 'decision', {
        ...(find(draft, 'decision', decision.id) ?? decision),
        status: 'implemented',
        version: decision.version + 1,
      });
      tell(draft, 'collab.decision.implemented', { decision: implemented });
    }
    tellClosed(draft, done);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    // The time has passed over it: adopted it stays, and everybody sees why it was not done.
    const failed = put(draft, 'council', {
      ...council,
      outcome: 'failed',
      note: error.message,
      version: council.version + 1,
    });
    tellClosed(draft, failed);
  }
}

/** The sitting ends with what its last round came to. */
function closeWith(draft: Draft, council: CouncilRow, decision: DecisionRow, counted: Tally): DecisionRow {
  const option = decision.options.find(({ id }) => id === counted.winner);
  const unclear = counted.outcome === 'no_quorum' ? 'no_quorum' : 'undecided';
  const as = actsAs(council, option);
  if (as === 'advisory') {
    const isAdvice = isClear(counted) && counted.winner !== null;
    const outcome = isAdvice ? 'recommended' : unclear;
    const closed = close(draft, council, { outcome, winner: counted.winner });
    const advice = {
      councilId: council.id,
      option: counted.winner ?? '',
      consensusLevel: counted.consensusLevel,
      confidence: counted.confidence,
      rationale: rationaleOf(decision, counted),
      at: draft.at,
    };
    count(draft, { decisionsConcluded: 1 });
    handBack(draft, decision, isAdvice ? advice : decision.advice);
    tellClosed(draft, closed);
    return find(draft, 'decision', decision.id)!;
  }
  const decided = conclude(draft, decision, counted);
  if (!isClear(counted)) {
    tellClosed(draft, close(draft, council, { outcome: unclear }));
    return decided;
  }
  const isDone = as === 'executive' && counted.outcome === 'rejected';
  const outcome = isDone ? 'rejected' : 'awaits_approval';
  const closed = close(draft, council, { outcome, winner: counted.winner });
  if (isDone || decided.gate !== 'auto') tellClosed(draft, closed);
  else takeEffect(draft, closed, decided);
  return find(draft, 'decision', decision.id)!;
}

/** The sitting that the decision is before. @throws {VERSION_CONFLICT} where it was put before one meanwhile */
export function requireSitting(draft: Draft, { councilId }: DecisionRow): CouncilRow {
  const council = councilId === null ? undefined : find(draft, 'council', councilId);
  if (council === undefined)
    throw new PlatformError('VERSION_CONFLICT', 'a council has taken the decision over meanwhile: try again');
  return council;
}

/** Ends a voting: without a council that decides it, with one it ends a round, and the sitting where none follows. */
export function endVoting(
  draft: Draft,
  decision: DecisionRow,
  counted: Tally,
  { isLast = false }: { readonly isLast?: boolean } = {},
): DecisionRow {
  if (decision.councilId === null) return conclude(draft, decision, counted);
  const sitting = requireSitting(draft, decision);
  const { outcome, winner } = counted;
  const council: CouncilRow = {
    ...sitting,
    rounds: sitting.rounds.map((round, at) =>
      at === sitting.rounds.length - 1 ? { ...round, closedAt: draft.at, outcome, winner, tally: counted } : round,
    ),
  };
  const mayGoOn =
    !isLast &&
    !isClear(counted) &&
    council.rules.multipleRoundsAllowed &&
    council.rounds.length < maxRounds &&
    Date.parse(council.endsAt) > draft.atMs;
  if (!mayGoOn) return closeWith(draft, council, decision, counted);
  const deliberating = put(draft, 'council', { ...council, status: 'deliberating', version: council.version + 1 });
  const waiting = put(draft, 'decision', {
    ...decision,
    status: 'under_review',
    deadline: null,
    version: decision.version + 1,
  });
  setDeadline(draft, `decision:${decision.id}`, null);
  tell(draft, 'collab.decision.underreview', { decision: waiting });
  tell(draft, 'collab.council.round.closed', { council: deliberating });
  return waiting;
}

/** A sitting between two rounds ends with what the last of them came to. */
export function closeDeliberating(draft: Draft, council: CouncilRow, decision: DecisionRow): void {
  const counted = council.rounds.at(-1)?.tally;
  if (counted == null) throw new Error('a council deliberates after its first round');
  closeWith(draft, council, decision, counted);
}
