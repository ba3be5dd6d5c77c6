import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { requirePart } from '../decide.ts';
import { addDecision, type Draft, definitionOf, putApprover, tell } from '../draft.ts';
import { electorate, endStep, phaseAfterVote, resolve } from '../engine.ts';
import { closeOptions } from '../quorum/index.ts';
import type { BallotValue, ConsensusResultValue } from '../rows.ts';
import { requireAllScored } from '../scores.ts';
import type { ConsensusDefinition } from '../workflow/index.ts';
import { ballotsOf, consensusOf, requireConsensus, standingOf, voteStep, worthOf } from './state.ts';

export interface GivenVote {
  readonly optionId: string | null;
  readonly scores:
    | readonly { readonly optionId: string; readonly criterionId: string; readonly score: number }[]
    | null;
  readonly abstain: boolean;
  readonly justification: string | null;
}

/** Options whose worth differs by less are equally good. */
const tolerance = 1e-9;

/**
 * One participant's vote, which stands, and what follows from it.
 * @throws {ALREADY_DECIDED} {NOT_AN_APPROVER} {STEP_NOT_ACTIVE} {RATIONALE_REQUIRED} {VALIDATION_FAILED}
 */
export function castVote(draft: Draft, principal: Principal, given: GivenVote): void {
  const consensus = consensusOf(draft.confirm);
  if (consensus === null)
    throw new PlatformError('NOT_FOUND', 'no such consensus process', { path: ['input', 'consensusId'] });
  const participant = requirePart(draft, principal, voteStep);
  if (consensus.requireJustification && (given.justification?.trim().length ?? 0) === 0)
    throw new PlatformError('RATIONALE_REQUIRED', 'this vote asks for a justification', {
      path: ['input', 'justification'],
    });
  const ballot = given.abstain ? requireAbstention(draft, given) : requireBallot(consensus, given);
  const decision = addDecision(draft, {
    stepId: voteStep,
    approver: principal.subject,
    role: participant.role ?? principal.roles[0] ?? 'participant',
    outcome: ballot === null ? 'abstained' : 'voted',
    vote: ballot === null ? 'abstain' : 'approve',
    ballot,
    rationale: given.justification,
  });
  putApprover(draft, {
    ...participant,
    state: 'decided',
    vote: decision.vote,
    ballot,
    decidedAt: draft.at,
  });
  phaseAfterVote(draft);
  const { outcome, winner, standings, participation } = standingOf(draft.confirm, votersOf(draft));
  tell(draft, 'confirm.decided', { decision, consensus: { standings, participation } });
  if (outcome === 'decided') conclude(draft, winner!);
  else if (outcome === 'none') fail(draft, 'no option can win any more');
}

/** At the deadline an option wins by the votes that were cast, or none does and the process expires. */
export function closeConsensus(draft: Draft): void {
  const { options } = requireConsensus(draft.confirm);
  const winner = closeOptions(
    definitionOf(draft, voteStep).quorum,
    options.map(({ id }) => id),
    ballotsOf(votersOf(draft)),
  );
  if (winner !== null) conclude(draft, winner);
  else setResult(draft, { outcome: 'no_decision', optionId: null, reason: 'no option had won when its time was over' });
}

const votersOf = (draft: Draft) => electorate(draft, draft.confirm.steps[0]!);

function conclude(draft: Draft, winner: string): void {
  const { label } = requireConsensus(draft.confirm).options.find(({ id }) => id === winner)!;
  const reason = `decided for ${label}`;
  setResult(draft, { outcome: 'decided', optionId: winner, reason });
  endStep(draft, voteStep, 'approved', reason);
  draft.confirm = { ...draft.confirm, resolution: reason };
}

function fail(draft: Draft, reason: string): void {
  setResult(draft, { outcome: 'no_decision', optionId: null, reason });
  resolve(draft, 'rejected', reason);
}

function setResult(draft: Draft, result: ConsensusResultValue): void {
  draft.confirm = { ...draft.confirm, result };
}

function requireAbstention(draft: Draft, { optionId, scores }: GivenVote): null {
  if (definitionOf(draft, voteStep).quorum.allowAbstention === false)
    throw new PlatformError('VALIDATION_FAILED', 'abstain: this vote takes no abstention', {
      path: ['input', 'abstain'],
    });
  if (optionId !== null || scores !== null)
    throw new PlatformError('VALIDATION_FAILED', 'abstain: an abstention chooses and scores nothing', {
      path: ['input', 'abstain'],
    });
  return null;
}

function requireBallot(consensus: ConsensusDefinition, given: GivenVote): BallotValue {
  const ids = consensus.options.map(({ id }) => id);
  const path = ['input', 'optionId'];
  if (given.optionId !== null && !ids.includes(given.optionId))
    throw new PlatformError('VALIDATION_FAILED', `optionId: expected one of ${ids.join(', ')}, got ${given.optionId}`, {
      path,
    });
  if (consensus.criteria.length === 0) {
    if (given.scores !== null)
      throw new PlatformError('VALIDATION_FAILED', 'scores: the process has no criteria', {
        path: ['input', 'scores'],
      });
    if (given.optionId === null)
      throw new PlatformError('VALIDATION_FAILED', 'optionId: expected an option, or an abstention', { path });
    return { optionId: given.optionId };
  }
  const optionScores = readScores(consensus, given.scores ?? []);
  const worths = new Map(ids.map((id) => [id, worthOf(consensus, optionScores, id)]));
  const best = Math.max(...worths.values());
  const leaders = ids.filter((id) => best - worths.get(id)! <= tolerance);
  if (given.optionId === null && leaders.length > 1)
    throw new PlatformError('VALIDATION_FAILED', `optionId: the scores put ${leaders.join(', ')} level; name one`, {
      path,
      details: { options: leaders },
    });
  if (given.optionId !== null && !leaders.includes(given.optionId))
    throw new PlatformError('VALIDATION_FAILED', `optionId: by the scores it is ${leaders.join(', ')}`, {
      path,
      details: { options: leaders },
    });
  return { optionId: given.optionId ?? leaders[0]!, optionScores };
}

/** Every option has to be scored by every criterion, once. */
function readScores(
  { options, criteria }: ConsensusDefinition,
  given: NonNullable<GivenVote['scores']>,
): NonNullable<BallotValue['optionScores']> {
  const path = ['input', 'scores'];
  const expected = options.flatMap((option) => criteria.map((criterion) => `${option.id}/${criterion.id}`));
  const flat = Object.fromEntries(
    given.map(({ optionId, criterionId, score }) => [`${optionId}/${criterionId}`, score]),
  );
  if (Object.keys(flat).length < given.length)
    throw new PlatformError('VALIDATION_FAILED', 'scores: an option is scored twice by a criterion', { path });
  requireAllScored(flat, expected, path);
  return Object.fromEntries(
    options.map((option) => [
      option.id,
      Object.fromEntries(criteria.map(({ id }) => [id, flat[`${option.id}/${id}`]!])),
    ]),
  );
}
