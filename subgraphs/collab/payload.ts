import type { ConflictRow, ResourceRow } from './conflictRows.ts';
import type { CouncilRow } from './councilRows.ts';
import type { DecisionRow } from './decisionRows.ts';
import { patternOf } from './executionPattern.ts';
import { countedMetrics, withTargets } from './metrics.ts';
import { endOf } from './moves.ts';
import type { CollabRow, ParticipantRow } from './rows.ts';
import { assigneesOf, type BroadcastRow, type RecommendationRow, type TaskRow, type TurnRow } from './workRows.ts';

const upper = (text: string | null) => (text === null ? null : text.toUpperCase());

/** Rows as clients get them: GraphQL's names, enums in SCREAMING_SNAKE. What leads to other entities is left out. */
export function collabPayload(row: CollabRow) {
  return {
    __typename: 'Collaboration' as const,
    id: row.id,
    collabId: row.id,
    contextId: row.contextId,
    planId: row.planId,
    dialogId: row.dialogId,
    networkId: row.networkId,
    confirmId: row.confirmId,
    title: row.title,
    purpose: row.purpose,
    mode: upper(row.mode),
    type: upper(row.type),
    status: upper(row.status),
    statusReason: row.statusReason,
    failed: row.isFailed,
    coordination: coordinationPayload(row),
    decisionConfig: rulesPayload(row.decisionConfig),
    objectives: objectivePayloads(row),
    performanceTargets: targetPayloads(row),
    turnTaking: row.turnTaking,
    maxParticipants: row.maxParticipants,
    participantCount: row.participantCount,
    maxDurationMs: row.maxDurationMs,
    executionPattern: upper(patternOf(row)),
    endsAt: endOf(row),
    nextDeadlineAt: row.nextDeadlineAt,
    startedAt: row.startedAt,
    endedAt: row.endedAt,
    version: row.version,
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    updatedAt: row.updatedAt,
    updatedBy: row.updatedBy,
  };
}

export const coordinationPayload = ({ coordination }: CollabRow) => ({
  type: upper(coordination.type),
  coordinatorId: coordination.coordinatorId,
});

export const objectivePayloads = ({ objectives }: CollabRow) =>
  objectives.map((objective) => ({
    ...objective,
    metrics: objective.metrics.map((metric) => ({ ...metric, direction: upper(metric.direction) })),
  }));

export const targetPayloads = ({ performanceTargets }: CollabRow) =>
  Object.entries(performanceTargets).map(([name, target]) => ({ name, target }));

export const rulesPayload = (rules: DecisionRow['rules']) => ({
  method: upper(rules.method),
  quorumMinimum: rules.quorum.minimum,
  quorumFraction: rules.quorum.fraction,
  threshold: rules.threshold,
  weighted: rules.isWeighted || rules.method === 'weighted',
  fallback: upper(rules.fallback),
  tieBreaks: rules.tieBreaks.map((one) => upper(one)),
  anonymity: rules.anonymity,
  transparency: rules.transparency,
  revisionAllowed: rules.revisionAllowed,
  delegationAllowed: rules.delegationAllowed,
  abstentionAllowed: rules.abstentionAllowed,
  timeLimitMs: rules.timeLimitMs,
  weighting:
    rules.weighting === undefined
      ? null
      : {
          strategy: upper(rules.weighting.strategy),
          roles: Object.entries(rules.weighting.roles).map(([roleId, weight]) => ({ roleId, weight })),
        },
  council: rules.council === undefined ? null : councilRulesPayload(rules.council),
});

const councilRulesPayload = ({ type, quorumEnforced, multipleRoundsAllowed, ...rules }: CouncilRow['rules']) => ({
  ...rules,
  type: upper(type),
  quorumEnforced,
  multipleRoundsAllowed,
});

export const participantPayload = (row: ParticipantRow) => ({
  ...row,
  kind: upper(row.kind),
  status: upper(row.status),
  permissions: row.permissions.map((one) => upper(one)),
});

