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

export const createTrace = z.object({
  contextId: id,
  planId: id.nullish(),
  name: text({ min: 1, max: 255 }),
  type: z.string().toLowerCase().pipe(z.enum(traceTypes)).default('execution'),
  severity: z.string().toLowerCase().pipe(z.enum(traceSeverities)).nullish(),
  traceparent: text({ max: 200 }).nullish(),
  b3: header.nullish(),
  b3Headers: b3Headers.nullish(),
  uberTraceId: header.nullish(),
  tracestate: text({ max: 512 })
    .refine((value) => parseTracestate(value) !== null, 'expected a W3C tracestate')
    .nullish(),
  baggage: text({ max: 8_192 })
    .refine((value) => parseBaggage(value) !== null, 'expected a W3C baggage header')
    .nullish(),
  correlationId: text({ min: 1, max: 200 }).nullish(),
});
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
});
