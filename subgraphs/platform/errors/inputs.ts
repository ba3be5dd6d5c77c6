import { z } from 'zod';
import { errorCategories, errorSeverities } from '#shared/errorCapture/classify.ts';
import { jsonObject, text } from '#shared/validation.ts';
import { moduleName } from '../logging/inputs.ts';
import { channelName, ruleName } from '../monitoring/inputs.ts';

const label = text({ min: 1, max: 255 });
export const severity = z.enum(errorSeverities);
export const fingerprint = z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hexadecimal digits');

export const errorInput = z.object({
  code: z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/, 'expected capitals, digits and underscores, 2 to 64'),
  message: text({ min: 1, maxBytes: 16_384 }),
  module: moduleName,
  operation: label.nullish(),
  severity: severity.nullish(),
  category: z.enum(errorCategories).nullish(),
  recoverable: z.boolean().nullish(),
  statusCode: z.number().int().min(100).max(599).nullish(),
  correlationId: label.nullish(),
  details: jsonObject({ maxBytes: 16_384, maxDepth: 12 }).nullish(),
  stack: text({ maxBytes: 32_768 }).nullish(),
});

export const errorFilter = z.object({
  severities: z.array(severity).max(4).nullish(),
  categories: z.array(z.enum(errorCategories)).max(6).nullish(),
  codes: z.array(label).max(50).nullish(),
  modules: z.array(moduleName).max(50).nullish(),
  fingerprint: fingerprint.nullish(),
  correlationId: label.nullish(),
  from: z.date().nullish(),
  to: z.date().nullish(),
});

export const notificationRuleInput = z.object({
  name: ruleName,
  minSeverity: severity,
  modules: z.array(moduleName).max(50).nullish(),
  channels: z.array(channelName).min(1).max(10),
  enabled: z.boolean(),
});
