import { z } from 'zod';
import { id, idempotencyKey, jsonObject, text } from '#shared/validation.ts';
import { assignmentMethods, taskPriorities } from './assignment/index.ts';
import { recommendationTypes } from './recommend/candidates.ts';
import { collabModes, collabPermissions } from './rows.ts';
import { tieBreaks, votingMethods } from './voting/index.ts';

/** Enum values of GraphQL as they are stored. */
const lower = <const Values extends readonly string[]>(values: Values) =>
  z
    .string()
    .transform((value) => value.toLowerCase())
    .pipe(z.enum(values as unknown as [Values[number], ...Values[number][]]));

const label = text({ min: 1, max: 255 });
const note = text({ max: 5_000 });
const word = text({ min: 1, max: 100 });
const part = z.number().min(0).max(1);
const dayMs = 86_400_000;
const unique = (list: readonly string[]) => new Set(list).size === list.length;
const words = (most: number) => z.array(word).max(most).refine(unique, 'an entry stands twice');
const options = { expectedVersion: z.number().int().nullish(), idempotencyKey: idempotencyKey.nullish() };

export const reason = text({ min: 1, max: 5_000 }).nullish();
export const callOptions = z.object({ reason, failed: z.boolean().nullish(), ...options });

export const timeoutMs = z
  .number()
  .int()
  .min(1_000, 'expected at least 1 second')
  .max(30 * dayMs, 'expected at most 30 days');

const authority = z.object({
  autonomousDecisions: words(100).nullish(),
  approvalRequired: words(100).nullish(),
  escalationTriggers: words(100).nullish(),
  decisionConfidence: part.nullish(),
  escalationConfidence: part.nullish(),
});

export const participant = z.object({
  participantId: label,
  kind: lower(['agent', 'human', 'system', 'external']),
  roleId: label.nullish(),
  displayName: label.nullish(),
  agentId: label.nullish(),
  capabilities: words(20).nullish(),
  permissions: z.array(lower(collabPermissions)).max(10).nullish(),
  priority: z.number().int().min(0).max(100).nullish(),
  weight: part.nullish(),
  workload: part.nullish(),
  authority: authority.nullish(),
});
export type ParticipantInput = z.output<typeof participant>;

const objective = z.object({
  description: text({ min: 1, max: 2_000 }),
  priority: z.number().int().min(0).max(100).nullish(),
  metrics: z
    .array(
      z.object({
        name: label,
        target: z.number(),
        weight: part.nullish(),
        direction: lower(['at_least', 'at_most']).nullish(),
      }),
    )
    .max(50)
    .nullish(),
  requiredCapabilities: words(50).nullish(),
});

export const decisionRules = z.object({
  method: lower(votingMethods),
  quorum: z.object({ minimum: z.number().int().min(1).max(100).nullish(), fraction: part.nullish() }).nullish(),
  threshold: z.number().gt(0).max(1).nullish(),
  weighted: z.boolean().nullish(),
  fallback: lower(['majority', 'none']).nullish(),
  unanimityRequired: z.boolean().nullish(),
  tieBreaks: z.array(lower(tieBreaks)).max(3).refine(unique, 'an entry stands twice').nullish(),
  anonymity: z.boolean().nullish(),
  transparency: z.boolean().nullish(),
  revisionAllowed: z.boolean().nullish(),
  delegationAllowed: z.boolean().nullish(),
  abstentionAllowed: z.boolean().nullish(),
  timeLimitMs: timeoutMs.nullish(),
  extension: z.object({ extensionId: id, capabilityId: label, method: label }).nullish(),
});
export type RulesInput = z.output<typeof decisionRules>;

const targets = z
  .array(z.object({ name: word, target: z.number() }))
  .max(50)
  .nullish();

const shared = {
  title: text({ min: 1, max: 500 }),
  purpose: text({ min: 1, max: 5_000 }),
  objectives: z.array(objective).max(50).nullish(),
  performanceTargets: targets,
  decisionConfig: decisionRules.nullish(),
  turnTaking: z.object({ timeoutMs: timeoutMs.nullish(), autoAdvance: z.boolean().nullish() }).nullish(),
};

export const create = z.object({
  contextId: id,
  ...shared,
  mode: lower(collabModes),
  type: lower([
    'multi_agent_coordination',
    'distributed_decision_making',
    'resource_optimization',
    'knowledge_collaboration',
    'workflow_orchestration',
    'conflict_resolution',
  ]).nullish(),
  participants: z
    .array(participant)
    .min(1, 'expected at least one participant')
    .max(100, 'expected at most 100 participants')
    .refine((list) => unique(list.map(({ participantId }) => participantId)), 'a participant is named twice'),
  teamSize: z.number().int().min(1).max(100).nullish(),
  coordination: z
    .object({
      type: lower(['centralized', 'distributed', 'hierarchical', 'peer_to_peer']),
      coordinatorId: label.nullish(),
    })
    .nullish(),
  maxParticipants: z.number().int().min(2).max(100).nullish(),
  planId: id.nullish(),
  dialogId: id.nullish(),
  confirmId: id.nullish(),
  governance: z
    .object({ lifecyclePhase: label.nullish(), truthDomain: label.nullish(), locked: z.boolean().nullish() })
    .nullish(),
  activate: z.boolean().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});
