import { z } from 'zod';
import { id, idempotencyKey, json, text } from '#shared/validation.ts';
import type { ImpactAssessment } from './impact.ts';
import { notifications } from './notifications.ts';
import { quorumKinds } from './quorum/index.ts';
import { type RiskLevel, riskLevels } from './risk.ts';
import { subject } from './subject.ts';
import { type ApproverSelection, approverSelections, workflowTypes } from './workflow/index.ts';

/** Enum values of GraphQL as they are stored. */
const lower = (values: readonly string[]) =>
  z
    .string()
    .transform((value) => value.toLowerCase())
    .pipe(z.enum(values as [string, ...string[]]));

export const subjectId = text({ min: 1, max: 255 });
const label = text({ min: 1, max: 255 });
const expression = text({ min: 1, max: 2_000 });
const dayMs = 86_400_000;
const unitMs = { MINUTES: 60_000, HOURS: 3_600_000, DAYS: dayMs } as const;
/** Nothing runs longer than this. */
const maxDurationMs = 30 * dayMs;
export const globalTimeoutMs = 168 * 3_600_000;
/** When a decision is due that its step gives no time. */
export const decisionTimeoutMs = 72 * 3_600_000;

const durationMs = z
  .number()
  .int()
  .min(1_000, 'expected at least 1 second')
  .max(maxDurationMs, 'expected at most 30 days');

const word = text({ min: 1, max: 100 });
/** Negative zero is another number to a seal than the zero that is stored. */
const score = z
  .number()
  .min(0)
  .max(1)
  .transform((value) => value + 0);

const quorum = z.object({
  kind: lower(quorumKinds).transform((kind) => kind as (typeof quorumKinds)[number]),
  threshold: z.number().gt(0).max(1).nullish(),
  minimumParticipation: z.number().min(0).max(1).nullish(),
  required: z.number().int().min(1).max(1_000).nullish(),
  allowAbstention: z.boolean().nullish(),
  criteria: z
    .array(
      z.object({
        id: word.nullish(),
        name: label,
        weight: z.number().gt(0).max(1),
        required: z.boolean().nullish(),
        minimum: score.nullish(),
      }),
    )
    .max(50)
    .nullish(),
});

const approver = z
  .object({
    subject: subjectId.nullish(),
    role: label.nullish(),
    permission: text({ min: 3, max: 100 })
      .regex(/^[a-z_]+:[a-z_]+$/, 'expected resource:action')
      .nullish(),
    weight: z.number().gt(0).max(1_000_000).nullish(),
    required: z.boolean().nullish(),
  })
  .refine(
    ({ subject, role, permission }) =>
      permission == null ? subject != null || role != null : subject == null && role == null,
    'expected a subject, a role or both, or a permission alone',
  );

const timeout = z
  .object({
    duration: z.number().gt(0),
    unit: z.enum(['MINUTES', 'HOURS', 'DAYS']),
    action: lower(['auto_approve', 'auto_reject', 'escalate', 'extend']),
  })
  .transform(({ duration, unit, action }) => ({ durationMs: Math.round(duration * unitMs[unit]), action }))
  .pipe(z.object({ durationMs, action: z.enum(['auto_approve', 'auto_reject', 'escalate', 'extend']) }));

const level = z
  .object({
    role: label.nullish(),
    subject: subjectId.nullish(),
    timeoutHours: z.number().gt(0).max(720),
    notificationDelayMinutes: z.number().min(0).nullish(),
  })
  .refine(({ subject, role }) => subject != null || role != null, 'expected a subject or a role')
  .refine(
    ({ timeoutHours, notificationDelayMinutes }) => (notificationDelayMinutes ?? 0) < timeoutHours * 60,
    'notificationDelayMinutes: expected less than the timeout of the level',
  );

const stepFields = z.object({
  id: text({ min: 1, max: 100 }).nullish(),
  name: label.nullish(),
  kind: lower(['human_approval', 'automated_validation', 'automated_compliance_check']).nullish(),
  dependsOn: z
    .array(text({ min: 1, max: 100 }))
    .max(200)
    .nullish(),
  join: lower(['all', 'any']).nullish(),
  condition: expression.nullish(),
  skipCondition: expression.nullish(),
  check: expression.nullish(),
  approvers: z.array(approver).max(1_000).nullish(),
  fallbackApprovers: z.array(approver).max(1_000).nullish(),
  capabilities: z.array(label).max(50).nullish(),
  approverSelection: lower(approverSelections)
    .transform((selection) => selection as ApproverSelection)
    .nullish(),
  quorum: quorum.nullish(),
  timeout: timeout.nullish(),
  escalation: z.array(level).max(10).nullish(),
  delegationAllowed: z.boolean().nullish(),
  maxDelegations: z.number().int().min(1).max(10).nullish(),
  onRejection: lower(['reject', 'continue', 'escalate']).nullish(),
  minimumRationale: z.number().int().min(0).max(5_000).nullish(),
});

