import { z } from 'zod';
import { id, jsonObject, text } from '#shared/validation.ts';
import { isSpanIdHex } from '../ids/traceIds.ts';
import { correlationKinds, errorKinds, eventPhases, recoveryActions } from './kinds.ts';

const word = <Words extends readonly [string, ...string[]]>(words: Words) =>
  z.string().toLowerCase().pipe(z.enum(words));
const line = text({ min: 1, max: 255 });
const paragraph = text({ min: 1, max: 4_096 });
const share = z.number().min(0).max(1);
const spanId = z.string().refine(isSpanIdHex, 'expected 16 hex digits, not all zero');
/** A clock that is a minute ahead is one that differs; beyond that it has jumped. */
const occurredAt = z.date().refine((at) => at.getTime() < Date.now() + 60_000, 'expected a time that has come');
const once = (list: readonly string[]) => new Set(list).size === list.length;
const recovery = z.array(word(recoveryActions)).max(recoveryActions.length).refine(once, 'expected each action once');

export const event = z.object({
  phase: word(eventPhases),
  name: line,
  source: z.object({ component: line, module: line.nullish(), function: line.nullish() }),
  spanId: spanId.nullish(),
  data: jsonObject({ maxBytes: 16_384, maxDepth: 8 }).nullish(),
  occurredAt: occurredAt.nullish(),
});
export type GivenEvent = z.output<typeof event>;

export const error = z.object({
  code: line,
  message: paragraph,
  type: word(errorKinds),
  stack: text({ min: 1, max: 16_384 }).nullish(),
  recoverable: z.boolean().nullish(),
  recoveryActions: recovery.nullish(),
  spanId: spanId.nullish(),
  occurredAt: occurredAt.nullish(),
});
export type GivenError = z.output<typeof error>;

const option = z.object({ option: line, score: share.nullish(), rationale: paragraph.nullish() });
export const decision = z
  .object({
    decisionPoint: line,
    options: z
      .array(option)
      .min(1)
      .max(50)
      .refine((options) => once(options.map((one) => one.option)), 'expected each option once'),
    selected: line,
    criteria: z.array(line).max(50).nullish(),
    confidence: share.nullish(),
    spanId: spanId.nullish(),
    occurredAt: occurredAt.nullish(),
  })
  .refine(({ options, selected }) => options.some((one) => one.option === selected), {
    path: ['selected'],
    message: 'expected one of the options',
  });
export type GivenDecision = z.output<typeof decision>;

export const snapshot = z.object({
  reason: paragraph.nullish(),
  state: jsonObject({ maxBytes: 65_536, maxDepth: 16 }).nullish(),
});

export const correlation = z.object({
  relatedTraceId: id,
  type: word(correlationKinds),
  strength: share.nullish(),
  note: paragraph.nullish(),
});
export type GivenCorrelation = z.output<typeof correlation>;

/** As they stand in the data of events, which an importer may have written. */
export const storedError = z.object({
  code: z.string(),
  message: z.string(),
  type: z.enum(errorKinds),
  stack: z.string().nullish(),
  recoverable: z.boolean(),
  recoveryActions: z.array(z.enum(recoveryActions)),
  spanId: z.string().nullish(),
});
export const storedDecision = z.object({
  decisionPoint: z.string(),
  options: z.array(z.object({ option: z.string(), score: z.number().nullish(), rationale: z.string().nullish() })),
  selected: z.string(),
  criteria: z.array(z.string()),
  confidence: z.number().nullish(),
  spanId: z.string().nullish(),
});
export const storedCorrelation = z.object({
  relatedTraceId: id,
  type: z.enum(correlationKinds),
  strength: z.number().min(0).max(1),
  evidence: z.string(),
  causeId: z.string().nullish(),
});