export const taskPayload = (row: TaskRow) => ({
  __typename: 'CollabTask' as const,
  ...row,
  taskId: row.id,
  assignees: [...assigneesOf(row)],
  priority: upper(row.priority),
  status: upper(row.status),
  estimatedEffortHours: row.effortHours,
  skillWeights: Object.entries(row.skillWeights).map(([skill, weight]) => ({ skill, weight })),
  riskAssessment: [...row.risks],
  dependencies: row.dependsOn,
});

/** What everybody may see of a decision; standings while it is open are another matter. */
export const decisionPayload = (row: DecisionRow) => ({
  __typename: 'CollabDecision' as const,
  id: row.id,
  decisionId: row.id,
  collabId: row.collabId,
  title: row.title,
  description: row.description,
  type: upper(row.type),
  proposedBy: row.proposedBy,
  options: row.options.map((option) => ({
    id: option.id,
    label: option.label,
    description: option.description,
    statusQuo: option.isStatusQuo,
    action: option.action
      ? { ...option.action, kind: upper(option.action.kind), strategy: upper(option.action.strategy) }
      : null,
  })),
  criteria: row.criteria.map((criterion) => ({
    ...criterion,
    direction: upper(String(criterion['direction'] ?? 'maximise')),
  })),
  rules: rulesPayload(row.rules),
  electorate: row.electorate.map(({ id, weight }) => ({ participantId: id, weight })),
  status: upper(row.status),
  outcome: upper(row.outcome),
  winner: row.winner,
  result: row.result && resultPayload(row.result),
  impact: row.impact,
  gate: upper(row.gate),
  confirmId: row.confirmId,
  urgency: row.urgency,
  reversibility: row.reversibility,
  implementation: row.implementation && { ...row.implementation, steps: [...row.implementation.steps] },
  note: row.note,
  ballotCount: row.ballotCount,
  round: row.round,
  advice: row.advice && { ...row.advice, optionId: row.advice.option },
  openedAt: row.openedAt,
  deadline: row.deadline,
  decidedAt: row.decidedAt,
  version: row.version,
  createdAt: row.createdAt,
  createdBy: row.createdBy,
});

export const tallyPayload = (tally: Omit<NonNullable<DecisionRow['result']>, 'dissent' | 'rationale'>) => ({
  standings: tally.standings.map(({ option, ...standing }) => ({ optionId: option, ...standing })),
  voters: tally.voters,
  heard: tally.heard,
  abstained: tally.abstained,
  turnout: tally.turnout,
  quorum: tally.quorum,
  quorumMet: tally.quorumMet,
  consensusLevel: tally.consensusLevel,
  agreement: tally.agreement,
  confidence: tally.confidence,
  tied: [...tally.tied],
  tieBrokenBy: upper(tally.tieBrokenBy),
  usedFallback: tally.usedFallback,
  // What was counted before there were runoffs has none.
  rounds: (tally.rounds ?? []).map(({ supports, exhausted, eliminated }) => ({
    supports: supports.map(({ option, ...support }) => ({ optionId: option, ...support })),
    exhausted,
    eliminated: [...eliminated],
  })),
});

export const resultPayload = (result: NonNullable<DecisionRow['result']>) => ({
  ...tallyPayload(result),
  dissent: [...result.dissent],
  rationale: result.rationale,
});

export const councilPayload = (row: CouncilRow) => ({
  __typename: 'CollabCouncil' as const,
  id: row.id,
  councilId: row.id,
  collabId: row.collabId,
  decisionId: row.decisionId,
  conflictId: row.conflictId,
  rules: councilRulesPayload(row.rules),
  members: row.members.map(({ id, weight }) => ({ participantId: id, weight })),
  status: upper(row.status),
  outcome: upper(row.outcome),
  winner: row.winner,
  note: row.note,
  rounds: row.rounds.map(({ tally, ...round }) => ({
    ...round,
    outcome: upper(round.outcome),
    tally: tally && tallyPayload(tally),
  })),
  endsAt: row.endsAt,
  closedAt: row.closedAt,
  version: row.version,
  createdAt: row.createdAt,
  createdBy: row.createdBy,
});

