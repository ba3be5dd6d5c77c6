import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { Calls } from './calls.ts';
import { type Answer, unknownCollab } from './commands.ts';
import { leastServed, missingAgreements, resolutionOf, settle } from './conflictResolving.ts';
import type { Contexts } from './contexts.ts';
import { change, count, type Draft, find, list, put, setDeadline, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { liveStateOf, planOf, type Turnout, type VotingRows } from './liveState.ts';
import { readPart } from './parts.ts';
import { type RecommendationType, recommendationTypes } from './recommend/candidates.ts';
import type { Ranking, RankTask } from './recommend/rank.ts';
import { type RecommendationWriter, wordingOf } from './recommend/wording.ts';
import { planCost } from './recommend/workPlan.ts';
import { coordinates, requireActive, requireCoordinator, requirePart, requireStatus } from './rights.ts';
import { findCollabs } from './store.ts';
import { assignTask } from './taskMoves.ts';
import { dispatch, nextInOrder, timeOut } from './turnMoves.ts';
import type { RecommendationRow } from './workRows.ts';

const thread = new URL('./recommendThread.ts', import.meta.url);
const timeoutMs = 10_000;
const defaults = { max: 5, minConfidence: 0.75 } as const;
const votingsRemembered = 50;
/** What was simulated holds for a while only. */
const lifetimeMs = 60 * 60_000;

/** Reads what the state of a session consists of. */
export async function readLiveRows(sql: ModuleRuntime['sql'], tenantId: string, collabId: string) {
  const key = [{ tenantId, collabId }];
  const [[collab], participants, tasks, turns, conflicts, resources] = await Promise.all([
    findCollabs(sql, tenantId, [collabId]),
    readPart(sql, 'participant', 'all', key),
    readPart(sql, 'task', 'open', key),
    readPart(sql, 'turn', 'open', key),
    readPart(sql, 'conflict', 'open', key),
    readPart(sql, 'resource', 'all', key),
  ]);
  if (collab === undefined) throw unknownCollab(collabId);
  return { collab, participants, tasks, turns, conflicts, resources };
}

/** Reads what the votings of a session that are open consist of. */
async function readVotingRows(sql: ModuleRuntime['sql'], tenantId: string, collabId: string): Promise<VotingRows> {
  const key = [{ tenantId, collabId }];
  const [decisions, ballots, turnouts] = await Promise.all([
    readPart(sql, 'decision', 'open', key),
    readPart(sql, 'ballot', 'open', key),
    readTurnouts(sql, tenantId, collabId),
  ]);
  return { decisions, ballots, turnouts };
}

/** How the voters of the last votings that are over have voted; who did not was waited for to the end. */
async function readTurnouts(sql: ModuleRuntime['sql'], tenantId: string, collabId: string) {
  return (await sql.unsafe(
    `SELECT e.id AS voter, count(b.voter)::int AS votes,
       sum(extract(epoch FROM coalesce(b.cast_at, d.decided_at) - d.opened_at))::float8 * 1000 AS "waitedMs"
     FROM (SELECT * FROM collab.decision WHERE tenant_id = $1 AND collab_id = $2 AND opened_at IS NOT NULL AND decided_at IS NOT NULL
       ORDER BY decided_at DESC LIMIT ${votingsRemembered}) d
     CROSS JOIN LATERAL jsonb_to_recordset(d.electorate) AS e(id text)
     LEFT JOIN collab.ballot b ON b.tenant_id = d.tenant_id AND b.decision_id = d.id AND b.round = d.round AND b.voter = e.id
     GROUP BY e.id`,
    [tenantId, collabId],
    { prepare: true },
  )) as unknown as readonly Turnout[];
}

/** Advice out of the live state, each piece simulated before it is given, and measured when it is taken. */
export function createRecommendations(
  { sql, compute }: Pick<ModuleRuntime, 'sql' | 'compute'>,
  {
    calls,
    contexts,
    writer,
  }: { readonly calls: Calls; readonly contexts: Contexts; readonly writer: RecommendationWriter | null },
) {
  return {
    /** @throws {INSUFFICIENT_DATA} where there is nothing to be judged @throws {NOT_A_PARTICIPANT} {NOT_FOUND} */
    async request(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.recommend, raw);
      const { principal } = scope;
      const { tenantId, subject } = principal;
      const operation = 'requestRecommendations';
      const known = await findIdempotentResponse(
        sql,
        'collab',
        idempotencyKey == null
          ? null
          : { tenantId, subject, key: idempotencyKey, operation, input: { ...input, expectedVersion } },
      );
      if (known) return known.response as Answer;
      await requireVisible(sql, principal, input.collabId, contexts.learn);
      const [rows, votings] = await Promise.all([
        readLiveRows(sql, tenantId, input.collabId),
        readVotingRows(sql, tenantId, input.collabId),
      ]);
      const state = liveStateOf({ ...rows, ...votings }, Date.now());
      if (state === null)
        throw new PlatformError(
          'INSUFFICIENT_DATA',
          'there are no open tasks, turns, conflicts or votings to be judged',
        );
      const task: RankTask = {
        state,
        types: (input.types ?? recommendationTypes) as readonly RecommendationType[],
        experience: rows.collab.experience,
        max: input.max ?? defaults.max,
        minConfidence: input.minConfidence ?? defaults.minConfidence,
        ...(input.timeBudgetMs == null ? {} : { timeBudgetMs: input.timeBudgetMs }),
      };
      const { ranked, timeBudgetExhausted } = await compute.run<Ranking>(thread, 'recommend', task, {
        lane: 'interactive',
        signal: scope.signal,
        timeoutMs,
      });
      const words = await Promise.all(ranked.map((one) => wordingOf(one, writer)));
      return calls.run(
        scope,
        input.collabId,
        { operation, input, idempotencyKey, expectedVersion, needs: { participant: 'all', recommendation: 'open' } },
        (draft) => {
          if (!coordinates(draft, principal)) requirePart(draft, principal);
          // What was advised before was found in another state.
          for (const old of list(draft, 'recommendation')) put(draft, 'recommendation', { ...old, status: 'expired' });
          const made = ranked.map(({ gains: _gains, disruption: _disruption, ...one }, at) =>
            put(draft, 'recommendation', {
              ...one,
              tenantId,
              id: newId(),
              collabId: input.collabId,
              wording: words[at]!,
              status: 'open',
              note: null,
              decidedBy: null,
              expiresAt: new Date(draft.atMs + lifetimeMs).toISOString(),
              createdAt: draft.at,
            }),
          );
          if (made.length > 0) {
            count(draft, { recommendationsMade: made.length });
            tell(draft, 'collab.recommendations.made', { recommendations: made });
          }
          return { collabId: input.collabId, recommendationIds: made.map(({ id }) => id), timeBudgetExhausted };
        },
      );
    },

    /**
     * Takes advice or turns it down; with `apply` it is carried out at once, and what it really gained is kept with its kind.
     * @throws {NOT_FOUND} {INVALID_STATE} {PERMISSION_DENIED} {VERSION_CONFLICT} where the state it was found in has passed
     */
    async feedback(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.feedback, raw);
      const collabId = await calls.ownerOf(scope, 'recommendation', input.recommendationId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'feedbackOnRecommendation',
          input,
          idempotencyKey,
          expectedVersion,
          needs: {
            participant: 'all',
            task: 'open',
            turn: 'open',
            conflict: 'open',
            resource: 'all',
            decision: 'open',
            recommendation: [input.recommendationId],
          },
        },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          const advice = find(draft, 'recommendation', input.recommendationId);
          if (advice === undefined)
            throw new PlatformError('NOT_FOUND', 'no such recommendation', { path: ['input', 'recommendationId'] });
          if (advice.status !== 'open' || Date.parse(advice.expiresAt) <= draft.atMs)
            throw new PlatformError(
              'INVALID_STATE',
              `the recommendation is ${advice.status === 'open' ? 'EXPIRED' : advice.status.toUpperCase()}`,
            );
          const isApplied = input.status === 'accepted' && input.apply === true;
          const before = isApplied ? measured(draft, advice) : null;
          if (isApplied) apply(draft, advice, scope.principal.subject);
          const kept = before === null ? null : keepsPromise(draft, advice, before);
          const decided = put(draft, 'recommendation', {
            ...advice,
            status: input.status,
            note: input.note ?? null,
            decidedBy: scope.principal.subject,
          });
          if (input.status === 'rejected') learn(draft, advice, false);
          else if (kept !== null) learn(draft, advice, kept);
          if (input.status === 'accepted') count(draft, { recommendationsAccepted: 1 });
          tell(draft, `collab.recommendation.${input.status}`, { recommendation: decided });
          return { collabId, recommendationId: advice.id, applied: isApplied };
        },
      );
    },
  };
}

