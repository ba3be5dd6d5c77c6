import { z } from 'zod';
import { id, text } from '#shared/validation.ts';
import { councilTypes, type OptionAction, optionActions } from '../councilRows.ts';
import { tieBreaks, votingMethods } from '../voting/index.ts';
import { weightingStrategies } from '../weighting.ts';
import { label, lower, note, options, part, reason, timeoutMs, unique, word, words } from './common.ts';

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
  extension: z.object({ extensionId: id, capabilityId: id, method: text({ min: 1, max: 100 }) }).nullish(),
  weighting: z
    .object({
      strategy: lower(weightingStrategies),
      roles: z
        .array(z.object({ roleId: label, weight: part }))
        .max(100)
        .refine((list) => unique(list.map(({ roleId }) => roleId)), 'a role is named twice')
        .nullish(),
    })
    .refine(
      ({ strategy, roles }) => (strategy === 'role_based') === (roles != null),
      'roles: ROLE_BASED takes them, all else none',
    )
    .nullish(),
  council: z
    .object({
      type: lower(councilTypes),
      maxSessionDurationMs: z
        .number()
        .int()
        .min(60_000, 'expected at least 1 minute')
        .max(30 * 86_400_000, 'expected at most 30 days')
        .nullish(),
      quorumEnforced: z.boolean().nullish(),
      multipleRoundsAllowed: z.boolean().nullish(),
      abstentionAllowed: z.boolean().nullish(),
      delegationAllowed: z.boolean().nullish(),
    })
    .nullish(),
});
export type RulesInput = z.output<typeof decisionRules>;
const takesTask: readonly OptionAction['kind'][] = ['assign_task', 'cancel_task'];
const takesParticipant: readonly OptionAction['kind'][] = ['assign_task', 'name_coordinator', 'remove_participant'];

const action = z
  .object({
    kind: lower(optionActions),
    taskId: id.nullish(),
    participantId: label.nullish(),
    // Bargaining takes proposals with utilities, which an option has none of.
    strategy: lower(['fair_share', 'priority', 'time_slicing', 'arbitration']).nullish(),
  })
  .superRefine(({ kind, taskId, participantId, strategy }, { addIssue }) => {
    for (const [name, given, isTaken] of [
      ['taskId', taskId, takesTask.includes(kind)],
      ['participantId', participantId, takesParticipant.includes(kind)],
    ] as const)
      if (isTaken !== (given != null))
        addIssue({ code: 'custom', path: [name], message: `${kind.toUpperCase()} takes ${isTaken ? 'one' : 'none'}` });
    if (strategy != null && kind !== 'settle_conflict')
      addIssue({ code: 'custom', path: ['strategy'], message: `${kind.toUpperCase()} takes none` });
  })
  .transform(
    ({ kind, taskId, participantId, strategy }): OptionAction => ({
      kind,
      taskId: taskId ?? null,
      participantId: participantId ?? null,
      strategy: strategy ?? null,
    }),
  );

const option = z.object({
  id: word.nullish(),
  label: text({ min: 1, max: 500 }),
  description: note.nullish(),
  statusQuo: z.boolean().nullish(),
  action: action.nullish(),
});

const withIds = (list: readonly { readonly id?: string | null | undefined }[]) =>
  list.map(({ id: given }, at) => given ?? `option-${at + 1}`);

const optionList = z
  .array(option)
  .min(2, 'expected at least two options')
  .max(50)
  .refine((list) => unique(withIds(list)), 'two options have the same id')
  .refine((list) => list.every((one) => one.statusQuo !== true || one.action == null), 'a status quo has no action')
  .refine((list) => list.filter(({ statusQuo }) => statusQuo === true).length <= 1, 'expected one status quo at most')
  .transform((list) =>
    list.map(({ label: name, description, statusQuo, action: done }, at) => ({
      id: withIds(list)[at]!,
      label: name,
      description: description ?? null,
      isStatusQuo: statusQuo ?? false,
      action: done ?? null,
    })),
  );

const owner = label.nullish().transform((value) => value ?? null);
const dueAt = z
  .date()
  .nullish()
  .transform((value) => value?.toISOString() ?? null);
const remark = note.nullish().transform((value) => value ?? null);
const implementation = z.object({
  ...{ summary: remark, ownerId: owner, dueAt, rollback: remark },
  steps: z
    .array(
      z.object({
        description: text({ min: 1, max: 2_000 }),
        ...{ ownerId: owner, dueAt },
        taskId: id.nullish().transform((value) => value ?? null),
      }),
    )
    .max(50)
    .nullish()
    .transform((value) => value ?? []),
});

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
  implementation: implementation.nullish(),
  rules: decisionRules.nullish(),
};

export const propose = z.object({ ...proposal, ...options });
const ballotChoice = {
  optionId: word.nullish(),
  approvals: words(50).nullish(),
  ranking: words(50).nullish(),
  allocation: z
    .array(z.object({ optionId: word, votes: z.number().int().min(-1_000_000).max(1_000_000) }))
    .min(1)
    .max(50)
    .refine((list) => unique(list.map(({ optionId }) => optionId)), 'an option stands twice')
    .nullish(),
  abstain: z.boolean().nullish(),
};

export const ballot = z.object({ decisionId: id, ...ballotChoice, rationale: note.nullish(), ...options });
export const delegate = z.object({ decisionId: id, toParticipantId: label, ...options });
export const openVoting = z.object({ decisionId: id, timeLimitMs: timeoutMs.nullish(), ...options });
export const openCouncil = z.object({
  decisionId: id,
  conflictId: id.nullish(),
  members: z
    .array(label)
    .min(2, 'expected at least two members')
    .max(100)
    .refine(unique, 'a member is named twice')
    .nullish(),
  roundTimeMs: timeoutMs.nullish(),
  ...options,
});
export const openCouncilRound = z.object({ councilId: id, roundTimeMs: timeoutMs.nullish(), ...options });
export const closeCouncil = z.object({ councilId: id, reason, ...options });
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
export type BallotChoice = Pick<
  z.output<typeof ballot>,
  'optionId' | 'approvals' | 'ranking' | 'allocation' | 'abstain'
>;
