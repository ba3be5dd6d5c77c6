import { z } from 'zod';
import { id, idempotencyKey, json, text } from '#shared/validation.ts';
import { availabilityInput, isTimeZone, notificationsInput } from './preferences.ts';
import type { DialogConfigurationValue } from './rows.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const label = text({ min: 1, max: 255 });

/** What PostgreSQL and a four-digit year both hold. */
export const instant = z.date().min(new Date('0001-01-01T00:00:00Z')).max(new Date('9999-12-31T23:59:59.999Z'));
const tags = z.array(text({ min: 1, max: 100 })).max(100);

export const defaultConfiguration: DialogConfigurationValue = {
  maxParticipants: 50,
  allowAnonymous: false,
  moderationEnabled: false,
  aiAssistanceEnabled: false,
  allowJoinMidConversation: true,
  showHistory: false,
  allowInterruptions: false,
  messageRetentionDays: 90,
  encryptionEnabled: false,
  auditLogging: true,
  readReceipts: true,
  maxDurationMs: 480 * minuteMs,
  idleTimeoutMs: 60 * minuteMs,
  deliveryTtlMs: 7 * dayMs,
  visibility: 'TENANT',
  turnMode: 'FREE',
  turnDurationMs: null,
};

const configuration = z.object({
  maxParticipants: z.number().int().min(1).max(1_000).nullish(),
  allowAnonymous: z.boolean().nullish(),
  moderationEnabled: z.boolean().nullish(),
  aiAssistanceEnabled: z.boolean().nullish(),
  allowJoinMidConversation: z.boolean().nullish(),
  showHistory: z.boolean().nullish(),
  allowInterruptions: z.boolean().nullish(),
  messageRetentionDays: z.number().int().min(1).max(2_555).nullish(),
  encryptionEnabled: z
    .boolean()
    .refine((value) => !value, 'expected false: the platform holds no keys of the participants')
    .nullish(),
  auditLogging: z.boolean().nullish(),
  readReceipts: z.boolean().nullish(),
  maxDurationMs: z.number().int().min(1_000).max(dayMs).nullish(),
  idleTimeoutMs: z.number().int().min(1_000).max(dayMs).nullish(),
  deliveryTtlMs: z
    .number()
    .int()
    .min(1_000)
    .max(30 * dayMs)
    .nullish(),
  visibility: z.enum(['PARTICIPANTS', 'TENANT']).nullish(),
});

const turnTaking = z.object({
  mode: z.enum(['FREE', 'ROUND_ROBIN', 'MODERATED']).nullish(),
  turnDurationMs: z.number().int().min(100).max(dayMs).nullish(),
});

const workflow = z.object({
  planId: id.nullish(),
  confirmId: id.nullish(),
  approvalWorkflowId: id.nullish(),
  traceEnabled: z
    .boolean()
    .refine((value) => value, 'expected true: the trace module follows every dialog')
    .nullish(),
});

const governance = z.object({
  lifecyclePhase: label.nullish(),
  truthDomain: label.nullish(),
  locked: z.boolean().nullish(),
});

const role = z.enum(['REQUESTER', 'APPROVER', 'FACILITATOR', 'CONTRIBUTOR', 'REVIEWER', 'MODERATOR', 'OBSERVER']);
const permission = z.enum([
  'READ',
  'WRITE',
  'INITIATE_TOPICS',
  'ATTACH_DOCUMENTS',
  'APPROVE',
  'REJECT',
  'REQUEST_CHANGES',
  'SUGGEST',
  'ANALYZE',
  'MODERATE',
  'SUMMARIZE',
]);
const permissions = z.array(permission).max(11);
const participantType = z.enum(['HUMAN', 'AI_AGENT', 'SYSTEM']);
const capabilities = z.array(label).max(100);

/** A name that the server's own tables know: whoever reads the hours has to find their times. */
const timezone = text({ min: 1, max: 64 }).refine(isTimeZone, 'expected an IANA time zone like Europe/Athens');

export const flow = z
  .object({
    initial: label,
    states: z
      .array(z.object({ name: label, terminal: z.boolean().nullish() }))
      .min(1)
      .max(200),
    transitions: z
      .array(z.object({ name: label, from: label, to: label, roles: z.array(role).max(7).nullish() }))
      .max(1_000),
  })
  .superRefine((value, context) => {
    const names = new Set<string>();
    value.states.forEach((state, index) => {
      if (names.has(state.name)) {
        context.addIssue({
          code: 'custom',
          path: ['states', index, 'name'],
          message: `expected a name once, got ${JSON.stringify(state.name)} again`,
        });
      }
      names.add(state.name);
    });
    if (!names.has(value.initial)) {
      context.addIssue({
        code: 'custom',
        path: ['initial'],
        message: `expected one of the states, got ${JSON.stringify(value.initial)}`,
      });
    }
    const taken = new Set<string>();
    const terminal = new Set(value.states.filter((state) => state.terminal).map((state) => state.name));
    value.transitions.forEach((transition, index) => {
      for (const end of ['from', 'to'] as const) {
        if (!names.has(transition[end])) {
          context.addIssue({
            code: 'custom',
            path: ['transitions', index, end],
            message: `expected one of the states, got ${JSON.stringify(transition[end])}`,
          });
        }
      }
      if (terminal.has(transition.from)) {
        context.addIssue({
          code: 'custom',
          path: ['transitions', index, 'from'],
          message: 'expected a state that is not terminal',
        });
      }
      const key = JSON.stringify([transition.from, transition.name]);
      if (taken.has(key)) {
        context.addIssue({
          code: 'custom',
          path: ['transitions', index, 'name'],
          message: 'expected a name once per state',
        });
      }
      taken.add(key);
    });
  });