/**
 * The figure that the advice is to better, as it stands in the draft: cost of the plan, or the share of those served least.
 * Null where it shows later alone: how long the next turn takes, whether a voting comes to its quorum.
 */
function measured(draft: Draft, { type, action }: RecommendationRow): number | null {
  switch (type) {
    case 'reassign_task':
    case 'rebalance':
      return planCost(planOf(list(draft, 'participant'), list(draft, 'task'), draft.atMs));
    case 'split_capacity': {
      const conflict = find(draft, 'conflict', String(action['conflictId']));
      return conflict === undefined ? null : leastServed(draft, conflict);
    }
    default:
      return null;
  }
}

/** Whether at least half of the gain that was promised has come; null where that does not show yet. */
function keepsPromise(draft: Draft, advice: RecommendationRow, before: number): boolean | null {
  const after = measured(draft, advice);
  if (after === null) return null;
  if (advice.type !== 'split_capacity') return before > 0 && (before - after) / before >= advice.gain / 2;
  // Until those affected agree, nothing is given out.
  const conflict = find(draft, 'conflict', String(advice.action['conflictId']));
  return conflict?.status === 'resolved' ? after - before >= advice.gain / 2 : null;
}

function learn(draft: Draft, { type }: RecommendationRow, succeeded: boolean): void {
  const { experience } = draft.collab;
  const known = experience[type] ?? { succeeded: 0, failed: 0 };
  const next = succeeded ? { ...known, succeeded: known.succeeded + 1 } : { ...known, failed: known.failed + 1 };
  change(draft, { experience: { ...experience, [type]: next } });
}

