import { z } from 'zod';
import { id, text } from '#shared/validation.ts';
import { tieBreaks, votingMethods } from '../voting/index.ts';
import { label, lower, note, options, part, payload, reason, timeoutMs, unique, word, words } from './common.ts';

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
