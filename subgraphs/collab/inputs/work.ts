import { z } from 'zod';
import { id } from '#shared/validation.ts';
import { assignmentMethods, taskPriorities } from '../assignment/index.ts';
import { recommendationTypes } from '../recommend/candidates.ts';
import { label, lower, note, options, part, payload, reason, timeoutMs, unique, word, words } from './common.ts';

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
/** Who leads stands first. */
const assignees = z.array(label).min(1).max(20).refine(unique, 'an entry stands twice');
const helpers = z.array(label).max(19).refine(unique, 'an entry stands twice');
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
  assignees: assignees.nullish(),
  teamSize: z.number().int().min(1).max(20).nullish(),
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

const timeBudgetMs = z.number().int().min(10).max(10_000).nullish();

export const coordinateTasks = z.object({
  collabId: id,
  method: lower(assignmentMethods).nullish(),
  taskIds: z.array(id).min(1).max(1_000).nullish(),
  maxTries: z.number().int().min(0).max(5_000).nullish(),
  timeBudgetMs,
  seed: z.number().int().min(0).max(2_147_483_647).nullish(),
  dryRun: z.boolean().nullish(),
  ...options,
});

export const updateTask = z.object({
  taskId: id,
  status: lower(['in_progress', 'blocked', 'failed', 'cancelled']).nullish(),
  progress: part.nullish(),
  note: note.nullish(),
  helpers: helpers.nullish(),
  ...options,
});

export const completeTask = z.object({ taskId: id, note: note.nullish(), ...options });
export const reassignTask = z.object({
  taskId: id,
  toParticipantId: label,
  helpers: helpers.nullish(),
  reason,
  ...options,
});
export const recommend = z.object({
  collabId: id,
  types: z.array(lower(recommendationTypes)).nullish(),
  max: z.number().int().min(1).max(5).nullish(),
  minConfidence: part.nullish(),
  timeBudgetMs,
  ...options,
});

export const feedback = z.object({
  recommendationId: id,
  status: lower(['accepted', 'rejected']),
  apply: z.boolean().nullish(),
  note: note.nullish(),
  ...options,
});