const passed = () =>
  new PlatformError('VERSION_CONFLICT', 'the state that the advice was found in has passed: ask for it anew');

function move(
  draft: Draft,
  { taskId, from, to }: { readonly taskId: string; readonly from: string | null; readonly to: string },
): void {
  const task = find(draft, 'task', taskId);
  if (task === undefined || task.assignedTo !== from || (task.status !== 'pending' && task.status !== 'assigned'))
    throw passed();
  requireActive(draft, to, []);
  assignTask(draft, task, to, { plannedStart: null, plannedFinish: null });
}

/** @throws {VERSION_CONFLICT} {INVALID_STATE} {COLLAB_NOT_ACTIVE} */
function apply(draft: Draft, { type, action }: RecommendationRow, subject: string): void {
  requireStatus(draft, 'active');
  switch (type) {
    case 'reassign_task':
      move(draft, action as never);
      return;
    case 'rebalance':
      for (const one of action['assignments'] as readonly never[]) move(draft, one);
      return;
    case 'pass_turn': {
      const turn = find(draft, 'turn', String(action['turnId']));
      if (turn?.status !== 'dispatched') throw passed();
      timeOut(draft, turn, { status: 'cancelled', error: 'passed on' });
      const next = nextInOrder(draft);
      if (next !== null && (draft.collab.mode === 'round_robin' || draft.collab.mode === 'pair'))
        dispatch(draft, next, { dispatchedBy: subject });
      return;
    }
    case 'split_capacity': {
      const conflict = find(draft, 'conflict', String(action['conflictId']));
      if (conflict === undefined || (conflict.status !== 'detected' && conflict.status !== 'proposed')) throw passed();
      const resolution = resolutionOf(draft, conflict, { conflictId: conflict.id, strategy: 'fair_share' }, subject);
      const proposed = put(draft, 'conflict', {
        ...conflict,
        resolution,
        status: 'proposed',
        agreements: [],
        version: conflict.version + 1,
      });
      tell(draft, 'collab.conflict.proposed', { conflict: proposed });
      if (missingAgreements(draft, proposed).length === 0) settle(draft, proposed);
      return;
    }
    case 'secure_quorum': {
      const decision = find(draft, 'decision', String(action['decisionId']));
      if (decision?.status !== 'voting' || decision.deadline === null || decision.deadline !== action['deadline'])
        throw passed();
      const deadline = new Date(Date.parse(decision.deadline) + Number(action['byMs'])).toISOString();
      const extended = put(draft, 'decision', { ...decision, deadline, version: decision.version + 1 });
      setDeadline(draft, `decision:${decision.id}`, deadline);
      tell(draft, 'collab.decision.extended', { decision: extended });
      return;
    }
    default:
      throw new PlatformError(
        'INVALID_STATE',
        'somebody has to bring the capability: it is not for the platform to do',
        {
          path: ['input', 'apply'],
        },
      );
  }
}
