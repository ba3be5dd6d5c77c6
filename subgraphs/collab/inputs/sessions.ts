import { z } from 'zod';
import { id, idempotencyKey, text } from '#shared/validation.ts';
import { executionPatterns } from '../executionPattern.ts';
import { collabModes, collabPermissions } from '../rows.ts';
import { label, lower, lowered, options, part, range, reason, timeoutMs, unique, word, words } from './common.ts';
import { decisionRules } from './decisions.ts';

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

/** Between a minute and thirty days. */
const maxDurationMs = z.number().min(60_000).max(2_592_000_000);

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
  maxDurationMs: maxDurationMs.nullish(),
  executionPattern: lower(executionPatterns).nullish(),
  planId: id.nullish(),
  dialogId: id.nullish(),
  networkId: id.nullish(),
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
  maxDurationMs: maxDurationMs.nullish(),
  executionPattern: lower(executionPatterns).nullish(),
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

export const filter = z.object({
  contextId: id.nullish(),
  planId: id.nullish(),
  dialogId: id.nullish(),
  networkId: id.nullish(),
  status: lowered,
  mode: lowered,
  type: lowered,
  agentId: label.nullish(),
  createdBy: label.nullish(),
  createdAt: range,
});
export type FilterInput = z.output<typeof filter>;
export const childStatus = z.object({ status: lowered });
