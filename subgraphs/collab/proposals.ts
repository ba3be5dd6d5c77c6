import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { DecisionRow } from './decisionRows.ts';
import { count, type Draft, put, setDeadline, tell } from './draft.ts';
import type * as inputs from './inputs.ts';
import { active, coordinates, requirePart, requireStatus } from './rights.ts';
import { requireReachable, toRules } from './rules.ts';
import { type Performance, weigh } from './weighting.ts';

type ProposalInput = Omit<ReturnType<(typeof inputs.propose)['parse']>, 'idempotencyKey' | 'expectedVersion'>;

/** A question that somebody puts. @throws {NOT_A_PARTICIPANT} {PERMISSION_DENIED} {RULE_MISCONFIGURED} {COLLAB_NOT_ACTIVE} */
export function propose(draft: Draft, input: ProposalInput, principal: Principal): DecisionRow {
  requireStatus(draft, 'active');
  const part = requirePart(draft, principal);
  if (!part.permissions.includes('make_decisions') && !coordinates(draft, principal))
    throw new PlatformError('PERMISSION_DENIED', 'to propose a decision takes the permission MAKE_DECISIONS', {
      details: { permission: 'make_decisions' },
    });
  const { collab } = draft;
  requireOwners(draft, input.implementation?.ownerId, input.implementation?.steps ?? []);
  return {
    tenantId: collab.tenantId,
    id: newId(),
    collabId: collab.id,
    title: input.title,
    description: input.description ?? null,
    type: input.type,
    proposedBy: part.participantId,
    options: input.options,
    criteria: (input.criteria ?? []).map(({ name, weight, direction }) => ({
      name,
      weight,
      direction: direction ?? 'maximise',
    })),
    rules: toRules(input.rules, collab.decisionConfig),
    electorate: [],
    status: 'proposed',
    outcome: null,
    winner: null,
    result: null,
    impact: input.impact ?? 0.5,
    gate: null,
    confirmId: null,
    urgency: input.urgency ?? null,
    reversibility: input.reversibility ?? null,
    implementation: input.implementation ?? null,
    note: null,
    ballotCount: 0,
    round: 1,
    councilId: null,
    advice: null,
    openedAt: null,
    deadline: null,
    decidedAt: null,
    version: 1,
    createdAt: draft.at,
    createdBy: principal.subject,
  };
}

/** Whoever is to carry something out takes part. @throws {NOT_A_PARTICIPANT} */
function requireOwners(
  draft: Draft,
  ownerId: string | null | undefined,
  steps: readonly { readonly ownerId: string | null }[],
): void {
  const known = new Set(active(draft).map(({ participantId }) => participantId));
  const named = [
    { ownerId: ownerId ?? null, path: ['ownerId'] },
    ...steps.map((step, at) => ({ ownerId: step.ownerId, path: ['steps', at, 'ownerId'] })),
  ];
  for (const one of named)
    if (one.ownerId !== null && !known.has(one.ownerId))
      throw new PlatformError('NOT_A_PARTICIPANT', `${one.ownerId} does not take part`, {
        path: ['input', 'implementation', ...one.path],
      });
}

/** Voters and weights as they are now; who comes later has no vote, who goes keeps it. @throws {QUORUM_UNREACHABLE} {INVARIANT_VIOLATED} */
export function electorateOf(
  draft: Draft,
  decision: DecisionRow,
  performance: Performance | null,
): DecisionRow['electorate'] {
  const { weighting } = decision.rules;
  const voters = weigh(active(draft), { collab: draft.collab, weighting, performance });
  if (voters.length < 2)
    throw new PlatformError('INVARIANT_VIOLATED', 'a vote takes two participants at least', {
      details: { invariant: 'two_voters' },
    });
  requireReachable(decision.rules, voters.length);
  if (decision.rules.method === 'coordinator' && draft.collab.coordination.coordinatorId === null)
    throw new PlatformError('COORDINATOR_INVALID', 'the method COORDINATOR needs a participant that coordinates');
  return voters;
}

/** Freezes electorate and weights, and lets them vote for so long. */
export function open(
  draft: Draft,
  decision: DecisionRow,
  { timeLimitMs, performance }: { readonly timeLimitMs: number; readonly performance: Performance | null },
): DecisionRow {
  const opened = put(draft, 'decision', {
    ...decision,
    status: 'voting',
    electorate: electorateOf(draft, decision, performance),
    // Votes of a round before a council are not those of this voting.
    round: decision.openedAt === null ? 1 : decision.round + 1,
    ballotCount: 0,
    openedAt: draft.at,
    deadline: new Date(draft.atMs + timeLimitMs).toISOString(),
    version: decision.version + 1,
  });
  setDeadline(draft, `decision:${decision.id}`, opened.deadline);
  count(draft, { decisionsOpened: 1 });
  tell(draft, 'collab.decision.opened', { decision: opened });
  return opened;
}
