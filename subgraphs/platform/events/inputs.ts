import { z } from 'zod';
import { idempotencyKey, jsonObject, text } from '#shared/validation.ts';
import { subgraphNames } from '../../names.ts';
import { eventCategories, eventPriorities } from './envelope.ts';

export const maxPayloadBytes = 262_144;
/** Consumer groups of a tenant. */
export const maxSubscriptions = 20;
export const maxPartitions = 100;

const dotted = /^[a-z][a-z0-9]*(\.[a-z0-9]+)+$/;
/** First words of the platform's own types: nobody publishes in their names. */
const ownWords: ReadonlySet<string> = new Set([...subgraphNames, 'delivery', 'file', 'config', 'event', 'access']);

const eventName = text({ max: 255 }).refine(
  (name) => dotted.test(name),
  'expected a dotted name in lower case such as order.answered',
);

const eventType = text({ max: 255 })
  .refine((type) => dotted.test(type), 'expected a dotted name in lower case such as order.placed')
  .refine((type) => !ownWords.has(type.split('.')[0]!), 'expected another first word: it is one of the platform’s own');

/** `*`, an exact type, or a prefix that ends in `.*`. */
const pattern = text({ max: 255 }).refine(
  (value) =>
    value === '*' || dotted.test(value) || (value.endsWith('.*') && /^[a-z][a-z0-9]*(\.[a-z0-9]+)*\.\*$/.test(value)),
  'expected *, a type such as plan.created, or a prefix such as plan.*',
);

export const eventInput = z.object({
  type: eventType,
  payload: jsonObject({ maxBytes: maxPayloadBytes }),
  orderingKey: text({ min: 1, max: 255 }).nullish(),
  correlationId: text({ min: 1, max: 255 }).nullish(),
  headers: jsonObject({ maxBytes: 16_384, maxDepth: 2 }).nullish(),
  ttlMs: z.number().int().min(1_000).max(86_400_000).nullish(),
  category: z.enum(eventCategories).nullish(),
  priority: z.enum(eventPriorities).nullish(),
  targetModules: z.array(z.enum(subgraphNames)).max(subgraphNames.length).nullish(),
  replyTo: eventName.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});
export const eventInputs = z.array(eventInput).min(1).max(1_000);

const webhookUrl = text({ max: 2_048 }).refine((value) => {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}, 'expected an http(s) URL without a user');

/** Values that are compared as they stand: texts, numbers, truth. */
const plainHeaders = jsonObject({ maxBytes: 4_096, maxDepth: 1 }).refine(
  (headers) => Object.values(headers).every((value) => ['string', 'number', 'boolean'].includes(typeof value)),
  'expected texts, numbers and booleans',
);

export const subscriptionInput = z
  .object({
    name: text({ min: 1, max: 100 }),
    patterns: z.array(pattern).min(1).max(50),
    target: z.enum(['WEBHOOK', 'PULL']),
    url: webhookUrl.nullish(),
    secret: text({ min: 16, max: 255 }).nullish(),
    deliveryMode: z.enum(['FIRE_AND_FORGET', 'AT_LEAST_ONCE', 'EXACTLY_ONCE']),
    partitions: z.number().int().min(1).max(maxPartitions),
    maxRetry: z.number().int().min(0).max(10),
    retryDelayMs: z.number().int().min(100).max(3_600_000),
    deadLetter: z.boolean(),
    batchSize: z.number().int().min(1).max(1_000),
    ackTimeoutMs: z.number().int().min(1_000).max(3_600_000),
    module: z.enum(subgraphNames).nullish(),
    headers: plainHeaders.nullish(),
    batchWaitMs: z.number().int().min(0).max(60_000),
  })
  .superRefine(({ target, url, secret }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (target === 'WEBHOOK' && url == null) issue('url', 'expected where to send what comes');
    if (target === 'PULL' && url != null) issue('url', 'expected none with PULL');
    if (target === 'PULL' && secret != null) issue('secret', 'expected none with PULL');
  });
export type SubscriptionInput = z.output<typeof subscriptionInput>;

export const patterns = z.array(pattern).min(1).max(50).nullish();

export const logFilter = z.object({
  modules: z.array(z.enum(subgraphNames)).min(1).nullish(),
  patterns,
  streamId: z.uuid().nullish(),
  actor: text({ min: 1, max: 255 }).nullish(),
  correlationId: text({ min: 1, max: 255 }).nullish(),
  categories: z.array(z.enum(eventCategories)).min(1).nullish(),
  priorities: z.array(z.enum(eventPriorities)).min(1).nullish(),
  from: z.date().nullish(),
  to: z.date().nullish(),
});
export type LogFilter = z.output<typeof logFilter>;

export function matches(patterns: readonly string[], type: string): boolean {
  return patterns.some(
    (entry) => entry === '*' || entry === type || (entry.endsWith('.*') && type.startsWith(entry.slice(0, -1))),
  );
}

/** The same for SQL: LIKE patterns. */
export function likePatterns(patterns: readonly string[]): readonly string[] {
  return patterns.map((entry) => (entry === '*' ? '%' : entry.endsWith('.*') ? `${entry.slice(0, -1)}%` : entry));
}

/** What the platform tells itself in its event table, not others. */
export function isInternal(type: string): boolean {
  return type.startsWith('delivery.');
}
