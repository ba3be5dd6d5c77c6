import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { parseInput } from '#shared/validation.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { ballotsOf, countVotes } from './conclude.ts';
import { councilNeeds } from './council/needs.ts';
import { endVoting, requireSitting } from './council/rounds.ts';
import { rulesInForce } from './council/rules.ts';
import type { BallotRow, DecisionRow } from './decisionRows.ts';
import { type Draft, find, list, put, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { ballotKey } from './parts.ts';
import { requireStatus } from './rights.ts';
import { toVote } from './votes.ts';
import { countVoices, cycleThrough } from './voting/index.ts';

/** Who votes where nobody may learn it; the audit knows. */
export const anonymousVoter = 'anonymous';

/** @throws {NOT_FOUND} */
export function requireDecision(draft: Draft, decisionId: string): DecisionRow {
  const decision = find(draft, 'decision', decisionId);
  if (decision === undefined)
    throw new PlatformError('NOT_FOUND', 'no such decision', { path: ['input', 'decisionId'] });
  return decision;
}

/** @throws {VOTE_CLOSED} */
function requireOpen(draft: Draft, decision: DecisionRow): void {
  const isLate = decision.deadline !== null && Date.parse(decision.deadline) <= draft.atMs;
  if (decision.status === 'voting' && !isLate) return;
  throw new PlatformError(
    'VOTE_CLOSED',
    isLate ? 'the time to vote is over' : `the decision is ${decision.status.toUpperCase()}`,
    {
      details: { status: decision.status.toUpperCase() },
    },
  );
}

/** The voter of the electorate that the principal acts as; who has replaced somebody since has that one's vote. @throws {NOT_IN_ELECTORATE} */
function requireVoter(draft: Draft, decision: DecisionRow, { subject }: Principal): string {
  const isVoter = (id: string) => decision.electorate.some((voter) => voter.id === id);
  const own = list(draft, 'participant').filter(({ agentId, status }) => agentId === subject && status === 'active');
  for (const { participantId } of own) if (isVoter(participantId)) return participantId;
  for (const { participantId } of own) {
    const replaced = list(draft, 'participant').find(
      (row) => row.replacedBy === participantId && isVoter(row.participantId),
    );
    if (replaced !== undefined) return replaced.participantId;
  }
  throw new PlatformError('NOT_IN_ELECTORATE', 'the caller had no vote when the voting opened');
}

/** @throws {REVISION_NOT_ALLOWED} where the voice was used and may not be used anew. */
function requireUnused(draft: Draft, decision: DecisionRow, known: BallotRow | undefined): void {
  if (known === undefined || decision.rules.revisionAllowed) return;
  if (known.vote !== null) throw new PlatformError('REVISION_NOT_ALLOWED', 'the vote was cast; it stands');
  const ballots = ballotsOf(draft, decision);
  const cast = ballots.flatMap(({ voter, vote }) => (vote === null ? [] : [{ voter, vote }]));
  const delegations = new Map(
    ballots.flatMap((one) => (one.delegateTo === null ? [] : [[one.voter, one.delegateTo] as const])),
  );
  const heard = countVoices(decision.electorate, cast, delegations).reduce((sum, { voices }) => sum + voices, 0);
  const without = new Map([...delegations].filter(([voter]) => voter !== known.voter));
  const rest = countVoices(decision.electorate, cast, without).reduce((sum, { voices }) => sum + voices, 0);
  if (heard !== rest)
    throw new PlatformError('REVISION_NOT_ALLOWED', 'the voice was passed on to somebody who has voted; it stands');
}

function store(
  draft: Draft,
  decision: DecisionRow,
  ballot: Pick<BallotRow, 'voter' | 'vote' | 'delegateTo' | 'rationale'>,
): void {
  const { tenantId, collabId, id: decisionId, round } = decision;
  const known = find(draft, 'ballot', ballotKey({ decisionId, round, voter: ballot.voter }));
  requireUnused(draft, decision, known);
  // Behind the lock: it may have been put before a council since it was looked up.
  if (decision.councilId !== null) requireSitting(draft, decision);
  put(draft, 'ballot', {
    ...ballot,
    tenantId,
    decisionId,
    round,
    collabId,
    revision: (known?.revision ?? 0) + 1,
    castAt: draft.at,
  });
  const next = put(draft, 'decision', {
    ...decision,
    ballotCount: ballotsOf(draft, decision).length,
    version: decision.version + 1,
  });
  const counted = countVotes(draft, next, { isOver: false })!;
  const isShown = decision.rules.transparency && !decision.rules.anonymity;
  tell(draft, 'collab.ballot.cast', {
    decision: next,
    heard: counted.heard,
    turnout: counted.turnout,
    voterId: decision.rules.anonymity ? null : ballot.voter,
    standings: isShown ? counted.standings : null,
  });
  const certain = countVotes(draft, next, { isOver: false, certainOnly: true });
  if (certain !== null) endVoting(draft, next, certain);
}

const needsOf = (decisionId: string) => ({ participant: 'all', decision: [decisionId], ballot: [decisionId] }) as const;

/** What is known of a decision before its collaboration is locked. */
export interface VotingFacts {
  readonly isAnonymous: boolean;
  readonly isBeforeCouncil: boolean;
}

/** Votes and voices that are passed on. */
export function createBallots({
  calls,
  findVoting,
}: {
  readonly calls: Calls;
  readonly findVoting: (tenantId: string, decisionId: string) => Promise<VotingFacts>;
}) {
  /** What has to be read for a vote, and who is named as its voter. */
  async function optionsOf({ principal }: RequestScope, decisionId: string) {
    const { isAnonymous, isBeforeCouncil } = await findVoting(principal.tenantId, decisionId);
    return {
      needs: isBeforeCouncil ? councilNeeds(decisionId) : needsOf(decisionId),
      ...(isAnonymous ? { shownActor: anonymousVoter } : {}),
    };
  }

  return {
    /**
     * @throws {NOT_FOUND} {VOTE_CLOSED} {NOT_IN_ELECTORATE} {REVISION_NOT_ALLOWED} {RULE_MISCONFIGURED} {VALIDATION_FAILED}
     * {COLLAB_NOT_ACTIVE}
     */
    async cast(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.ballot, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'castBallot',
          input,
          idempotencyKey,
          ...(await optionsOf(scope, input.decisionId)),
        },
        (draft) => {
          const decision = requireDecision(draft, input.decisionId);
          requireDecisionVersion(decision, expectedVersion);
          requireStatus(draft, 'active');
          const voter = requireVoter(draft, decision, scope.principal);
          requireOpen(draft, decision);
          store(draft, decision, {
            voter,
            vote: toVote(input, { ...decision, rules: rulesInForce(decision) }),
            delegateTo: null,
            rationale: input.rationale ?? null,
          });
          return { collabId, decisionId: decision.id };
        },
      );
    },

    /**
     * Passes the caller's voice on; it goes along further delegations to the first who votes.
     * @throws {DELEGATION_CYCLE} {DELEGATION_FORBIDDEN} {NOT_IN_ELECTORATE} {VOTE_CLOSED} {REVISION_NOT_ALLOWED} {NOT_FOUND}
     */
    async delegate(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.delegate, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'delegateVote',
          input,
          idempotencyKey,
          ...(await optionsOf(scope, input.decisionId)),
        },
        (draft) => {
          const decision = requireDecision(draft, input.decisionId);
          requireDecisionVersion(decision, expectedVersion);
          requireStatus(draft, 'active');
          const voter = requireVoter(draft, decision, scope.principal);
          requireOpen(draft, decision);
          const path = ['input', 'toParticipantId'];
          if (!rulesInForce(decision).delegationAllowed || decision.rules.method === 'coordinator')
            throw new PlatformError('DELEGATION_FORBIDDEN', 'this vote may not be passed on', { path });
          if (!decision.electorate.some(({ id }) => id === input.toParticipantId))
            throw new PlatformError('NOT_IN_ELECTORATE', `${input.toParticipantId} has no vote`, { path });
          const delegations = new Map(
            ballotsOf(draft, decision).flatMap((one) =>
              one.delegateTo === null ? [] : [[one.voter, one.delegateTo] as const],
            ),
          );
          const way = cycleThrough(delegations, voter, input.toParticipantId);
          if (way !== null)
            throw new PlatformError('DELEGATION_CYCLE', 'the voice would come back to the caller', {
              path,
              details: decision.rules.anonymity ? {} : { way },
            });
          store(draft, decision, { voter, vote: null, delegateTo: input.toParticipantId, rationale: null });
          return { collabId, decisionId: decision.id };
        },
      );
    },
  };
}

/** @throws {VERSION_CONFLICT} */
export function requireDecisionVersion({ version }: DecisionRow, expected: number | null | undefined): void {
  if (expected != null && expected !== version)
    throw new PlatformError('VERSION_CONFLICT', `expected version ${expected}, the stored one is ${version}`, {
      path: ['input', 'expectedVersion'],
      details: { expectedVersion: expected, actualVersion: version },
    });
}
