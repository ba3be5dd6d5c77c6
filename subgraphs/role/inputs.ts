import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { id, idempotencyKey, jsonObject, text } from '#shared/validation.ts';
import {
  ConditionError,
  type Conditions,
  type Constraints,
  compileConditions,
  compileConstraints,
  compileExpression,
  operators,
} from './conditions/index.ts';
import { seniorities } from './decision/seniority.ts';

/** GraphQL leaves out what is not given and says null for what is taken away. */
const absent = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined) as unknown as z.ZodOptional<Schema>;

const names = (max: number, length = 200) => z.array(text({ min: 1, max: length })).max(max);
const lower = <const Value extends string>(values: readonly Value[]) =>
  z
    .string()
    .transform((value) => value.toLowerCase() as Value)
    .refine((value) => values.includes(value));

const scalar = z.union([text({ max: 1_000 }), z.number(), z.boolean()]);
const expectation = z.union([scalar, z.array(scalar).max(100)]);
const expectations = z.union([names(100), z.record(text({ max: 200 }), expectation)]);
const seniority = z.enum(seniorities);
const clearance = z.enum(['public', 'internal', 'confidential', 'secret', 'top_secret']);

/** Conditions as clients write them: nothing beside these parts, expressions in the grammar of their own. */
export const conditions = z.strictObject({
  timeBased: z
    .strictObject({
      start: text({ max: 40 }).optional(),
      end: text({ max: 40 }).optional(),
      timezone: text({ max: 64 }).optional(),
      daysOfWeek: z.array(z.number().int().min(0).max(6)).max(7).optional(),
    })
    .optional(),
  locationBased: z
    .strictObject({
      allowedIpRanges: names(100, 64).optional(),
      geo: z
        .strictObject({
          countries: names(250, 2).optional(),
          within: z.strictObject({ latitude: z.number(), longitude: z.number(), radiusKm: z.number() }).optional(),
        })
        .optional(),
    })
    .optional(),
  contextBased: z
    .strictObject({ requiredAttributes: expectations.optional(), forbiddenAttributes: expectations.optional() })
    .optional(),
  attributes: z
    .array(
      z.strictObject({
        attribute: text({ min: 1, max: 200 }),
        operator: z.enum(operators),
        value: expectation.optional(),
      }),
    )
    .max(50)
    .optional(),
  minClearance: clearance.optional(),
  expression: text({ min: 1, max: 2_000 }).optional(),
});

export const constraints = z.strictObject({
  resourceTypes: names(100).optional(),
  resourceIds: names(1_000).optional(),
  actions: names(100).optional(),
  contextIds: z.array(id).max(1_000).optional(),
  planIds: z.array(id).max(1_000).optional(),
  limits: z.record(text({ max: 200 }), z.number()).optional(),
  conditions: conditions.optional(),
});

const word = z.string().regex(/^(\*|[A-Za-z0-9_-]{1,64})$/, 'expected 1 to 64 letters, digits, _ and -, or *');

const permission = z.strictObject({
  permissionId: absent(text({ min: 1, max: 64 })),
  resourceType: word,
  resourceId: absent(text({ min: 1, max: 128 })),
  actions: z.array(word).min(1).max(50),
  effect: lower(['allow', 'deny']),
  scope: absent(
    z.strictObject({
      contextIds: z.array(id).max(1_000).optional(),
      planIds: z.array(id).max(1_000).optional(),
      relation: z.enum(['own', 'assigned', 'department']).optional(),
    }),
  ),
  conditions: absent(conditions),
  approvalRequired: absent(
    z.strictObject({
      forActions: names(50, 64).optional(),
      threshold: z.number().int().min(1).max(100).optional(),
      approverRoles: names(50).optional(),
    }),
  ),
  validFrom: absent(z.date()),
  expiresAt: absent(z.date()),
});

export type PermissionInput = z.output<typeof permission>;