const step = stepFields.refine(
  ({ approverSelection, capabilities }) => approverSelection !== 'capability_based' || (capabilities ?? []).length > 0,
  'approverSelection: expected capabilities with CAPABILITY_BASED',
);

export const workflow = z.object({
  type: lower(workflowTypes),
  steps: z.array(step).min(1, 'expected at least one step').max(500),
  globalTimeoutMs: durationMs.nullish(),
});

export type WorkflowInput = z.output<typeof workflow>;

const note = text({ max: 5_000 });
const riskLevel = lower(riskLevels).transform((level) => level as RiskLevel);

const risk = z
  .object({
    overall: riskLevel.nullish(),
    factors: z
      .array(
        z.object({
          factor: text({ min: 1, max: 500 }),
          probability: score,
          impact: riskLevel,
          mitigation: note.nullish(),
        }),
      )
      .max(100)
      .nullish(),
    complianceRequirements: z
      .array(text({ min: 1, max: 500 }))
      .max(100)
      .nullish(),
  })
  .refine(
    ({ overall, factors }) => overall == null || (factors ?? []).length === 0,
    'overall: expected factors or what they come to, which is computed, not both',
  );

const impact = z.object({
  scope: lower(['task', 'project', 'organization', 'external'])
    .transform((scope) => scope as NonNullable<ImpactAssessment['scope']>)
    .nullish(),
  businessImpact: riskLevel.nullish(),
  technicalImpact: riskLevel.nullish(),
  affectedSystems: z.array(label).max(100).nullish(),
  affectedUsers: z.array(label).max(1_000).nullish(),
});

const attachment = z.object({
  name: text({ min: 1, max: 500 }),
  url: text({ min: 1, max: 2_048 }).refine(isWebAddress, 'expected an http or https address'),
  type: label.nullish(),
  sizeBytes: z.number().int().min(0).nullish(),
});

function isWebAddress(value: string): boolean {
  const url = URL.parse(value);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:');
}

