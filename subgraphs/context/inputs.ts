import { z } from 'zod';
import { id, idempotencyKey, json, jsonObject, text } from '#shared/validation.ts';
import { expressionProblem } from './accessRights.ts';

const title = text({ min: 1, max: 255 });
const label = text({ min: 1, max: 255 });
const namedRootKeys = ['domain', 'environment', 'entry_point'];

/** The keys of `root` that the frozen form names, also after a patch. */
export const rootKeys = z.looseObject({
  domain: label,
  environment: label,
  entry_point: text({ max: 1_000 }).optional(),
});
const tags = z.array(text({ min: 1, max: 100 })).max(100);
const minuteMs = 60_000;

export const defaultConfiguration = {
  maxParticipants: 10,
  maxSessions: 5,
  timeoutMs: 60 * minuteMs,
  persistenceLevel: 'SESSION',
  isolationLevel: 'SHARED',
  autoCleanup: true,
  cleanupDelayMs: 5 * minuteMs,
};

export const defaultAccessControl = {
  visibility: 'TENANT',
  joinPolicy: 'OPEN',
  requiredCapabilities: [],
  requiredRoles: [],
  permissions: [],
  policies: [],
};

/** Sessions of a context share its state, whatever they are asked for: nothing holds what one writes from the others. */
export const isolationLevel = z
  .string()
  .refine((value) => value === 'SHARED', 'expected SHARED: sessions share the state of their context');

const configuration = z.object({
  maxParticipants: z.number().int().min(1).max(1_000).nullish(),
  maxSessions: z.number().int().min(1).max(100).nullish(),
  timeoutMs: z
    .number()
    .int()
    .min(1_000)
    .max(24 * 60 * minuteMs)
    .nullish(),
  persistenceLevel: z
    .string()
    .refine((value) => value !== 'NONE', 'expected SESSION or DURABLE: what is answered has been stored')
    .nullish(),
  isolationLevel: isolationLevel.nullish(),
  autoCleanup: z.boolean().nullish(),
  cleanupDelayMs: z
    .number()
    .int()
    .min(0)
    .max(24 * 60 * minuteMs)
    .nullish(),
});

/** The graph's words, stored as the protocol writes them. */
const lowerCased = (values: readonly [string, ...string[]]) => z.enum(values).transform((value) => value.toLowerCase());

/** A condition over subject, resource and environment, in the language of the roles' conditions. */
const expression = text({ min: 1, max: 2_048 }).superRefine((value, issues) => {
  const problem = expressionProblem(value);
  if (problem !== null) issues.addIssue({ code: 'custom', message: problem });
});

const accessControl = z.object({
  visibility: z.string().nullish(),
  joinPolicy: z.string().nullish(),
  requiredCapabilities: z.array(label).max(50).nullish(),
  requiredRoles: z.array(label).max(50).nullish(),
  permissions: z
    .array(
      z.object({
        principal: label,
        principalType: lowerCased(['USER', 'AGENT', 'ROLE', 'GROUP']).refine(
          (value) => value !== 'group',
          'expected USER, AGENT or ROLE: the platform knows no groups',
        ),
        resource: label,
        actions: z
          .array(lowerCased(['READ', 'WRITE', 'EXECUTE', 'DELETE', 'ADMIN']))
          .min(1)
          .max(5),
        conditions: z.strictObject({ expression }).nullish(),
      }),
    )
    .max(200)
    .nullish(),
  policies: z
    .array(
      z.object({
        type: lowerCased(['SECURITY', 'COMPLIANCE', 'OPERATIONAL']),
        enforcement: lowerCased(['STRICT', 'ADVISORY', 'DISABLED']),
        rules: z.strictObject({ deny: z.array(expression).max(50) }).nullish(),
      }),
    )
    .max(50)
    .nullish(),
});

const governance = z.object({
  lifecyclePhase: label.nullish(),
  truthDomain: label.nullish(),
  locked: z.boolean().nullish(),
});

const entry = z.record(z.string(), z.unknown());
const resources = z
  .array(z.looseObject({ name: text({ min: 1, max: 255 }) }))
  .max(1_000)
  .nullish();
const listed = z
  .array(entry.and(z.object({ id: label.nullish() })))
  .max(1_000)
  .nullish();

/** State sections given at creation; each entry is checked as one that changes it (`stateShape.ts`). */
const sharedState = z.object({
  variables: jsonObject().nullish(),
  resources: z.object({ allocated: resources, requirements: resources }).nullish(),
  dependencies: listed,
  goals: listed,
});

export type SharedStateInput = z.output<typeof sharedState>;

export const createContext = z.object({
  title,
  root: z.object({
    domain: label,
    environment: label,
    entryPoint: text({ max: 1_000 }).nullish(),
    extra: jsonObject()
      .refine(
        (extra) => !namedRootKeys.some((key) => Object.hasOwn(extra, key)),
        `expected keys other than ${namedRootKeys.join(', ')}, which have fields of their own`,
      )
      .nullish(),
  }),
  summary: text().nullish(),
  type: z.string().nullish(),
  ownerRole: id.nullish(),
  tags: tags.nullish(),
  language: text({ min: 1, max: 35 }).nullish(),
  constraints: jsonObject().nullish(),
  governance: governance.nullish(),
  configuration: configuration.nullish(),
  accessControl: accessControl.nullish(),
  sharedState: sharedState.nullish(),
  priority: z.string().nullish(),
  category: label.nullish(),
  customData: json().nullish(),
  activate: z.boolean().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type CreateContextInput = z.output<typeof createContext>;

export const contextPatch = z.object({
  title: title.optional(),
  summary: text().nullish(),
  status: z.string().optional(),
  type: z.string().optional(),
  lifecycleStage: z.string().optional(),
  root: jsonObject().optional(),
  tags: tags.nullish(),
  language: text({ min: 1, max: 35 }).nullish(),
  ownerRole: id.nullish(),
  constraints: jsonObject().nullish(),
  governance: governance.nullish(),
  configuration: configuration.nullish(),
  accessControl: accessControl.nullish(),
  priority: z.string().optional(),
  category: label.nullish(),
  customData: json().nullish(),
  expiresAt: z.date().nullish(),
});

export type ContextPatch = z.output<typeof contextPatch>;

export const reason = text({ max: 2_000 });
