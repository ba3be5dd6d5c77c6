import type { RequestScope } from '#shared/context.ts';
import { PlatformError, toUserError, type UserErrorShape } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { Commands } from '../commands.ts';
import { rollUpSteps } from '../composites.ts';
import { planEvent } from '../events.ts';
import { requireNetwork, summarize } from '../network.ts';
import { readNetwork, requireDraft } from '../networkWrite.ts';
import type { PlanRow, PlanSummaryValue } from '../rows.ts';
import {
  holdContribution,
  holdSession,
  requireAuthor,
  requireOpenSession,
  requireParticipant,
  requireStatus,
} from './access.ts';
import { changeNetworkBy, conflictOf, type Decided, judgeContribution, settleContribution } from './decisions.ts';
import { sessionEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { ContributionRow, Measures, SessionRow } from './rows.ts';
import {
  findOpenContributions,
  findTimedSession,
  findVotes,
  insertContribution,
  insertVote,
  updateContribution,
} from './store.ts';

const maxOpen = 100;

export interface Contributed {
  readonly contributionId: string;
  /** Of a vote that decided for a plan that is another by now. */
  readonly conflict?: UserErrorShape | undefined;
}

interface KeyOption {
  readonly idempotencyKey?: string | null | undefined;
}

/** Changes of a plan that participants put to the vote. */
export function createContributions(commands: Commands) {
  /** Puts a change to the vote once it fits the plan. */
  async function open(
    tx: SqlTransaction,
    scope: RequestScope,
    { plan, session }: { readonly plan: PlanRow; readonly session: SessionRow },
    given: Pick<ContributionRow, 'change' | 'undoOf' | 'rationale'>,
  ) {
    requireDraft(plan);
    if ((await findOpenContributions(tx, session)).length >= maxOpen)
      throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxOpen} open contributions in a session`);
    const placed = { tenantId: plan.tenantId, planId: plan.id };
    const contribution = await insertContribution(tx, {
      ...{ ...placed, ...given, id: newId(), sessionId: session.id, author: scope.principal.subject },
      ...{ planVersion: plan.version, electorate: session.participants },
      ...(await measure(tx, plan, { ...placed, ...given })),
    });
    return {
      response: { contributionId: contribution.id },
      events: [sessionEvent('plan.contribution.made', session, { contribution }), proposed(plan, contribution)],
      audit: [{ action: 'plan.contribute', resource: 'PlanContribution', resourceId: contribution.id }],
    };
  }

  return {
    /** @throws {NOT_A_PARTICIPANT} {VERSION_CONFLICT} {PLAN_NOT_EDITABLE} {COLLABORATION_TIMEOUT} {CYCLIC_DEPENDENCY} {VALIDATION_FAILED} */
    async contribute(scope: RequestScope, raw: unknown): Promise<Contributed> {
      const { idempotencyKey, change: rawChange, ...input } = parseInput(inputs.contribute, raw, ['input']);
      const change = parseInput(inputs.planChange, rawChange, ['input', 'change']);
      // As it was given: ids that are given out differ from call to call.
      const call = { operation: 'contributeToPlan', input: { ...input, change: rawChange }, idempotencyKey };
      return commands.run(scope, call, async (tx) => {
        const held = await holdSession(tx, scope, input.sessionId);
        requireOpenSession(held.session);
        requireParticipant(held.session.participants, scope);
        requireVersion(input.planVersion, held.plan.version);
        return open(tx, scope, held, { change, undoOf: null, rationale: input.rationale ?? null });
      });
    },

    /** @throws {INVALID_STATE} {CONFLICT} {VERSION_CONFLICT} {NOT_A_PARTICIPANT} {COLLABORATION_TIMEOUT} {PLAN_NOT_EDITABLE} */
    async undo(
      scope: RequestScope,
      contributionId: string,
      { rationale, idempotencyKey }: KeyOption & { readonly rationale?: string | null | undefined },
    ): Promise<Contributed> {
      const note = rationale == null ? null : parseInput(inputs.comment, rationale, ['rationale']);
      const call = { operation: 'undoContribution', input: { contributionId, note }, idempotencyKey };
      return commands.run(scope, call, async (tx) => {
        const { plan, contribution } = await holdContribution(tx, scope, contributionId);
        requireStatus(contribution, 'APPLIED');
        const session = await findTimedSession(tx, plan.tenantId, { openOfPlan: plan.id });
        if (!session)
          throw new PlatformError('INVALID_STATE', 'the plan has no open session to agree in', {
            path: ['contributionId'],
          });
        requireOpenSession(session);
        requireParticipant(session.participants, scope);
        const waiting = await findOpenContributions(tx, session);
        if (waiting.some(({ undoOf }) => undoOf === contributionId))
          throw new PlatformError('CONFLICT', 'its reverse is put to the vote already', { path: ['contributionId'] });
        return open(tx, scope, { plan, session }, { change: null, undoOf: contributionId, rationale: note });
      });
    },

    /** @throws {PERMISSION_DENIED} {VERSION_CONFLICT} {INVALID_STATE} {PLAN_NOT_EDITABLE} {COLLABORATION_TIMEOUT} */
    async rebase(
      scope: RequestScope,
      contributionId: string,
      {
        planVersion: rawVersion,
        change: rawChange,
        idempotencyKey,
      }: KeyOption & { readonly planVersion: number; readonly change?: unknown },
    ): Promise<Contributed> {
      const planVersion = parseInput(inputs.planVersion, rawVersion, ['planVersion']);
      const given = rawChange == null ? null : parseInput(inputs.planChange, rawChange, ['change']);
      const input = { contributionId, planVersion, change: rawChange ?? null };
      return commands.run(scope, { operation: 'rebaseContribution', input, idempotencyKey }, async (tx) => {
        const { plan, session, contribution } = await holdContribution(tx, scope, contributionId);
        requireOpenSession(session);
        requireAuthor(contribution, scope);
        requireParticipant(session.participants, scope);
        requireStatus(contribution, 'OPEN', 'CONFLICTED');
        requireVersion(planVersion, plan.version);
        requireDraft(plan);
        if (given !== null && contribution.undoOf !== null)
          throw new PlatformError('VALIDATION_FAILED', 'change: what undoes another has none of its own', {
            path: ['change'],
          });
        const next = { ...contribution, change: given ?? contribution.change, planVersion };
        const rebased = await updateContribution(tx, {
          ...next,
          ...{ status: 'OPEN', outcome: null, revision: contribution.revision + 1 },
          electorate: session.participants,
          ...(await measure(tx, plan, next)),
        });
        return {
          response: { contributionId },
          events: [
            sessionEvent('plan.contribution.rebased', session, { contribution: rebased }),
            proposed(plan, rebased),
          ],
          audit: [{ action: 'plan.rebaseContribution', resource: 'PlanContribution', resourceId: contributionId }],
        };
      });
    },

    /** @throws {PERMISSION_DENIED} {INVALID_STATE} {NOT_FOUND} */
    async withdraw(scope: RequestScope, contributionId: string, { idempotencyKey }: KeyOption): Promise<Contributed> {
      const call = { operation: 'withdrawContribution', input: { contributionId }, idempotencyKey };
      return commands.run(scope, call, async (tx) => {
        const { session, contribution } = await holdContribution(tx, scope, contributionId);
        requireAuthor(contribution, scope);
        requireStatus(contribution, 'OPEN', 'CONFLICTED');
        const withdrawn = await updateContribution(tx, { ...contribution, status: 'WITHDRAWN' });
        return {
          response: { contributionId },
          events: [sessionEvent('plan.contribution.withdrawn', session, { contribution: withdrawn })],
          audit: [{ action: 'plan.withdrawContribution', resource: 'PlanContribution', resourceId: contributionId }],
        };
      });
    },

    /** @throws {NOT_A_PARTICIPANT} {ALREADY_DECIDED} {INVALID_STATE} {COLLABORATION_TIMEOUT} {NOT_FOUND} */
    async vote(
      scope: RequestScope,
      contributionId: string,
      {
        vote: rawVote,
        comment: rawComment,
        idempotencyKey,
      }: KeyOption & { readonly vote: string; readonly comment?: string | null | undefined },
    ): Promise<Contributed> {
      const vote = parseInput(inputs.vote, rawVote, ['vote']);
      const comment = rawComment == null ? null : parseInput(inputs.comment, rawComment, ['comment']);
      const call = { operation: 'voteOnContribution', input: { contributionId, vote, comment }, idempotencyKey };
      return commands.run<Contributed>(scope, call, async (tx) => {
        const { plan, session, contribution } = await holdContribution(tx, scope, contributionId);
        requireOpenSession(session);
        const { subject, weight } = requireParticipant(contribution.electorate, scope);
        requireStatus(contribution, 'OPEN');
        const cast = await insertVote(tx, {
          ...{ tenantId: plan.tenantId, contributionId, revision: contribution.revision },
          ...{ subject, planId: plan.id, vote, weight, comment },
        });
        if (!cast)
          throw new PlatformError('ALREADY_DECIDED', 'the participant has voted before', { path: ['contributionId'] });
        const votes = await findVotes(tx, plan.tenantId, [contributionId]);
        const verdict = judgeContribution(contribution, votes, { session, isFinal: false });
        const decided: Decided = verdict
          ? await settleContribution(tx, { plan, session, contribution }, verdict, scope)
          : { plan, contribution, events: [] };
        const isConflict = decided.contribution.status === 'CONFLICTED';
        return {
          response: { contributionId, ...(isConflict && { conflict: toUserError(conflictOf(contribution, plan)) }) },
          events: [sessionEvent('plan.contribution.voted', session, { contribution, vote: cast }), ...decided.events],
          audit: [{ action: 'plan.voteOnContribution', resource: 'PlanContribution', resourceId: contributionId }],
        };
      });
    },
  };
}

/** Tells those who follow the plan what is put to the vote about it, and what it would do. */
function proposed(plan: PlanRow, { id, before, after }: ContributionRow): NewEvent {
  return planEvent('plan.change.proposed', plan, { proposed: { contributionId: id, before, after } });
}

/** The plan with and without the change; what breaks its network is refused here, before anybody votes. */
async function measure(
  tx: SqlTransaction,
  plan: PlanRow,
  contribution: Parameters<typeof changeNetworkBy>[2],
): Promise<{ readonly before: Measures; readonly after: Measures }> {
  const { steps, dependencies } = await changeNetworkBy(tx, await readNetwork(tx, plan), contribution);
  requireNetwork(steps, dependencies, ['change']);
  return {
    before: toMeasures(plan.summary),
    after: toMeasures(summarize(plan.definition, rollUpSteps(steps), dependencies)),
  };
}

function toMeasures({ totalSteps, durationMs, cost, riskScore, confidence, feasible }: PlanSummaryValue): Measures {
  return { totalSteps, durationMs, cost, riskScore, confidence, feasible };
}
