import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireDecision, requireDecisionVersion } from './ballots.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { type CustomResult, countVotes, electionOf } from './conclude.ts';
import { councilNeeds } from './council/needs.ts';
import { endVoting } from './council/rounds.ts';
import { requireNoCouncil } from './council/rules.ts';
import { dissolve } from './council/sittings.ts';
import { askExtension, requireCounter } from './customTally.ts';
import type { DecisionRow } from './decisionRows.ts';
import { count, type Draft, find, put, setDeadline, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { readPartByIds } from './parts.ts';
import { electorateOf, open, propose } from './proposals.ts';
import { requireCoordinator, requireStatus } from './rights.ts';
import { toVote } from './votes.ts';
import { tally } from './voting/index.ts';
import type { PerformanceFor } from './weighting.ts';

/** Group decisions from the proposal to what became of them. */
export function createDecisions(
  { sql, graph }: Pick<ModuleRuntime, 'sql' | 'graph'>,
  { calls, performanceFor }: { readonly calls: Calls; readonly performanceFor: PerformanceFor },
) {
  const refused = (decision: DecisionRow, expected: string) =>
    new PlatformError(
      'INVALID_STATE_TRANSITION',
      `the decision is ${decision.status.toUpperCase()}, expected ${expected}`,
      {
        details: { status: decision.status.toUpperCase() },
      },
    );

  /** Asked before the lock is taken: it may take its time. */
  async function askCustom(principal: Principal, collabId: string, decisionId: string) {
    const key = { tenantId: principal.tenantId, collabId, id: decisionId };
    const [[decision], ballots] = await Promise.all([
      readPartByIds(sql, 'decision', [key]),
      readPartByIds(sql, 'ballot', [key]),
    ]);
    if (decision?.rules.method !== 'custom' || decision.status !== 'voting') return null;
    return { version: decision.version, result: await askExtension(graph, principal, decision, ballots) };
  }

  /** Counts and ends a voting under its lock. @throws {VERSION_CONFLICT} where votes came after the extension was asked */
  function finalise(draft: Draft, decision: DecisionRow, custom: { version: number; result: CustomResult } | null) {
    if (custom !== null && custom.version !== decision.version)
      throw new PlatformError('VERSION_CONFLICT', 'a vote came in while the extension counted: try again');
    return endVoting(draft, decision, countVotes(draft, decision, { isOver: true, custom: custom?.result ?? null })!);
  }

  return {
    askCustom,
    finalise,

    /** @throws {NOT_A_PARTICIPANT} {PERMISSION_DENIED} {RULE_MISCONFIGURED} {COLLAB_NOT_ACTIVE} */
    async propose(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.propose, raw);
      return calls.run(
        scope,
        input.collabId,
        {
          operation: 'proposeDecision',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all' },
          before: () => requireCounter(graph, scope.principal, { rules: input.rules, path: ['input', 'rules'] }),
        },
        (draft) => {
          const decision = put(draft, 'decision', propose(draft, input, scope.principal));
          tell(draft, 'collab.decision.proposed', { decision });
          return { collabId: input.collabId, decisionId: decision.id };
        },
      );
    },

    /** proposed -> under_review; the proposer or the coordinator. @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} */
    async review(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.decisionRef, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'reviewDecision',
          input,
          idempotencyKey,
          needs: { participant: 'all', decision: [input.decisionId] },
        },
        (draft) => {
          requireCoordinator(draft, scope.principal, 'oversee');
          const decision = requireDecision(draft, input.decisionId);
          requireDecisionVersion(decision, expectedVersion);
          if (decision.status !== 'proposed') throw refused(decision, 'PROPOSED');
          const reviewed = put(draft, 'decision', {
            ...decision,
            status: 'under_review',
            version: decision.version + 1,
          });
          tell(draft, 'collab.decision.underreview', { decision: reviewed });
          return { collabId, decisionId: decision.id };
        },
      );
    },

    /** Freezes the electorate and lets it vote. @throws {INVALID_STATE_TRANSITION} {QUORUM_UNREACHABLE} {INVARIANT_VIOLATED} {PERMISSION_DENIED} */
    async open(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.openVoting, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      const performance = await performanceFor(scope.principal.tenantId, collabId, { decisionId: input.decisionId });
      return calls.run(
        scope,
        collabId,
        { operation: 'openVoting', input, idempotencyKey, needs: { participant: 'all', decision: [input.decisionId] } },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          requireStatus(draft, 'active');
          const decision = requireDecision(draft, input.decisionId);
          requireDecisionVersion(decision, expectedVersion);
          if (decision.status !== 'proposed' && decision.status !== 'under_review')
            throw refused(decision, 'PROPOSED or UNDER_REVIEW');
          if (decision.councilId !== null) throw refused(decision, 'a decision that is before no council');
          requireNoCouncil(decision);
          open(draft, decision, { timeLimitMs: input.timeLimitMs ?? decision.rules.timeLimitMs, performance });
          return { collabId, decisionId: decision.id };
        },
      );
    },

    /** The coordinator ends the voting before its time. @throws {VOTE_CLOSED} {PERMISSION_DENIED} {RULE_MISCONFIGURED} */
    async finalize(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.decisionRef, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      const custom = await askCustom(scope.principal, collabId, input.decisionId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'finalizeDecision',
          input,
          idempotencyKey,
          needs: councilNeeds(input.decisionId),
        },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          const decision = requireDecision(draft, input.decisionId);
          requireDecisionVersion(decision, expectedVersion);
          if (decision.status !== 'voting')
            throw new PlatformError('VOTE_CLOSED', `the decision is ${decision.status.toUpperCase()}`, {
              details: { status: decision.status.toUpperCase() },
            });
          finalise(draft, decision, custom);
          return { collabId, decisionId: decision.id };
        },
      );
    },

    /** Proposal, votes and outcome in one, for votes that were gathered elsewhere; the coordinator. @throws as the single steps do */
    async make(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ballots, ...input } = parseInput(inputs.makeDecision, raw);
      const performance = await performanceFor(scope.principal.tenantId, input.collabId, {
        strategy: input.rules?.weighting?.strategy,
      });
      return calls.run(
        scope,
        input.collabId,
        {
          operation: 'makeDecision',
          input: { ...input, ballots },
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all' },
        },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          const proposed = propose(draft, input, scope.principal);
          if (proposed.rules.method === 'custom')
            throw new PlatformError('RULE_MISCONFIGURED', 'what an extension counts is put to an open vote', {
              path: ['input', 'rules', 'method'],
            });
          requireNoCouncil(proposed);
          const electorate = electorateOf(draft, proposed, performance);
          let decision: DecisionRow = {
            ...proposed,
            electorate,
            status: 'voting',
            openedAt: draft.at,
            ballotCount: ballots.length,
          };
          for (const [at, ballot] of ballots.entries()) {
            if (!electorate.some(({ id }) => id === ballot.participantId))
              throw new PlatformError('NOT_IN_ELECTORATE', `${ballot.participantId} has no vote`, {
                path: ['input', 'ballots', at, 'participantId'],
              });
            put(draft, 'ballot', {
              tenantId: decision.tenantId,
              decisionId: decision.id,
              round: decision.round,
              voter: ballot.participantId,
              collabId: decision.collabId,
              vote: toVote(ballot, decision),
              delegateTo: null,
              rationale: ballot.rationale ?? null,
              revision: 1,
              castAt: draft.at,
            });
          }
          count(draft, { decisionsOpened: 1 });
          decision = finalise(draft, put(draft, 'decision', decision), null);
          return { collabId: input.collabId, decisionId: decision.id };
        },
      );
    },

    /** The proposer or the coordinator. @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} */
    async withdraw(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.decisionRef, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'withdrawDecision',
          input,
          idempotencyKey,
          needs: { participant: 'all', decision: [input.decisionId], council: 'open' },
        },
        (draft) => {
          const decision = requireDecision(draft, input.decisionId);
          requireDecisionVersion(decision, expectedVersion);
          if (find(draft, 'participant', decision.proposedBy)?.agentId !== scope.principal.subject)
            requireCoordinator(draft, scope.principal);
          if (!['proposed', 'under_review', 'voting'].includes(decision.status))
            throw refused(decision, 'PROPOSED, UNDER_REVIEW or VOTING');
          const council = decision.councilId === null ? undefined : find(draft, 'council', decision.councilId);
          if (council !== undefined) dissolve(draft, council, input.reason ?? 'the decision is withdrawn');
          const withdrawn = put(draft, 'decision', {
            ...requireDecision(draft, decision.id),
            status: 'withdrawn',
            outcome: 'withdrawn',
            note: input.reason ?? null,
            decidedAt: draft.at,
            version: decision.version + 1,
          });
          setDeadline(draft, `decision:${decision.id}`, null);
          if (decision.status === 'voting' && council === undefined) count(draft, { decisionsConcluded: 1 });
          tell(draft, 'collab.decision.withdrawn', { decision: withdrawn });
          return { collabId, decisionId: decision.id };
        },
      );
    },

    /** decided -> implemented (its owner, else the proposer; or the coordinator) -> reviewed (overseer). @throws {INVALID_STATE_TRANSITION} {CONFIRM_PENDING} {PERMISSION_DENIED} */
    async advance(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.advance, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'advanceDecision',
          input,
          idempotencyKey,
          needs: { participant: 'all', decision: [input.decisionId] },
        },
        (draft) => {
          const decision = requireDecision(draft, input.decisionId);
          requireDecisionVersion(decision, expectedVersion);
          if (input.status === 'implemented') {
            const owner = decision.implementation?.ownerId ?? decision.proposedBy;
            if (find(draft, 'participant', owner)?.agentId !== scope.principal.subject)
              requireCoordinator(draft, scope.principal);
            if (decision.status !== 'decided' || decision.outcome !== 'adopted')
              throw refused(decision, 'DECIDED and adopted');
            if (decision.gate !== 'auto' && decision.confirmId === null)
              throw new PlatformError('CONFIRM_PENDING', 'the decision waits for its approval', {
                details: { gate: decision.gate?.toUpperCase() },
              });
          } else {
            requireCoordinator(draft, scope.principal, 'oversee');
            if (decision.status !== 'implemented') throw refused(decision, 'IMPLEMENTED');
          }
          const moved = put(draft, 'decision', {
            ...decision,
            status: input.status,
            note: input.note ?? decision.note,
            version: decision.version + 1,
          });
          tell(draft, `collab.decision.${input.status}`, { decision: moved });
          return { collabId, decisionId: decision.id };
        },
      );
    },

    /** What the votes come to now, where that is shown. */
    standing(decision: DecisionRow, ballots: Parameters<typeof electionOf>[1], coordinator: string | null) {
      return tally(electionOf(decision, ballots, { coordinator, isOver: false }));
    },
  };
}

export type Decisions = ReturnType<typeof createDecisions>;