const inheritance = z.strictObject({
  roleId: id,
  type: lower(['full', 'partial', 'conditional']),
  excludedPermissions: absent(names(100)),
  conditions: absent(conditions),
});

const inheritanceRules = z.strictObject({
  mergeStrategy: lower(['union', 'intersection', 'priority', 'custom']),
  conflictResolution: lower(['deny', 'allow', 'escalate', 'most_restrictive', 'least_restrictive']),
  maxDepth: z.number().int().min(1).max(10),
});

const level = lower(['beginner', 'intermediate', 'advanced', 'expert', 'master']);
export const requiredCapability = z.strictObject({
  name: text({ min: 1, max: 200 }),
  level,
  weight: z.number().positive().max(1_000),
});
export const optionalId = absent(id);

const separation = z.strictObject({
  conflictingRoles: z.array(id).min(1).max(50),
  severity: lower(['warning', 'error', 'critical']),
  exceptionApprovalRequired: z.boolean(),
  kind: lower(['static', 'dynamic']),
  scope: lower(['tenant', 'context']),
});
const assignmentRule = z.strictObject({
  condition: absent(text({ min: 1, max: 2_000 })),
  action: lower(['allow', 'deny', 'require_approval']),
  approverRoles: absent(names(50)),
});

const delegationRules = z.strictObject({
  allowed: z.boolean(),
  maxDepth: z.number().int().min(1).max(3),
  maxHours: absent(z.number().positive().max(8_784)),
  requiresApproval: z.boolean(),
  approverRoles: absent(names(50)),
});

export const roleName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, _ and -');
const attributes = jsonObject({ maxBytes: 65_536 }).superRefine((value, context) => {
  const given = value['securityClearance'];
  if (given !== undefined && !clearance.safeParse(given).success)
    context.addIssue({ code: 'custom', path: ['securityClearance'], message: 'expected a clearance' });
  if (value['seniority'] !== undefined && !seniority.safeParse(value['seniority']).success)
    context.addIssue({ code: 'custom', path: ['seniority'], message: `expected one of ${seniorities.join(', ')}` });
  if (value['department'] !== undefined && !text({ min: 1, max: 255 }).safeParse(value['department']).success)
    context.addIssue({ code: 'custom', path: ['department'], message: 'expected a name' });
  for (const name of ['certificationRequirements', 'certifications'])
    if (value[name] !== undefined && !names(100).safeParse(value[name]).success)
      context.addIssue({ code: 'custom', path: [name], message: 'expected a list of at most 100 names' });
});

const content = {
  displayName: text({ max: 255 }).nullish(),
  description: text({ max: 10_000 }).nullish(),
  securityLevel: absent(lower(['low', 'medium', 'high', 'critical'])),
  permissions: absent(z.array(permission).max(100)),
  // How many there may be says the hierarchy, with a code of its own.
  parents: absent(z.array(inheritance).max(100)),
  inheritanceRules: inheritanceRules.nullish(),
  capabilityProfiles: absent(z.array(requiredCapability).max(100)),
  attributes: absent(attributes),
  separationOfDuties: absent(z.array(separation).max(50)),
  assignmentRules: absent(z.array(assignmentRule).max(50)),
  delegationRules: delegationRules.nullish(),
  constraints: constraints.nullish(),
  maxHolders: z.number().int().min(1).max(10_000).nullish(),
  effectiveAt: z.date().nullish(),
  expiresAt: z.date().nullish(),
  reviewEveryDays: z.number().int().min(1).max(3_650).nullish(),
  governance: absent(
    z.strictObject({
      lifecyclePhase: text({ max: 200 }).optional(),
      truthDomain: text({ max: 200 }).optional(),
      locked: z.boolean().optional(),
    }),
  ),
};

