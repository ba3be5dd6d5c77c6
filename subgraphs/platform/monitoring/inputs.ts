import { z } from 'zod';
import { jsonObject, text } from '#shared/validation.ts';
import { metricFunctions } from './compute.ts';

const dayMs = 86_400_000;
const aheadMs = 60_000;

export const metricName = z
  .string()
  .regex(
    /^[a-zA-Z_][\w.:]{0,127}$/,
    'expected a letter or underscore, then up to 127 letters, digits, underscores, dots and colons',
  );
const labelName = z
  .string()
  .regex(/^[a-zA-Z_]\w{0,63}$/, 'expected a letter or underscore, then up to 63 letters, digits and underscores');
export const ruleName = text({ min: 1, max: 255 });
export const channelName = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'expected 1 to 64 letters, digits, dots, dashes and underscores');

const labels = z
  .array(z.object({ name: labelName, value: text({ max: 255 }) }))
  .max(10, 'expected at most ten labels')
  .nullish()
  .transform((all) => Object.fromEntries((all ?? []).map(({ name, value }) => [name, value])));

export const metricQuery = z
  .object({
    metric: metricName,
    fn: z.enum(metricFunctions),
    labels,
    by: z.array(labelName).max(5).nullish(),
    dividedBy: metricName.nullish(),
  })
  .transform(({ by, dividedBy, ...rest }) => ({ ...rest, by: by ?? null, dividedBy: dividedBy ?? null }));
export type MetricQuery = z.output<typeof metricQuery>;

export const sampleInput = z
  .object({
    name: metricName,
    kind: z.enum(['COUNTER', 'GAUGE', 'HISTOGRAM', 'TIMER']),
    value: z.number().nullish(),
    observations: z.array(z.number()).min(1).max(1_000).nullish(),
    labels,
    unit: text({ min: 1, max: 32 }).nullish(),
    timestamp: z
      .date()
      .refine(
        (at) => at.getTime() >= Date.now() - dayMs && at.getTime() <= Date.now() + aheadMs,
        'expected a time of the last day, or up to a minute ahead',
      )
      .nullish(),
  })
  .superRefine(({ kind, value, observations }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    const isObserved = kind === 'HISTOGRAM' || kind === 'TIMER';
    if (isObserved && observations == null) issue('observations', `expected observations with ${kind}`);
    if (isObserved && value != null) issue('value', `expected none with ${kind}`);
    if (!isObserved && value == null) issue('value', `expected a value with ${kind}`);
    if (!isObserved && observations != null) issue('observations', `expected none with ${kind}`);
    if (kind === 'COUNTER' && value != null && value < 0) issue('value', 'expected what it grew by, got less than 0');
    if (kind === 'TIMER' && observations?.some((one) => one < 0))
      issue('observations', 'expected durations of 0 and more');
  });

const panel = z.object({
  title: text({ min: 1, max: 255 }),
  query: metricQuery,
  visualization: z.enum(['LINE', 'BAR', 'STAT', 'GAUGE', 'TABLE']),
  unit: text({ min: 1, max: 32 }).nullish(),
  thresholds: z.array(z.number()).max(10).nullish(),
});

export const dashboardInput = z.object({
  title: text({ min: 1, max: 255 }),
  description: text({ max: 2_000 }).nullish(),
  panels: z.array(panel).min(1).max(24),
});

export const variablesInput = jsonObject({ maxBytes: 4_096, maxDepth: 2 });

const condition = z.object({
  query: metricQuery,
  windowSeconds: z.number().int().min(15).max(86_400),
  comparison: z.enum(['ABOVE', 'BELOW']),
  threshold: z.number(),
});

export const ruleInput = z.object({
  name: ruleName,
  description: text({ max: 2_000 }).nullish(),
  conditions: z.array(condition).min(1).max(5),
  match: z.enum(['ANY', 'ALL']),
  forSeconds: z.number().int().min(0).max(86_400),
  severity: z.enum(['WARNING', 'CRITICAL']),
  action: z.enum(['NONE', 'SCALE_UP', 'INVESTIGATE', 'FAILOVER']),
  channels: z.array(channelName).max(10).nullish(),
  enabled: z.boolean(),
});

export const channelInput = z
  .object({
    name: channelName,
    kind: z.enum(['WEBHOOK', 'LOG', 'MAIL']),
    target: text({ min: 1, max: 2_000 }).nullish(),
    enabled: z.boolean(),
  })
  .superRefine(({ kind, target }, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', path: ['target'], message });
    if (kind === 'LOG' && target != null) issue('expected none with LOG');
    if (kind === 'WEBHOOK' && (target == null || !URL.canParse(target) || !/^https?:$/.test(new URL(target).protocol)))
      issue('expected an http(s) URL');
    if (kind === 'WEBHOOK' && target != null && URL.canParse(target) && new URL(target).password !== '')
      issue('expected a URL without a password');
    if (kind === 'MAIL' && (target == null || !/^[^\s@]{1,64}@[^\s@]{1,255}$/.test(target)))
      issue('expected an address');
  });