export type CreateInput = z.output<typeof create>;

export const patch = z.object({
  title: shared.title.nullish(),
  purpose: shared.purpose.nullish(),
  objectives: shared.objectives,
  performanceTargets: targets,
  decisionConfig: shared.decisionConfig,
  turnTaking: shared.turnTaking,
  maxParticipants: z.number().int().min(2).max(100).nullish(),
});

export const join = z.object({ collabId: id, participant, ...options });
export const leave = z.object({ collabId: id, participantId: label.nullish(), reason, ...options });
export const replace = z.object({ collabId: id, participantId: label, replacement: participant, reason, ...options });
export const participantPatch = z.object({
  collabId: id,
  participantId: label,
  roleId: label.nullish(),
  displayName: label.nullish(),
  capabilities: words(20).nullish(),
  permissions: z.array(lower(collabPermissions)).max(10).nullish(),
  priority: z.number().int().min(0).max(100).nullish(),
  weight: part.nullish(),
  workload: part.nullish(),
  status: lower(['active', 'inactive']).nullish(),
  authority: authority.nullish(),
  ...options,
});

const payload = jsonObject({ maxBytes: 65_536 });

export const dispatch = z.object({
  collabId: id,
  participantId: label.nullish(),
  taskId: id.nullish(),
  instruction: payload.nullish(),
  timeoutMs: timeoutMs.nullish(),
  ...options,
});
export const completeTurn = z.object({
  turnId: id,
  result: payload.nullish(),
  error: note.nullish(),
  passOn: z.boolean().nullish(),
  ...options,
});
export const cancelTurn = z.object({ turnId: id, reason, ...options });
export const claimWork = z.object({ collabId: id, timeoutMs: timeoutMs.nullish(), ...options });
export const broadcast = z.object({ collabId: id, message: payload, timeoutMs: timeoutMs.nullish(), ...options });
export const receipt = z.object({ broadcastId: id, response: payload.nullish(), ...options });

const task = z.object({
  id: id.nullish(),
  name: label,
  description: note.nullish(),
  type: word.nullish(),
  priority: lower(taskPriorities).nullish(),
  estimatedEffortHours: z.number().gt(0).max(10_000),
  requiredSkills: words(20).nullish(),
  skillWeights: z
    .array(z.object({ skill: word, weight: part }))
    .max(20)
    .nullish(),
  dependencies: z.array(id).max(100).refine(unique, 'an entry stands twice').nullish(),
  deadline: z.date().nullish(),
  deliverables: z.array(label).max(50).nullish(),
  riskAssessment: z
    .array(z.object({ risk: label, probability: part, impact: part, mitigation: note.nullish() }))
    .max(50)
    .nullish(),
});
export const createTasks = z.object({
  collabId: id,
  tasks: z.array(task).min(1, 'expected at least one task').max(500),
  ...options,
});
export const coordinateTasks = z.object({
  collabId: id,
  method: lower(assignmentMethods).nullish(),
  taskIds: z.array(id).min(1).max(1_000).nullish(),
  maxTries: z.number().int().min(0).max(5_000).nullish(),
  seed: z.number().int().min(0).max(2_147_483_647).nullish(),
  dryRun: z.boolean().nullish(),
  ...options,
});
export const updateTask = z.object({
  taskId: id,
  status: lower(['in_progress', 'blocked', 'failed', 'cancelled']).nullish(),
  progress: part.nullish(),
  note: note.nullish(),
  ...options,
});
export const completeTask = z.object({ taskId: id, note: note.nullish(), ...options });
export const reassignTask = z.object({ taskId: id, toParticipantId: label, reason, ...options });

const option = z.object({
  id: word.nullish(),
  label: text({ min: 1, max: 500 }),
  description: note.nullish(),
  statusQuo: z.boolean().nullish(),
});
const withIds = (list: readonly { readonly id?: string | null | undefined }[]) =>
  list.map(({ id: given }, at) => given ?? `option-${at + 1}`);
const optionList = z
  .array(option)
  .min(2, 'expected at least two options')
  .max(50)
  .refine((list) => unique(withIds(list)), 'two options have the same id')
  .refine((list) => list.filter(({ statusQuo }) => statusQuo === true).length <= 1, 'expected one status quo at most')
  .transform((list) =>
    list.map(({ label: name, description, statusQuo }, at) => ({
      id: withIds(list)[at]!,
      label: name,
      description: description ?? null,
      isStatusQuo: statusQuo ?? false,
    })),
  );

