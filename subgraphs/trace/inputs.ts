import { z } from 'zod';
import { id, idempotencyKey, text } from '#shared/validation.ts';

import { parseBaggage } from './ids/baggage.ts';
import { parseTracestate } from './ids/tracestate.ts';
import { traceSeverities, traceTypes } from './rows.ts';

const header = text({ min: 1, max: 200 });
const b3Headers = z.object({
  traceId: header,
  spanId: header,
  parentSpanId: header.nullish(),
  sampled: header.nullish(),
  flags: header.nullish(),
});

export const tag = text({ min: 1, max: 100 });
const tags = z
  .array(tag)
  .max(32)
  .refine((list) => new Set(list).size === list.length, 'expected each tag once');
const serviceName = text({ min: 1, max: 255 });
const baggage = text({ max: 8_192 }).refine((value) => parseBaggage(value) !== null, 'expected a W3C baggage header');
const severity = z.string().toLowerCase().pipe(z.enum(traceSeverities));
const correlationId = text({ min: 1, max: 200 });

export const createTrace = z
  .object({
    contextId: id,
    planId: id.nullish(),
    taskId: id.nullish(),
    name: text({ min: 1, max: 255 }),
    type: z.string().toLowerCase().pipe(z.enum(traceTypes)).default('execution'),
    severity: severity.nullish(),
    traceparent: text({ max: 200 }).nullish(),
    b3: header.nullish(),
    b3Headers: b3Headers.nullish(),
    uberTraceId: header.nullish(),
    tracestate: text({ max: 512 })
      .refine((value) => parseTracestate(value) !== null, 'expected a W3C tracestate')
      .nullish(),
    baggage: baggage.nullish(),
    correlationId: correlationId.nullish(),
    serviceName: serviceName.nullish(),
    tags: tags.nullish(),
    samplingRate: z.number().gt(0).max(1).nullish(),
    begin: z.boolean(),
  })
  .refine(({ planId, taskId }) => taskId == null || planId != null, {
    path: ['taskId'],
    message: 'expected a planId beside it',
  });

/** What stands is replaced by what is given; null and what is left out change nothing. */
export const patchTrace = z.object({
  name: text({ min: 1, max: 255 }).nullish(),
  severity: severity.nullish(),
  correlationId: correlationId.nullish(),
  serviceName: serviceName.nullish(),
  tags: tags.nullish(),
  baggage: baggage.nullish(),
});
export type PatchTrace = z.output<typeof patchTrace>;
export type CreateTrace = z.output<typeof createTrace>;

export const traceId = id;
export const idempotency = idempotencyKey;
export const filterText = text({ min: 1, max: 255 });
export const attributeFilter = z.object({
  key: filterText,
  value: z.union([text({ max: 1_024 }), z.number(), z.boolean()]),
});

const dimensionKey = text({ min: 1, max: 100 });
export const metric = z.object({
  name: filterText,
  type: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['counter', 'gauge', 'histogram', 'timer'])),
  value: z.number(),
  unit: text({ min: 1, max: 32 }).nullish(),
  dimensions: z
    .record(dimensionKey, text({ max: 1_024 }))
    .refine((dimensions) => Object.keys(dimensions).length <= 32, 'expected at most 32 dimensions')
    .nullish(),
  at: z.date().nullish(),
  windowMs: z.number().positive().max(31_622_400_000).nullish(),
});
