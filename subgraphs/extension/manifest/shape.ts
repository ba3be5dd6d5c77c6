import semver from 'semver';
import { z } from 'zod';
import { maxExpressionLength } from '#shared/conditions/expression/tokenizer.ts';
import { jsonObject, text } from '#shared/validation.ts';
import { hookPoints } from '../hookPoints.ts';
import { maxStateBytes } from '../host/stateBounds.ts';
import { conditionProblem, maxConditions } from './conditions.ts';
import { schemaProblem } from './jsonSchemas.ts';
import { isShortForm, ownResources, type Permission } from './permissions.ts';

const label = text({ min: 1, max: 200 });
/** Names of methods and exports; those that every object has are none. */
const identifier = z
  .string()
  .regex(/^[A-Za-z_$][\w$]{0,99}$/, 'expected an identifier')
  .refine((name) => !(name in Object.prototype), 'expected a name of its own');
const range = text({ min: 1, max: 200 }).refine(
  (value) => semver.validRange(value) !== null,
  'expected a SemVer range',
);
const version = text({ max: 100 }).refine((value) => semver.valid(value) !== null, 'expected a SemVer version');
const schema = jsonObject({ maxBytes: 65_536, maxDepth: 16 }).superRefine((value, context) => {
  const problem = schemaProblem(value);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

export const method = z.object({
  method_name: identifier,
  description: text({ max: 2_000 }).nullish(),
  input_schema: schema.nullish(),
  output_schema: schema.nullish(),
  error_codes: z
    .array(z.string().regex(/^[A-Z][A-Z0-9_]{0,99}$/, 'expected SCREAMING_SNAKE'))
    .max(50)
    .default([]),
  pure: z.boolean().default(false),
});

export const interfaceShape = z.object({
  interface_name: label,
  version: version.default('1.0.0'),
  methods: z.array(method).min(1).max(50),
});

export const capability = z.object({
  name: text({ min: 1, max: 100 }),
  description: text({ max: 2_000 }).nullish(),
  version: version.default('1.0.0'),
  type: label.default('capability'),
  interfaces: z.array(interfaceShape).min(1).max(20),
});

const condition = z
  .string()
  .min(1)
  .max(maxExpressionLength)
  .superRefine((text, context) => {
    const problem = conditionProblem(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: `no condition: ${problem}` });
  });

const structuredPermission = z.strictObject({
  resource: z.string().regex(/^[a-z][a-z_]{0,49}$/, 'expected a resource'),
  actions: z
    .array(z.string().regex(/^[a-z][a-z_]{0,49}$/, 'expected an action'))
    .min(1)
    .max(20),
  scope: z.enum(['global', 'context', 'local']).default('context'),
  conditions: z.array(condition).max(maxConditions).optional(),
});

const permission = z
  .union([
    z
      .string()
      .refine(isShortForm, 'expected module:action')
      .transform((pair): Permission => {
        const [resource, action] = pair.split(':') as [string, string];
        return { resource, actions: [action], scope: 'context' };
      }),
    structuredPermission.transform(
      ({ resource, actions, scope, conditions = [] }): Permission => ({
        ...{ resource, actions, scope },
        ...(conditions.length > 0 && { conditions }),
      }),
    ),
  ])
  .superRefine(({ resource, scope }, { addIssue }) => {
    const refuse = (message: string) => addIssue({ code: 'custom', path: ['scope'], message });
    if (scope === 'global') refuse('expected context: no extension reaches beyond the context that it lies in');
    if (scope === 'local' && !ownResources.includes(resource))
      refuse(`expected context: of an extension's own are ${ownResources.join(' and ')} alone`);
  });

export const hookScript = z.object({
  /** A method of the main class. */
  script: identifier,
  timeout_seconds: z.number().positive().max(60).default(10),
  required: z.boolean().default(true),
  interval_seconds: z.number().min(30).max(86_400).optional(),
});

export const runtimeRequirements = z.object({
  node_version: range.optional(),
  mplp_version: range.optional(),
  platform: z.array(label).max(20).optional(),
  architecture: z.array(label).max(20).optional(),
});

export const resourceRequirements = z.object({
  memory_limit: z.number().int().min(1).max(64).optional(),
  cpu_limit: z.number().min(0.01).max(1, 'expected at most 1 core: a sandbox is one thread').optional(),
  // MiB, as of memory.
  storage_limit: z
    .number()
    .positive()
    .max(maxStateBytes / 1_048_576, 'expected at most 1 MiB: that much state is kept')
    .optional(),
  network_bandwidth: z.literal(0, 'expected 0: a sandbox has no network').optional(),
  gpu_required: z.literal(false, 'expected false: a sandbox has no GPU').optional(),
});

export const securityRequirements = z.object({
  permissions: z.array(permission).max(50).default([]),
  sandbox_enabled: z.literal(true, 'expected true: everything runs in a sandbox').default(true),
  network_access: z.literal(false, 'expected false: a sandbox has no network').default(false),
  file_system_access: z
    .union([z.literal(false), z.literal('none')], 'expected none: a sandbox has no files')
    .default('none'),
  environment_variables: z.array(z.unknown()).max(0, 'expected none: a sandbox has no environment').optional(),
  secrets_required: z.array(z.unknown()).max(0, 'expected none: no secret is handed to a sandbox').optional(),
});

export const compatibility = z.object({
  mplp_version: range.optional(),
  required_modules: z.array(label).max(20).default([]),
  optional_modules: z.array(label).max(20).default([]),
});

export const dependency = z.object({
  name: text({ min: 1, max: 100 }),
  version: range,
  type: z.enum(['runtime', 'peer', 'extension', 'library', 'service']).default('extension'),
  optional: z.boolean().default(false),
});

export const hook = z.object({
  point: z.enum(hookPoints.map(({ point }) => point) as [string, ...string[]]),
  phase: z.enum(['before', 'after']),
  method: identifier,
  priority: z.number().int().min(0).max(1_000).default(100),
  required: z.boolean().default(false),
});

export const manifestShape = z.object({
  manifest_version: z
    .string()
    .regex(/^1(\.\d+)*$/, 'expected version 1')
    .default('1.0'),
  entry_point: z.string().regex(/^[\w./-]{1,200}\.m?js$/, 'expected the name of a .js or .mjs file'),
  main_class: identifier,
  runtime: z.literal('javascript', 'expected javascript: nothing else runs here').default('javascript'),
  runtime_requirements: runtimeRequirements.loose().optional(),
  configuration_schema: schema.nullish(),
  capabilities: z.array(capability).min(1).max(50),
  dependencies: z.array(dependency).max(50).default([]),
  resource_requirements: resourceRequirements.loose().optional(),
  security_requirements: securityRequirements
    .loose()
    .default({ permissions: [], sandbox_enabled: true, network_access: false, file_system_access: 'none' }),
  lifecycle_hooks: z
    .partialRecord(
      z.enum([
        'pre_install',
        'post_install',
        'pre_activate',
        'post_activate',
        'pre_deactivate',
        'post_deactivate',
        'pre_uninstall',
        'post_uninstall',
        'health_check',
      ]),
      hookScript,
    )
    .default({}),
  compatibility: compatibility.default({ required_modules: [], optional_modules: [] }),
  hooks: z.array(hook).max(50).default([]),
});