const proposal = {
  collabId: id,
  title: text({ min: 1, max: 500 }),
  description: note.nullish(),
  type: lower(['strategic', 'operational', 'tactical', 'administrative']),
  options: optionList,
  criteria: z
    .array(z.object({ name: label, weight: part, direction: lower(['maximise', 'minimise']).nullish() }))
    .max(20)
    .nullish(),
  impact: part.nullish(),
  urgency: word.nullish(),
  reversibility: word.nullish(),
  implementation: payload.nullish(),
  rules: decisionRules.nullish(),
};
export const propose = z.object({ ...proposal, ...options });

const ballotChoice = {
  optionId: word.nullish(),
  approvals: words(50).nullish(),
  ranking: words(50).nullish(),
  abstain: z.boolean().nullish(),
};
export const ballot = z.object({ decisionId: id, ...ballotChoice, rationale: note.nullish(), ...options });
export const delegate = z.object({ decisionId: id, toParticipantId: label, ...options });
export const openVoting = z.object({ decisionId: id, timeLimitMs: timeoutMs.nullish(), ...options });
export const decisionRef = z.object({ decisionId: id, reason, ...options });
export const advance = z.object({
  decisionId: id,
  status: lower(['implemented', 'reviewed']),
  note: note.nullish(),
  ...options,
});
export const makeDecision = z.object({
  ...proposal,
  ballots: z
    .array(z.object({ participantId: label, ...ballotChoice, rationale: note.nullish() }))
    .min(1)
    .max(100)
    .refine((list) => unique(list.map(({ participantId }) => participantId)), 'a participant votes twice'),
  ...options,
});
export type BallotChoice = Pick<z.output<typeof ballot>, 'optionId' | 'approvals' | 'ranking' | 'abstain'>;

export const resource = z.object({
  collabId: id,
  name: label,
  unit: word.nullish(),
  capacity: z.number().gt(0).max(1e12),
  ...options,
});
export const claimResource = z
  .object({
    resourceId: id,
    participantId: label.nullish(),
    amount: z.number().gt(0).max(1e12),
    start: z.date(),
    end: z.date(),
    priority: z.number().int().min(0).max(100).nullish(),
    ...options,
  })
  .refine(({ start, end }) => start < end, 'start: expected before end');
export const releaseResource = z.object({ resourceId: id, allocationId: id, ...options });

export const detect = z.object({ collabId: id, ...options });
export const raise = z.object({
  collabId: id,
  type: lower(['resource_allocation', 'task_overlap', 'objective', 'priority', 'data_write']),
  severity: lower(['low', 'medium', 'high', 'critical']).nullish(),
  description: text({ min: 1, max: 5_000 }),
  participants: z.array(label).min(1).max(100).refine(unique, 'a participant is named twice'),
  claims: z
    .array(
      z.object({
        participantId: label,
        amount: z.number().min(0).max(1e12),
        weight: z.number().gt(0).max(1_000).nullish(),
        priority: z.number().int().min(0).max(100).nullish(),
      }),
    )
    .max(100)
    .nullish(),
  ...options,
});
export const resolve = z.object({
  conflictId: id,
  strategy: lower(['fair_share', 'priority', 'time_slicing', 'bargaining', 'arbitration']),
  capacity: z.number().gt(0).max(1e12).nullish(),
  start: z.date().nullish(),
  end: z.date().nullish(),
  proposals: z
    .array(
      z.object({
        id: word,
        description: note.nullish(),
        utilities: z.array(z.object({ participantId: label, utility: z.number() })).max(100),
      }),
    )
    .max(50)
    .nullish(),
  disagreement: z
    .array(z.object({ participantId: label, utility: z.number() }))
    .max(100)
    .nullish(),
  ruling: note.nullish(),
  compensation: note.nullish(),
  ...options,
});
export const accept = z.object({ conflictId: id, accept: z.boolean(), ...options });
export const conflictRef = z.object({ conflictId: id, reason, ...options });

export const recommend = z.object({
  collabId: id,
  types: z.array(lower(recommendationTypes)).nullish(),
  max: z.number().int().min(1).max(5).nullish(),
  minConfidence: part.nullish(),
  ...options,
});
export const feedback = z.object({
  recommendationId: id,
  status: lower(['accepted', 'rejected']),
  apply: z.boolean().nullish(),
  note: note.nullish(),
  ...options,
});

export const range = z.object({ from: z.date().nullish(), to: z.date().nullish() }).nullish();
const lowered = z
  .array(word.transform((value) => value.toLowerCase()))
  .max(20)
  .nullish();
export const filter = z.object({
  contextId: id.nullish(),
  planId: id.nullish(),
  dialogId: id.nullish(),
  status: lowered,
  mode: lowered,
  type: lowered,
  agentId: label.nullish(),
  createdBy: label.nullish(),
  createdAt: range,
});
export type FilterInput = z.output<typeof filter>;
export const childStatus = z.object({ status: lowered });