export const approval = z.object({
  targetType: lower(['context', 'plan', 'trace', 'extension', 'other']),
  targetId: id,
  contextId: id.nullish(),
  planId: id.nullish(),
  confirmationType: lower([
    'plan_approval',
    'task_approval',
    'milestone_confirmation',
    'risk_acceptance',
    'resource_allocation',
    'emergency_approval',
  ]),
  title: text({ min: 1, max: 500 }),
  description: note.nullish(),
  reason: note.nullish(),
  priority: lower(['low', 'normal', 'high', 'critical', 'emergency']).nullish(),
  urgency: lower(['low', 'normal', 'high', 'urgent', 'immediate']).nullish(),
  requestedByRole: label.nullish(),
  department: label.nullish(),
  requestReason: note.nullish(),
  subject: subject.nullish(),
  riskAssessment: risk.nullish(),
  impactAssessment: impact.nullish(),
  attachments: z.array(attachment).max(50).nullish(),
  notifications: notifications.nullish(),
  reference: json({ maxBytes: 65_536 }).nullish(),
  approvers: z.array(approver).max(1_000).nullish(),
  quorum: quorum.nullish(),
  timeout: timeout.nullish(),
  workflow: workflow.nullish(),
  templateId: id.nullish(),
  draft: z.boolean().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type ApprovalInput = z.output<typeof approval>;

/** What of a request may be said differently. */
export const revision = approval
  .pick({
    description: true,
    reason: true,
    priority: true,
    urgency: true,
    subject: true,
    riskAssessment: true,
    impactAssessment: true,
    attachments: true,
    notifications: true,
    reference: true,
    approvers: true,
    quorum: true,
    timeout: true,
    workflow: true,
    templateId: true,
    idempotencyKey: true,
  })
  .extend({
    confirmId: id,
    title: text({ min: 1, max: 500 }).nullish(),
    expectedVersion: z.number().int().nullish(),
  });

export const settlement = z.object({
  confirmId: id,
  conditionId: id,
  status: z.enum(['FULFILLED', 'BREACHED', 'WAIVED']),
  note: note.nullish(),
  expectedVersion: z.number().int().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

const condition = z.object({
  text: text({ min: 1, max: 2_000 }),
  required: z.boolean().nullish(),
  dueDate: z.date().nullish(),
  responsible: subjectId.nullish(),
});

/** Scores by criterion, each once. */
const scoreList = z
  .array(z.object({ criterionId: word, score }))
  .max(50)
  .refine(
    (list) => new Set(list.map(({ criterionId }) => criterionId)).size === list.length,
    'a criterion is scored twice',
  )
  .transform((list) => Object.fromEntries(list.map(({ criterionId, score: value }) => [criterionId, value])));

export const decision = z.object({
  confirmId: id,
  stepId: text({ min: 1, max: 100 }).nullish(),
  decision: z.enum([
    'APPROVED',
    'REJECTED',
    'CONDITIONAL_APPROVAL',
    'CHANGES_REQUESTED',
    'ABSTAINED',
    'DEFERRED',
    'DELEGATED',
  ]),
  rationale: note.nullish(),
  conditions: z.array(condition).max(50).nullish(),
  delegateTo: subjectId.nullish(),
  scores: scoreList.nullish(),
  riskAssessment: risk.nullish(),
  signature: text({ min: 1, max: 8_192 }).nullish(),
  expectedVersion: z.number().int().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
  /** Read by what asks about the Confirm that it cites. */
  override: z.unknown().optional(),
});

export const reason = text({ min: 1, max: 5_000 });

const triggers = z.object({
  confirmationTypes: z
    .array(text({ min: 1, max: 100 }).transform((value) => value.toLowerCase()))
    .max(20)
    .nullish(),
  contextIds: z.array(id).max(100).nullish(),
  minimumAmount: z.number().nullish(),
  maximumAmount: z.number().nullish(),
  departments: z.array(label).max(100).nullish(),
});

export const template = z.object({
  name: label,
  description: note.nullish(),
  active: z.boolean().nullish(),
  triggers: triggers.nullish(),
  workflow,
  idempotencyKey: idempotencyKey.nullish(),
});

export const templatePatch = z.object({
  name: label.nullish(),
  description: note.nullish(),
  active: z.boolean().nullish(),
  triggers: triggers.nullish(),
  workflow: workflow.nullish(),
});

/** Whether all differ, those counted that get an id by their place. */
const uniqueIds = (prefix: string) => (list: readonly { readonly id?: string | null | undefined }[]) =>
  new Set(list.map(({ id: given }, index) => given ?? `${prefix}-${index + 1}`)).size === list.length;

export const consensus = z.object({
  targetType: lower(['context', 'plan', 'trace', 'extension', 'other']),
  targetId: id,
  contextId: id.nullish(),
  title: text({ min: 1, max: 500 }),
  description: note.nullish(),
  options: z
    .array(z.object({ id: word.nullish(), label: text({ min: 1, max: 500 }), description: note.nullish() }))
    .min(2, 'expected at least two options')
    .max(100)
    .refine(uniqueIds('option'), 'two options have the same id'),
  participants: z
    .array(z.object({ subject: subjectId, votingWeight: z.number().gt(0).max(1_000_000).nullish() }))
    .min(1, 'expected at least one participant')
    .max(1_000)
    .refine((list) => new Set(list.map(({ subject }) => subject)).size === list.length, 'a participant is named twice'),
  rules: z.object({
    algorithm: lower(['simple_majority', 'weighted_majority', 'unanimous', 'quorum_based']),
    threshold: z.number().gt(0).max(1).nullish(),
    minimumParticipation: z.number().min(0).max(1).nullish(),
    timeoutHours: z
      .number()
      .min(1 / 3_600, 'expected at least 1 second')
      .max(720)
      .nullish(),
    allowAbstention: z.boolean().nullish(),
    requireJustification: z.boolean().nullish(),
  }),
  criteria: z
    .array(z.object({ id: word.nullish(), name: label, weight: z.number().gt(0).max(1) }))
    .max(20)
    .refine(uniqueIds('criterion'), 'two criteria have the same id')
    .nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const vote = z.object({
  consensusId: id,
  optionId: word.nullish(),
  scores: z
    .array(z.object({ optionId: word, criterionId: word, score }))
    .max(2_000)
    .nullish(),
  abstain: z.boolean().nullish(),
  justification: note.nullish(),
  expectedVersion: z.number().int().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});