export const createRole = z.strictObject({
  ...content,
  name: roleName,
  roleType: lower(['system', 'organizational', 'functional', 'project', 'temporary']),
  scope: absent(
    z.strictObject({
      level: lower(['global', 'organization', 'project', 'team', 'individual']),
      contextIds: absent(z.array(id).min(1).max(1_000)),
      planIds: absent(z.array(id).min(1).max(1_000)),
    }),
  ),
  idempotencyKey: absent(idempotencyKey),
});

export type CreateRoleInput = z.output<typeof createRole>;

export const rolePatch = z.strictObject({ ...content, name: absent(roleName) });

export type RolePatch = z.output<typeof rolePatch>;

export const subjectId = text({ min: 1, max: 255 });
export const reason = text({ max: 2_000 }).nullish();
export const optionalKey = absent(idempotencyKey);

export const assignRole = z.strictObject({
  roleId: id,
  subjectId,
  contextId: absent(id),
  type: lower(['manual', 'automatic', 'temporary']),
  validFrom: absent(z.date()),
  expiresAt: absent(z.date()),
  constraints: absent(constraints),
  reason,
  requestException: z.boolean(),
  idempotencyKey: optionalKey,
});

export type AssignRoleInput = z.output<typeof assignRole>;

/** What may be changed of an assignment before it is made. */
export const assignmentTerms = z.object({ constraints: absent(constraints), reason });

export type AssignmentTerms = z.output<typeof assignmentTerms>;

export const delegateInput = z.strictObject({
  delegateId: subjectId,
  permissions: z
    .array(text({ min: 1, max: 260 }))
    .min(1)
    .max(100),
  contextId: absent(id),
  startsAt: absent(z.date()),
  endsAt: z.date(),
  maxDepth: z.number().int().min(1).max(3),
  reason,
  idempotencyKey: optionalKey,
});

export const subjectPatch = z.strictObject({
  type: absent(lower(['agent', 'human', 'service'])),
  displayName: text({ max: 255 }).nullish(),
  attributes: absent(attributes),
  capabilities: absent(
    z
      .array(
        z.strictObject({
          name: text({ min: 1, max: 200 }),
          level,
          verified: z.boolean(),
          certifications: absent(names(100)),
          lastUsedAt: absent(z.date().transform((date) => date.toISOString())),
        }),
      )
      .max(200),
  ),
});

export const checkPermission = z.strictObject({
  subjectId: absent(subjectId),
  contextId: absent(id),
  planId: absent(id),
  action: text({ min: 1, max: 64 }),
  resource: z.strictObject({
    type: text({ min: 1, max: 64 }),
    id: absent(text({ min: 1, max: 128 })),
    attributes: absent(jsonObject({ maxBytes: 65_536 })),
  }),
  environment: absent(jsonObject({ maxBytes: 65_536 })),
  options: z.strictObject({ explain: z.boolean().nullish(), timeoutMs: z.number().int().min(1).nullish() }).nullish(),
});

export type CheckPermissionInput = z.output<typeof checkPermission>;

/** @throws {INVALID_PERMISSION} when a condition makes no sense: it is compiled here, and what calls code is no expression. */
export function requireConditions(given: Conditions | undefined, path: readonly (string | number)[]): void {
  if (given !== undefined) compiled(() => compileConditions(given), [...path, 'conditions']);
}

export function requireConstraints(given: Constraints | null | undefined, path: readonly (string | number)[]): void {
  if (given != null) compiled(() => compileConstraints(given), [...path, 'constraints']);
}

export function requireExpression(given: string | undefined, path: readonly (string | number)[]): void {
  if (given !== undefined) compiled(() => compileExpression(given), [...path, 'condition']);
}

function compiled(compile: () => unknown, path: readonly (string | number)[]): void {
  try {
    compile();
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    throw new PlatformError('INVALID_PERMISSION', `${path.join('.')}: ${error.message}`, {
      path,
      ...(error.position === undefined ? {} : { details: { position: error.position } }),
    });
  }
}
