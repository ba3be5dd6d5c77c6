import { z } from 'zod';
import { type LogLevel, logLevels } from '#shared/logs/record.ts';
import { jsonObject, text } from '#shared/validation.ts';

const dayMs = 86_400_000;
const aheadMs = 60_000;
export const maxRecordsPerCall = 1_000;

export const moduleName = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'expected 1 to 64 letters, digits, dots, dashes and underscores');
export const level = z.enum(Object.keys(logLevels) as [LogLevel, ...LogLevel[]]);
const label = text({ min: 1, max: 255 });

export const logInput = z.object({
  level,
  message: text({ min: 1, maxBytes: 32_768 }),
  module: moduleName,
  operation: label.nullish(),
  correlationId: label.nullish(),
  traceId: z
    .string()
    .regex(/^[0-9a-f]{32}$/, 'expected 32 hexadecimal digits')
    .nullish(),
  spanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/, 'expected 16 hexadecimal digits')
    .nullish(),
  metadata: jsonObject({ maxBytes: 16_384, maxDepth: 12 }).nullish(),
  stack: text({ maxBytes: 32_768 }).nullish(),
  timestamp: z
    .date()
    .refine(
      (at) => at.getTime() >= Date.now() - dayMs && at.getTime() <= Date.now() + aheadMs,
      'expected a time of the last day, or up to a minute ahead',
    )
    .nullish(),
});

export const logFilter = z.object({
  levels: z.array(level).max(5).nullish(),
  minLevel: level.nullish(),
  modules: z.array(moduleName).max(50).nullish(),
  operation: label.nullish(),
  correlationId: label.nullish(),
  traceId: label.nullish(),
  userId: label.nullish(),
  text: text({ min: 1, max: 255 }).nullish(),
  from: z.date().nullish(),
  to: z.date().nullish(),
});

export const levelRule = z.object({
  module: moduleName,
  level,
  ttlMs: z.number().int().min(1_000, 'expected at least 1,000 ms').max(dayMs, 'expected at most a day'),
});
