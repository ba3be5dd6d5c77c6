import semver from 'semver';
import { z } from 'zod';
import { id, idempotencyKey, json, jsonObject, text } from '#shared/validation.ts';
import { maxPackageBytes, packageFormats } from './packages/readPackage.ts';

export const maxBundleBytes = 1_048_576;

const label = text({ min: 1, max: 255 });
const url = text({ min: 1, max: 2_000 }).refine(
  (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
  'expected an http(s) URL',
);
export const version = text({ min: 1, max: 100 }).refine(
  (value) => semver.valid(value, { loose: false }) === value || semver.parse(value)?.raw === value,
  'expected a SemVer version',
);
/** Secrets do not belong into what everyone of the tenant reads and every export shows. */
const secretName = /(secret|password|passwd|token|api_?key|private_?key|credential)/i;
export const config = jsonObject({ maxBytes: 65_536 }).superRefine((value, context) => {
  const named = (node: unknown, path: readonly string[]): readonly string[] | null => {
    if (typeof node !== 'object' || node === null) return null;
    for (const [key, item] of Object.entries(node)) {
      if (secretName.test(key) && typeof item === 'string' && item !== '') return [...path, key];
      const found = named(item, [...path, key]);
      if (found) return found;
    }
    return null;
  };
  const found = named(value, []);
  if (found) context.addIssue({ code: 'custom', path: [...found], message: 'expected no secret: settings are public' });
});

export const settings = z.object({
  autoStart: z.boolean().nullish(),
  maxMemoryMb: z.number().int().min(1).max(64).nullish(),
  maxCpuPercent: z.number().int().min(1).max(100).nullish(),
  monitoringLevel: z
    .enum(['NONE', 'BASIC', 'DETAILED', 'COMPREHENSIVE'])
    .transform((level) => level.toLowerCase() as Lowercase<typeof level>)
    .nullish(),
  initializationTimeoutMs: z.number().int().min(100).max(30_000).nullish(),
  operationTimeoutMs: z.number().int().min(10).max(60_000).nullish(),
  shutdownTimeoutMs: z.number().int().min(0).max(60_000).nullish(),
});

/** Base64 of RFC 4648, padded. */
const packageContent = z
  .string()
  .min(1)
  .max(Math.ceil(maxPackageBytes / 3) * 4, `expected at most ${maxPackageBytes} bytes`)
  .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'expected base64')
  .refine((value) => value.length % 4 === 0, 'expected base64');

const release = z
  .object({
    manifest: z.unknown().optional(),
    bundle: text({ min: 1, maxBytes: maxBundleBytes }).nullish(),
    package: z.object({ format: z.enum(packageFormats), content: packageContent }).nullish(),
    checksum: z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in lower-case hex'),
    // Of an RSA key of 4,096 bits 684 letters.
    signature: text({ min: 1, max: 1_000 }).nullish(),
    keyId: id.nullish(),
  })
  .refine((given) => (given.bundle == null) !== (given.package == null), 'expected a bundle or a package')
  .refine((given) => (given.manifest == null) === (given.bundle == null), {
    message: 'expected a manifest beside a bundle; a package has its own',
    path: ['manifest'],
  });

export type ReleaseInput = z.output<typeof release>;

const optional = (max: number) => text({ min: 1, max }).nullish();

export const registerExtension = z.object({
  contextId: id,
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'expected lower-case letters, digits, dots, hyphens and underscores'),
  extensionType: z.enum(['CAPABILITY', 'POLICY', 'INTEGRATION', 'TRANSFORMATION', 'VALIDATION', 'OTHER']),
  version,
  displayName: optional(200),
  description: optional(20_000),
  category: optional(100),
  keywords: z
    .array(text({ min: 1, max: 50 }))
    .max(50)
    .nullish(),
  license: optional(100),
  homepage: url.nullish(),
  repository: url.nullish(),
  config: config.nullish(),
  release,
  idempotencyKey: idempotencyKey.nullish(),
});

export const publishVersion = z.object({
  extensionId: id,
  version,
  release,
  idempotencyKey: idempotencyKey.nullish(),
});

const expectedVersion = z.number().int().nullish();

export const installExtension = z.object({
  extensionId: id,
  releaseId: id.nullish(),
  config: config.nullish(),
  settings: settings.nullish(),
  expectedVersion,
  idempotencyKey: idempotencyKey.nullish(),
});

export const loadExtension = z.object({
  extensionId: id,
  config: config.nullish(),
  grants: z
    .array(text({ min: 1, max: 200 }))
    .max(100)
    .nullish(),
  integrationTargets: z
    .array(z.object({ module: text({ min: 1, max: 50 }), configuration: config.nullish() }))
    .max(10)
    .refine((list) => new Set(list.map(({ module }) => module)).size === list.length, 'expected each module once')
    .nullish(),
  expectedVersion,
  idempotencyKey: idempotencyKey.nullish(),
});

export const updateConfig = z.object({
  extensionId: id,
  config: config.nullish(),
  settings: settings.nullish(),
  expectedVersion,
  idempotencyKey: idempotencyKey.nullish(),
});

export const executeExtension = z.object({
  extensionId: id,
  capabilityId: id,
  method: text({ min: 1, max: 100 }),
  parameters: json({ maxBytes: 262_144 }).nullish(),
  context: z.object({ contextId: id.nullish(), sessionId: optional(255), requestId: optional(255) }).nullish(),
  options: z
    .object({
      timeoutMs: z.number().int().min(1).max(60_000).nullish(),
      cacheResult: z.boolean().nullish(),
      cacheTtl: z.number().int().min(1).max(86_400).nullish(),
    })
    .nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type ExecuteInput = z.output<typeof executeExtension>;

export const runHooks = z.object({
  contextId: id,
  point: text({ min: 1, max: 100 }),
  // The largest message there is, with what stands around it: what is too long to be looked at would pass.
  payload: json({ maxBytes: 1_310_720 }),
  timeoutMs: z.number().int().min(1).max(10_000).nullish(),
});

export const hotReload = z.object({
  extensionId: id,
  releaseId: id,
  force: z.boolean().nullish(),
  drainTimeoutMs: z.number().int().min(0).max(60_000).nullish(),
  expectedVersion,
  idempotencyKey: idempotencyKey.nullish(),
});

export const requestApproval = z.object({
  extensionId: id,
  purpose: z.enum(['LEAVE_QUARANTINE', 'WIDEN_PERMISSIONS']),
  releaseId: id.nullish(),
  reason: optional(5_000),
  approvers: z.array(label).max(100).nullish(),
  approverRoles: z.array(label).max(100).nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const registerKey = z.object({
  publisherId: label,
  name: label,
  email: z.email().max(254).nullish(),
  website: url.nullish(),
  publicKey: text({ min: 1, max: 2_000 }),
  trustLevel: z.enum(['UNTRUSTED', 'LOW', 'MEDIUM', 'HIGH', 'VERIFIED']),
  idempotencyKey: idempotencyKey.nullish(),
});

export const reason = text({ min: 1, max: 2_000 });