export const participant = z.object({
  subject: label,
  type: participantType.nullish(),
  displayName: label.nullish(),
  role: role.nullish(),
  permissions: permissions.nullish(),
  capabilities: capabilities.nullish(),
  notifications: notificationsInput.nullish(),
  availability: availabilityInput.nullish(),
  timezone: timezone.nullish(),
  invited: z.boolean().nullish(),
});

export type ParticipantInput = z.output<typeof participant>;

export const createDialog = z.object({
  contextId: id,
  name: label,
  type: z.string().nullish(),
  threadId: id.nullish(),
  category: label.nullish(),
  description: text({ maxBytes: 65_536 }).nullish(),
  tags: tags.nullish(),
  participants: z.array(participant).max(1_000).nullish(),
  creatorType: participantType.nullish(),
  creatorDisplayName: label.nullish(),
  configuration: configuration.nullish(),
  turnTaking: turnTaking.nullish(),
  flow: flow.nullish(),
  workflow: workflow.nullish(),
  governance: governance.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type CreateDialogInput = z.output<typeof createDialog>;

export const dialogPatch = z.object({
  name: label.optional(),
  type: z.string().optional(),
  category: label.nullish(),
  description: text({ maxBytes: 65_536 }).nullish(),
  tags: tags.nullish(),
  configuration: configuration.nullish(),
  turnTaking: turnTaking.nullish(),
  workflow: workflow.nullish(),
  governance: governance.nullish(),
});

export type DialogPatch = z.output<typeof dialogPatch>;

export const reason = text({ max: 2_000 });
export const transitionName = label;
export const idempotency = idempotencyKey;

export const participantPatch = z.object({
  role: role.optional(),
  permissions: permissions.nullish(),
  displayName: label.nullish(),
  capabilities: capabilities.nullish(),
  notifications: notificationsInput.nullish(),
  availability: availabilityInput.nullish(),
  timezone: timezone.nullish(),
});

export type ParticipantPatch = z.output<typeof participantPatch>;

export const joinInput = z.object({
  anonymous: z.boolean(),
  displayName: label.nullish(),
  capabilities: capabilities.nullish(),
});

const hashtagFree = text({ max: 35 });

/** Size of text and structured data is checked apart, for its own error. */
const content = z.object({
  text: text({ maxBytes: Number.MAX_SAFE_INTEGER }).nullish(),
  structuredData: json({ maxBytes: 4_194_304 }).nullish(),
  language: hashtagFree.nullish(),
});

export const messageContent = content;

export const attachment = z.object({
  type: label,
  name: label,
  sizeBytes: z.number().int().min(0),
  url: text({ min: 1, max: 4_096 }).refine(
    (value) => URL.canParse(value) && /^(https?|s3|gs|ipfs|urn|data|file|mplp):/.test(value),
    'expected a URL',
  ),
  checksum: text({ min: 1, max: 255 }).nullish(),
  accessPermissions: z
    .array(label.transform((word) => word.toUpperCase()).pipe(permission))
    .max(11)
    .nullish(),
});

export const sendMessage = z.object({
  dialogId: id,
  clientMessageId: text({ min: 1, max: 200 }).nullish(),
  type: z.string().nullish(),
  content,
  threadId: id.nullish(),
  replyTo: id.nullish(),
  topic: text({ min: 1, max: 500 }).nullish(),
  recipients: z.array(id).min(1).max(1_000).nullish(),
  priority: z.string().nullish(),
  requiresResponse: z.boolean().nullish(),
  responseDeadline: instant.nullish(),
  attachments: z.array(attachment).max(10).nullish(),
  aiProcessing: z
    .object({
      sentiment: z.boolean().nullish(),
      topics: z.boolean().nullish(),
      actionItems: z.boolean().nullish(),
      entities: z.boolean().nullish(),
    })
    .nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type SendMessageInput = z.output<typeof sendMessage>;

export const reactionType = text({ min: 1, max: 50 });

export const memoryEntries = z
  .array(
    z.object({
      kind: z.enum(['SHORT_TERM', 'LONG_TERM']),
      key: text({ min: 1, max: 255 }),
      value: json({ maxBytes: 65_536 }),
      importance: z.number().min(0).max(1).nullish(),
      ttlSeconds: z.number().int().min(1).max(31_536_000).nullish(),
    }),
  )
  .max(100);

export const memoryKeys = z
  .array(z.object({ kind: z.enum(['SHORT_TERM', 'LONG_TERM']), key: text({ min: 1, max: 255 }) }))
  .max(100);