export const turnPayload = (row: TurnRow) => ({ ...row, turnId: row.id, status: upper(row.status) });

export const broadcastPayload = (row: BroadcastRow) => ({
  id: row.id,
  broadcastId: row.id,
  collabId: row.collabId,
  senderId: row.senderId,
  message: row.message,
  status: upper(row.status),
  recipients: row.recipients,
  receipts: Object.entries(row.receipts).map(([participantId, receipt]) => ({ participantId, ...receipt })),
  missing: row.recipients.filter((id) => row.receipts[id] === undefined),
  dueAt: row.dueAt,
  createdAt: row.createdAt,
});

export const conflictPayload = (row: ConflictRow) => ({
  __typename: 'CollabConflict' as const,
  id: row.id,
  conflictId: row.id,
  collabId: row.collabId,
  type: upper(row.type),
  severity: upper(row.severity),
  level: row.level,
  status: upper(row.status),
  description: row.description,
  participants: row.participants,
  claims: row.claims,
  resolution: row.resolution && {
    strategy: upper(row.resolution.strategy),
    shares: Object.entries(row.resolution.shares).map(([participantId, amount]) => ({ participantId, amount })),
    slices: row.resolution.slices.map(({ id, start, end, amount }) => ({
      participantId: id,
      start: new Date(start).toISOString(),
      end: new Date(end).toISOString(),
      amount,
    })),
    proposal: row.resolution.proposal,
    compensation: row.resolution.compensation,
    rationale: row.resolution.rationale,
    resolvedBy: row.resolution.resolvedBy,
  },
  agreements: row.agreements,
  raisedBy: row.raisedBy,
  levelDueAt: row.levelDueAt,
  resolvedAt: row.resolvedAt,
  version: row.version,
  createdAt: row.createdAt,
});

export const resourcePayload = (row: ResourceRow) => ({
  ...row,
  resourceId: row.id,
  allocations: row.allocations.map((one) => ({ ...one, allocationId: one.id, status: upper(one.status) })),
});

const figures = (values: Readonly<Record<string, number>>) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));

interface Reassignment {
  readonly taskId: string;
  readonly from: string | null;
  readonly to: string;
}

/** What advice says is to be done: of each kind what it needs. */
function actionPayload({ type, action }: RecommendationRow) {
  const textOf = (name: string) => (typeof action[name] === 'string' ? action[name] : null);
  const moves =
    type === 'reassign_task'
      ? [action as unknown as Reassignment]
      : ((action['assignments'] as readonly Reassignment[] | undefined) ?? []);
  return {
    moves: moves.map(({ taskId, from, to }) => ({ taskId, from, to })),
    participantId: type === 'pass_turn' ? textOf('from') : textOf('participantId'),
    capability: textOf('capability'),
    turnId: textOf('turnId'),
    conflictId: textOf('conflictId'),
    strategy: type === 'split_capacity' ? ('FAIR_SHARE' as const) : null,
    decisionId: textOf('decisionId'),
    deadline: textOf('deadline'),
    extendByMs: typeof action['byMs'] === 'number' ? action['byMs'] : null,
  };
}

export const recommendationPayload = (row: RecommendationRow) => ({
  __typename: 'CollabRecommendation' as const,
  id: row.id,
  recommendationId: row.id,
  collabId: row.collabId,
  type: upper(row.type),
  action: actionPayload(row),
  wording: row.wording,
  before: figures(row.before),
  after: figures(row.after),
  gain: row.gain,
  score: row.score,
  confidence: row.confidence,
  evidence: row.evidence,
  status: upper(row.status),
  note: row.note,
  decidedBy: row.decidedBy,
  expiresAt: row.expiresAt,
  createdAt: row.createdAt,
});

/** Running counts as metrics, for who follows them. */
export const performancePayload = (row: CollabRow) => [...withTargets(countedMetrics(row.stats), row)];

/** What resolvers hand on: the graph's shape, with the row for what has to be computed of it. */
export const collabView = (row: CollabRow) => ({ ...collabPayload(row), row });
export const decisionView = (row: DecisionRow) => ({ ...decisionPayload(row), row });
