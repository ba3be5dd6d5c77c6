import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { Commands } from '../commands.ts';
import { reason as reasonInput } from '../inputs.ts';
import { requireDraft } from '../networkWrite.ts';
import { type Author, requirePlan, type WriteOptions } from '../planChanges.ts';
import type { PlanRow } from '../rows.ts';
import { lockPlan } from '../store.ts';
import { holdSession, requireHost, requireOpenSession } from './access.ts';
import { judgeContribution, settleContribution } from './decisions.ts';
import { sessionEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { ContributionOutcome, ContributionRow, SessionRow } from './rows.ts';
import {
  countOpenSessions,
  findDueSessions,
  findOpenContributions,
  findSessions,
  findTimedSession,
  findVotes,
  insertSession,
  updateSession,
} from './store.ts';
import type { Verdict } from './tally.ts';

const defaultThreshold = 8_000;
const defaultQuorum = 5_000;
const dayMs = 86_400_000;

/** Planning sessions: who takes part, how long, and how they end. */
export function createSessions({ sql, config }: ModuleRuntime, commands: Commands) {
  /** The votes cast decide about what is open, in the order in which it came. */
  async function decideOpen(
    tx: SqlTransaction,
    { plan, session }: { readonly plan: PlanRow; readonly session: SessionRow },
    { author, discardOpen }: { readonly author: Author; readonly discardOpen: boolean },
  ): Promise<{ readonly events: readonly NewEvent[]; readonly outcome: ContributionOutcome | null }> {
    const open = await findOpenContributions(tx, session);
    const votes = Map.groupBy(
      await findVotes(
        tx,
        session.tenantId,
        open.map(({ id }) => id),
      ),
      ({ contributionId }) => contributionId,
    );
    const verdicts = open.map((contribution): readonly [ContributionRow, Verdict] => [
      contribution,
      judgeContribution(contribution, votes.get(contribution.id) ?? [], { session, isFinal: true })!,
    ]);
    const undecided = verdicts.filter(([, { accepted }]) => !accepted);
    if (undecided.length > 0 && !discardOpen)
      throw new PlatformError(
        'CONSENSUS_NOT_REACHED',
        `there is no consensus on ${undecided.length} contributions, ${undecided[0]![0].id} the first`,
        {
          path: ['sessionId'],
          details: { contributionIds: undecided.map(([{ id }]) => id).slice(0, 100) },
        },
      );
    const events: NewEvent[] = [];
    let at = plan;
    for (const [contribution, verdict] of verdicts) {
      const decided = await settleContribution(tx, { plan: at, session, contribution }, verdict, author);
      at = decided.plan;
      events.push(...decided.events);
    }
    const outcomes = new Set(undecided.map(([, { outcome }]) => outcome));
    const outcome = (['COLLABORATION_TIMEOUT', 'CONSENSUS_NOT_REACHED'] as const).find((code) => outcomes.has(code));
    return { events, outcome: outcome ?? null };
  }

  return {
    /** @throws {PLAN_NOT_EDITABLE} {CONFLICT} {QUOTA_EXCEEDED} {NOT_FOUND} {VERSION_CONFLICT} {VALIDATION_FAILED} */
    async start(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.startSession, raw, ['input']);
      const { tenantId, subject } = scope.principal;
      const call = { operation: 'startPlanSession', input: { ...input, expectedVersion }, idempotencyKey };
      const { sessionId } = await commands.run(scope, call, async (tx) => {
        const plan = await requirePlan(tx, scope, input.planId, expectedVersion);
        requireDraft(plan);
        const limit = config.PLAN_SESSIONS;
        if ((await countOpenSessions(tx, tenantId)) >= limit)
          throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${limit} open planning sessions in a tenant`);
        const session = await insertSession(
          tx,
          {
            ...{ tenantId, id: newId(), planId: plan.id, contextId: plan.contextId, createdBy: subject },
            participants: input.participants,
            threshold: input.consensusThreshold ?? defaultThreshold,
            quorum: input.quorum ?? defaultQuorum,
          },
          input.timeLimitMs ?? dayMs,
        );
        if (!session)
          throw new PlatformError('CONFLICT', 'the plan has an open session', { path: ['input', 'planId'] });
        return {
          response: { sessionId: session.id },
          events: [sessionEvent('plan.session.started', session)],
          audit: [{ action: 'plan.startPlanSession', resource: 'PlanSession', resourceId: session.id }],
          jobs: [
            {
              task: 'plan.closeSession',
              payload: { tenantId, sessionId: session.id },
              runAt: new Date(session.deadlineAt),
              key: `plan.session/${session.id}`,
            },
          ],
        };
      });
      return sessionId;
    },

    /** @throws {PERMISSION_DENIED} {QUOTA_EXCEEDED} {NOT_A_PARTICIPANT} {COLLABORATION_TIMEOUT} {INVALID_STATE} {VERSION_CONFLICT} */
    async changeParticipants(
      scope: RequestScope,
      sessionId: string,
      { set, remove, ...options }: WriteOptions & { readonly set?: unknown; readonly remove?: unknown },
    ): Promise<string> {
      const given = set == null ? [] : parseInput(inputs.participants, set, ['set']);
      const gone = remove == null ? [] : parseInput(inputs.removedParticipants, remove, ['remove']);
      const input = { sessionId, given, gone, expectedVersion: options.expectedVersion ?? null };
      const call = { operation: 'changePlanParticipants', input, idempotencyKey: options.idempotencyKey };
      await commands.run(scope, call, async (tx) => {
        const { session } = await holdSession(tx, scope, sessionId);
        requireHost(session, scope);
        requireOpenSession(session);
        requireVersion(options.expectedVersion, session.version);
        const weights = new Map(session.participants.map(({ subject, weight }) => [subject, weight]));
        for (const subject of gone)
          if (!weights.delete(subject))
            throw new PlatformError('PARTICIPANT_NOT_FOUND', `${subject} takes no part`, { path: ['remove'] });
        for (const { subject, weight } of given) weights.set(subject, weight);
        if (weights.size < 1 || weights.size > inputs.maxParticipants)
          throw new PlatformError(
            'QUOTA_EXCEEDED',
            `expected 1 to ${inputs.maxParticipants} participants, got ${weights.size}`,
            { path: ['set'] },
          );
        const participants = [...weights].map(([subject, weight]) => ({ subject, weight }));
        const changed = await updateSession(tx, { ...session, participants });
        return {
          response: { sessionId },
          events: [sessionEvent('plan.session.participants.changed', changed)],
          audit: [{ action: 'plan.changePlanParticipants', resource: 'PlanSession', resourceId: sessionId }],
        };
      });
      return sessionId;
    },

    /** @throws {CONSENSUS_NOT_REACHED} {PERMISSION_DENIED} {COLLABORATION_TIMEOUT} {INVALID_STATE} {VERSION_CONFLICT} */
    async close(
      scope: RequestScope,
      sessionId: string,
      {
        discardOpen,
        reason,
        ...options
      }: WriteOptions & { readonly discardOpen: boolean; readonly reason?: string | null | undefined },
    ): Promise<string> {
      const note = reason == null ? null : parseInput(reasonInput, reason, ['reason']);
      const input = { sessionId, discardOpen, note, expectedVersion: options.expectedVersion ?? null };
      const call = { operation: 'closePlanSession', input, idempotencyKey: options.idempotencyKey };
      await commands.run(scope, call, async (tx) => {
        const { plan, session } = await holdSession(tx, scope, sessionId);
        requireHost(session, scope);
        requireOpenSession(session);
        requireVersion(options.expectedVersion, session.version);
        const { events, outcome } = await decideOpen(tx, { plan, session }, { author: scope, discardOpen });
        const closed = await updateSession(tx, { ...session, status: 'CLOSED', outcome, statusReason: note });
        return {
          response: { sessionId },
          events: [...events, sessionEvent('plan.session.closed', closed, { reason: note })],
          audit: [{ action: 'plan.closePlanSession', resource: 'PlanSession', resourceId: sessionId }],
        };
      });
      return sessionId;
    },

    /** Ends a session whose time is over; one that is not due, or has ended, stays. */
    async expire(tenantId: string, sessionId: string): Promise<void> {
      const [known] = await findSessions(sql, tenantId, [sessionId]);
      if (known?.status !== 'OPEN') return;
      await commands.runAs(tenantId, 'system', async (tx) => {
        const plan = await lockPlan(tx, tenantId, known.planId);
        const session = plan && (await findTimedSession(tx, tenantId, { id: sessionId }));
        if (!plan || session?.status !== 'OPEN' || !session.isDue) return { response: null };
        const author = { principal: { subject: 'system' } };
        const { events, outcome } = await decideOpen(tx, { plan, session }, { author, discardOpen: true });
        const over = await updateSession(tx, { ...session, status: 'TIMED_OUT', outcome });
        return { response: null, events: [...events, sessionEvent('plan.session.timedout', over)] };
      });
    },

    /** Sessions whose time is over: what a lost timer left. */
    async sweep(): Promise<number> {
      const due = await findDueSessions(sql);
      for (const { tenantId, sessionId } of due) await this.expire(tenantId, sessionId);
      return due.length;
    },
  };
}
