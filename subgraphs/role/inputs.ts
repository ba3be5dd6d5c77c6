import { z } from 'zod';
import { id, idempotencyKey, jsonObject, text } from '#shared/validation.ts';
import { approvalRule, clearance, conditions, constraints, permissionScope } from './conditionInputs.ts';
import { seniorities } from './decision/seniority.ts';
import { absent, defined, lower } from './givenValue.ts';

const names = (max: number, length = 200) => z.array(text({ min: 1, max: length })).max(max);

const word = z.string().regex(/^(\*|[A-Za-z0-9_-]{1,64})$/, 'expected 1 to 64 letters, digits, _ and -, or *');

const permission = z.strictObject({
  permissionId: absent(text({ min: 1, max: 64 })),
  resourceType: word,
  resourceId: absent(text({ min: 1, max: 128 })),
  actions: z.array(word).min(1).max(50),
  effect: lower(['allow', 'deny']),
  scope: absent(permissionScope),
  conditions: absent(conditions),
  approvalRequired: absent(approvalRule),
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
export const depth = z.number().int().min(0).nullish();

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
const namedAttributes = {
  securityClearance: absent(clearance),
  department: absent(text({ min: 1, max: 255 })),
  seniority: absent(lower(seniorities)),
  custom: absent(
    jsonObject({ maxBytes: 65_536 }).superRefine((custom, context) => {
      for (const name of [
        'securityClearance',
        'department',
        'seniority',
        'certificationRequirements',
        'certifications',
      ])
        if (Object.hasOwn(custom, name))
          context.addIssue({ code: 'custom', path: [name], message: 'expected beside custom, not in it' });
    }),
  ),
};

/** Those that have a meaning and any others beside them under names of their own: stored as one object. */
function joined({ custom, ...named }: { readonly custom?: object | undefined }): Readonly<Record<string, unknown>> {
  return { ...custom, ...defined(named) };
}

const roleAttributes = z
  .strictObject({ ...namedAttributes, certificationRequirements: absent(names(100)) })
  .transform(joined);
const subjectAttributes = z.strictObject({ ...namedAttributes, certifications: absent(names(100)) }).transform(joined);

const content = {
  displayName: text({ max: 255 }).nullish(),
  description: text({ max: 10_000 }).nullish(),
  securityLevel: absent(lower(['low', 'medium', 'high', 'critical'])),
  permissions: absent(z.array(permission).max(100)),
  // How many there may be says the hierarchy, with a code of its own.
  parents: absent(z.array(inheritance).max(100)),
  inheritanceRules: inheritanceRules.nullish(),
  capabilityProfiles: absent(z.array(requiredCapability).max(100)),
  attributes: absent(roleAttributes),
  separationOfDuties: absent(z.array(separation).max(50)),
  assignmentRules: absent(z.array(assignmentRule).max(50)),
  delegationRules: delegationRules.nullish(),
  constraints: constraints.nullish(),
  maxHolders: z.number().int().min(1).max(10_000).nullish(),
  autoAssign: absent(z.boolean()),
  effectiveAt: z.date().nullish(),
  expiresAt: z.date().nullish(),
  reviewEveryDays: z.number().int().min(1).max(3_650).nullish(),
  governance: absent(
    z
      .strictObject({
        lifecyclePhase: absent(text({ max: 200 })),
        truthDomain: absent(text({ max: 200 })),
        locked: absent(z.boolean()),
      })
      .transform(defined),
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
  type: lower(['manual', 'temporary']),
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
  attributes: absent(subjectAttributes),
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

const question = {
  contextId: absent(id),
  planId: absent(id),
  action: text({ min: 1, max: 64 }),
  resource: z.strictObject({
    type: text({ min: 1, max: 64 }),
    id: absent(text({ min: 1, max: 128 })),
    attributes: absent(jsonObject({ maxBytes: 65_536 })),
  }),
  environment: absent(jsonObject({ maxBytes: 65_536 })),
};

export const checkPermission = z.strictObject({
  ...question,
  subjectId: absent(subjectId),
  options: z.strictObject({ explain: z.boolean().nullish(), timeoutMs: z.number().int().min(1).nullish() }).nullish(),
});

/** The time is that of the request itself. */
export const requestPermission = z.strictObject({
  ...question,
  contextId: absent(id),
  environment: question.environment.refine(
    (environment) => environment === undefined || !Object.hasOwn(environment, 'time'),
    'expected no time: it is that of the request',
  ),
  reason,
  endsAt: absent(z.date()),
  idempotencyKey: optionalKey,
});

export type CheckPermissionInput = z.output<typeof checkPermission>;
