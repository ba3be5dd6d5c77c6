import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { requireDecision, requireDecisionVersion } from './ballots.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { countVotes } from './conclude.ts';
import { requireConflict, requireFeasible } from './council/effects.ts';
import { councilNeeds } from './council/needs.ts';
import { closeDeliberating, endVoting, openRound } from './council/rounds.ts';
import { isSitting } from './council/sittings.ts';
import type { CouncilRow, CouncilRules } from './councilRows.ts';
import type { DecisionRow } from './decisionRows.ts';
import { type Draft, find, put, setDeadline, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { active, requireCoordinator, requireStatus } from './rights.ts';
import type { ParticipantRow } from './rows.ts';
import { requireReachable } from './rules.ts';
import { type PerformanceFor, weigh } from './weighting.ts';

/** Who sits in it: those named, else all that may. @throws {NOT_IN_ELECTORATE} {INVARIANT_VIOLATED} {VALIDATION_FAILED} */
function membersOf(
  draft: Draft,
  named: readonly string[] | null,
  affected: readonly string[],
): readonly ParticipantRow[] {
  const path = ['input', 'members'];
  const able = active(draft);
  for (const [at, id] of (named ?? []).entries()) {
    if (!able.some(({ participantId }) => participantId === id))
      throw new PlatformError('PARTICIPANT_NOT_FOUND', `no active participant ${id}`, { path: [...path, at] });
    if (affected.includes(id))
      throw new PlatformError('NOT_IN_ELECTORATE', `${id} is affected by the conflict: nobody judges their own`, {
        path: [...path, at],
      });
  }
  const members = able.filter(({ participantId }) =>
    named === null ? !affected.includes(participantId) : named.includes(participantId),
  );
  if (members.length < 2)
    throw new PlatformError('INVARIANT_VIOLATED', 'a council has two members at least', {
      details: { invariant: 'two_voters' },
    });
  return members;
}

/** Whether rules, members, options and conflict go together. @throws {RULE_MISCONFIGURED} {COORDINATOR_INVALID} {QUORUM_UNREACHABLE} */
function requireFitting(draft: Draft, decision: DecisionRow, council: CouncilRow): void {
  const { rules, conflictId, members } = council;
  if (rules.type === 'judicial' && conflictId === null)
    throw new PlatformError('RULE_MISCONFIGURED', 'a judicial council judges a conflict: name it', {
      path: ['input', 'conflictId'],
    });
  if (conflictId !== null && rules.type !== 'judicial' && rules.type !== 'mixed')
    throw new PlatformError('RULE_MISCONFIGURED', `a council that is ${rules.type.toUpperCase()} judges no conflict`, {
      path: ['input', 'conflictId'],
    });
  const actions = decision.options.flatMap(({ action }) => (action == null ? [] : [action]));
  const isWithout = ({ isStatusQuo, action }: DecisionRow['options'][number]) => !isStatusQuo && action == null;
  if (rules.type === 'executive' && decision.options.some(isWithout))
    throw new PlatformError('RULE_MISCONFIGURED', 'an executive council needs an action of each option', {
      path: ['input', 'decisionId'],
    });
  for (const action of actions) {
    if ((action.kind === 'settle_conflict') !== (conflictId !== null))
      throw new PlatformError('RULE_MISCONFIGURED', `no option of this council may ${action.kind.toUpperCase()}`, {
        path: ['input', 'decisionId'],
        details: { kind: action.kind.toUpperCase() },
      });
    requireFeasible(draft, action);
  }
  const { coordinatorId } = draft.collab.coordination;
  if (decision.rules.method === 'coordinator' && !members.some(({ id }) => id === coordinatorId))
    throw new PlatformError('COORDINATOR_INVALID', 'the method COORDINATOR needs the coordinator in the council', {
      path: ['input', 'members'],
    });
  if (rules.quorumEnforced) requireReachable(decision.rules, members.length);
}

/** @throws {RULE_MISCONFIGURED} */
function requireCouncilRules({ rules: { council } }: DecisionRow): CouncilRules {
  if (council === undefined)
    throw new PlatformError('RULE_MISCONFIGURED', 'the rules of this decision have no council', {
      path: ['input', 'decisionId'],
    });
  return council;
}

/** @throws {NOT_FOUND} {INVALID_STATE} {VERSION_CONFLICT} */
function requireOpenCouncil(draft: Draft, councilId: string, expected: number | null | undefined): CouncilRow {
  const council = find(draft, 'council', councilId);
  if (council === undefined) throw new PlatformError('NOT_FOUND', 'no such council', { path: ['input', 'councilId'] });
  if (expected != null && expected !== council.version)
    throw new PlatformError('VERSION_CONFLICT', `expected version ${expected}, the stored one is ${council.version}`, {
      path: ['input', 'expectedVersion'],
      details: { expectedVersion: expected, actualVersion: council.version },
    });
  const isOver = Date.parse(council.endsAt) <= draft.atMs;
  if (!isSitting(council) || isOver)
    throw new PlatformError('INVALID_STATE', isOver ? 'the time of the sitting is over' : 'the sitting is CLOSED', {
      details: { status: 'CLOSED' },
    });
  return council;
}

/** Sittings of councils: opened for one question, in rounds, over by their time. */
export function createCouncils({
  calls,
  decisionOf,
  performanceFor,
}: {
  readonly calls: Calls;
  /** Decision of a sitting. */
  readonly decisionOf: (tenantId: string, councilId: string) => Promise<string | null>;
  readonly performanceFor: PerformanceFor;
}) {
  async function run(
    scope: RequestScope,
    options: {
      readonly operation: string;
      readonly input: { readonly councilId: string };
      readonly idempotencyKey: string | null | undefined;
    },
    work: (draft: Draft) => void,
  ): Promise<Answer> {
    const { councilId } = options.input;
    const collabId = await calls.ownerOf(scope, 'council', councilId);
    const decisionId = (await decisionOf(scope.principal.tenantId, councilId))!;
    const needs = { ...councilNeeds(decisionId), council: { openAnd: [councilId] } };
    return calls.run(scope, collabId, { ...options, needs }, (draft) => {
      requireCoordinator(draft, scope.principal, 'oversee');
      work(draft);
      return { collabId, councilId, decisionId };
    });
  }

  return {
    /**
     * Opens a sitting with its first round.
     * @throws {INVALID_STATE_TRANSITION} {RULE_MISCONFIGURED} {NOT_IN_ELECTORATE} {PARTICIPANT_NOT_FOUND} {INVARIANT_VIOLATED}
     * {QUORUM_UNREACHABLE} {NOT_FOUND} {PERMISSION_DENIED} {COLLAB_NOT_ACTIVE}
     */
    async open(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.openCouncil, raw);
      const collabId = await calls.ownerOf(scope, 'decision', input.decisionId);
      const performance = await performanceFor(scope.principal.tenantId, collabId, { decisionId: input.decisionId });
      const needs = councilNeeds(input.decisionId);
      return calls.run(scope, collabId, { operation: 'openCouncil', input, idempotencyKey, needs }, (draft) => {
        requireCoordinator(draft, scope.principal, 'oversee');
        requireStatus(draft, 'active');
        const decision = requireDecision(draft, input.decisionId);
        requireDecisionVersion(decision, expectedVersion);
        const isBefore = decision.councilId !== null;
        if (isBefore || (decision.status !== 'proposed' && decision.status !== 'under_review'))
          throw new PlatformError(
            'INVALID_STATE_TRANSITION',
            isBefore
              ? 'the decision is before a council'
              : `the decision is ${decision.status.toUpperCase()}, expected PROPOSED or UNDER_REVIEW`,
            { details: { status: decision.status.toUpperCase() } },
          );
        const rules = requireCouncilRules(decision);
        const conflictId = input.conflictId ?? null;
        const affected = conflictId === null ? [] : requireConflict(draft, conflictId).participants;
        const council: CouncilRow = {
          tenantId: decision.tenantId,
          id: newId(),
          collabId,
          decisionId: decision.id,
          conflictId,
          rules,
          members: weigh(membersOf(draft, input.members ?? null, affected), {
            collab: draft.collab,
            weighting: decision.rules.weighting,
            performance,
          }),
          status: 'deliberating',
          outcome: null,
          winner: null,
          note: null,
          rounds: [],
          endsAt: new Date(draft.atMs + rules.maxSessionDurationMs).toISOString(),
          closedAt: null,
          version: 0,
          createdAt: draft.at,
          createdBy: scope.principal.subject,
        };
        requireFitting(draft, decision, council);
        tell(draft, 'collab.council.opened', { council: put(draft, 'council', council) });
        openRound(draft, council, decision, input.roundTimeMs ?? decision.rules.timeLimitMs);
        setDeadline(draft, `council:${council.id}`, council.endsAt);
        return { collabId, councilId: council.id, decisionId: decision.id };
      });
    },

    /** Another round, with nothing said in it yet. @throws {INVALID_STATE} {NOT_FOUND} {PERMISSION_DENIED} {COLLAB_NOT_ACTIVE} */
    async openRound(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.openCouncilRound, raw);
      return run(scope, { operation: 'openCouncilRound', input, idempotencyKey }, (draft) => {
        requireStatus(draft, 'active');
        const council = requireOpenCouncil(draft, input.councilId, expectedVersion);
        if (council.status === 'voting')
          throw new PlatformError('INVALID_STATE', 'a round is open: it has to end first');
        const decision = requireDecision(draft, council.decisionId);
        openRound(draft, council, decision, input.roundTimeMs ?? decision.rules.timeLimitMs);
      });
    },

    /** Ends a sitting with what it has come to. @throws {INVALID_STATE} {NOT_FOUND} {PERMISSION_DENIED} */
    async close(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.closeCouncil, raw);
      return run(scope, { operation: 'closeCouncil', input, idempotencyKey }, (draft) => {
        const council = requireOpenCouncil(draft, input.councilId, expectedVersion);
        closeSitting(draft, council);
      });
    },
  };
}

/** A sitting is over: a round that is open is counted, one that was is taken for what it came to. */
export function closeSitting(draft: Draft, council: CouncilRow): void {
  const decision = requireDecision(draft, council.decisionId);
  if (council.status === 'voting')
    endVoting(draft, decision, countVotes(draft, decision, { isOver: true })!, { isLast: true });
  else closeDeliberating(draft, council, decision);
}
