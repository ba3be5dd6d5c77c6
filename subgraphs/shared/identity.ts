import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { PlatformError } from './errors.ts';
import { createLru } from './lru.ts';
import { createPrincipal, type Principal } from './principal.ts';

/** HTTP header in which the gateway tells a subgraph who asks. */
export const identityHeader = 'x-mplp-identity';

const lifeMs = 60_000;
const reuseMs = 30_000;
/** How far the clock of the gateway's machine may run ahead of the subgraph's. */
const skewMs = 10_000;
const maxIdentityBytes = 16_384;
const minSecretLength = 32;
/** Identities whose signature was verified, kept by their bytes while they last: a principal comes with many requests. */
const maxVerified = 10_000;

const payloadSchema = z.strictObject({
  v: z.literal(1),
  iat: z.number().int(),
  tenant: z.string().min(1).max(128),
  sub: z.string().min(1).max(128),
  type: z.enum(['agent', 'human', 'service']),
  name: z.string().optional(),
  roles: z.array(z.string()),
  scopes: z.array(z.string()),
  exp: z.number().optional(),
  jti: z.string().optional(),
  issued: z.number().optional(),
  stepUp: z.number().optional(),
  bounded: z.literal(true).optional(),
});

export interface IdentitySigner {
  /** Signs for 60 s; the same principal object gets the same text for 30 s. */
  sign(principal: Principal, nowMs?: number): string;
  /**
   * Reads a signed identity.
   * @throws {UNAUTHENTICATED} when it is missing, oversized, not signed by the gateway, or older than 60 s.
   */
  verify(header: string | undefined, nowMs?: number): Principal;
}

function refuse(): never {
  throw new PlatformError('UNAUTHENTICATED', 'the subgraph answers only requests signed by the gateway');
}

function deriveKey(secret: string): KeyObject {
  if (secret.length < minSecretLength)
    throw new Error(`internal secret: expected at least ${minSecretLength} characters, got ${secret.length}`);
  // Derived, so that another use of the same secret cannot produce a signature that counts here.
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'mplp internal identity v1', 32)));
}

function serialise(principal: Principal, nowMs: number): string {
  const payload: z.input<typeof payloadSchema> = {
    v: 1,
    iat: nowMs,
    tenant: principal.tenantId,
    sub: principal.subject,
    type: principal.subjectType,
    name: principal.displayName,
    roles: [...principal.roles],
    scopes: [...principal.scopes],
    exp: principal.expiresAtMs,
    jti: principal.tokenId,
    issued: principal.issuedAtMs,
    stepUp: principal.steppedUpUntilMs,
    bounded: principal.isBounded,
  };
  return Buffer.from(JSON.stringify(payload)).toString('base64url');
}

function readPayload(text: string): z.output<typeof payloadSchema> {
  try {
    return payloadSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch {
    return refuse();
  }
}

/**
 * Carries a principal from the gateway to subgraphs as `base64url(JSON).base64url(HMAC-SHA256)`.
 * The first secret signs, all of them verify: a secret is rotated by adding the new one in front.
 * @throws {Error} when a secret has fewer than 32 characters.
 */
export function createIdentitySigner(secrets: string | readonly [string, ...string[]]): IdentitySigner {
  const keys = (typeof secrets === 'string' ? [secrets] : secrets).map(deriveKey);
  const signingKey = keys[0]!;
  const verified = createLru<{ readonly principal: Principal; readonly iat: number }>(maxVerified);
  const signed = new WeakMap<Principal, { text: string; signedAtMs: number }>();
  const mac = (key: KeyObject, body: string) => createHmac('sha256', key).update(body).digest();

  return {
    sign(principal, nowMs = Date.now()) {
      const known = signed.get(principal);
      if (known && nowMs >= known.signedAtMs && nowMs - known.signedAtMs < reuseMs) return known.text;
      const body = serialise(principal, nowMs);
      const text = `${body}.${mac(signingKey, body).toString('base64url')}`;
      signed.set(principal, { text, signedAtMs: nowMs });
      return text;
    },
    verify(header, nowMs = Date.now()) {
      if (!header || header.length > maxIdentityBytes) return refuse();
      let known = verified.get(header);
      if (known === undefined) {
        const dot = header.indexOf('.');
        if (dot <= 0) return refuse();
        const body = header.slice(0, dot);
        const given = Buffer.from(header.slice(dot + 1), 'base64url');
        if (given.length !== 32 || !keys.some((key) => timingSafeEqual(mac(key, body), given))) return refuse();
        const payload = readPayload(body);
        known = { principal: principalOf(payload), iat: payload.iat };
        verified.set(header, known);
      }
      if (nowMs - known.iat >= lifeMs || known.iat - nowMs > skewMs) {
        verified.delete(header);
        return refuse();
      }
      return known.principal;
    },
  };
}

function principalOf(payload: z.output<typeof payloadSchema>): Principal {
  return createPrincipal({
    tenantId: payload.tenant,
    subject: payload.sub,
    subjectType: payload.type,
    roles: payload.roles,
    scopes: payload.scopes,
    ...(payload.name === undefined ? {} : { displayName: payload.name }),
    ...(payload.exp === undefined ? {} : { expiresAtMs: payload.exp }),
    ...(payload.jti === undefined ? {} : { tokenId: payload.jti }),
    ...(payload.issued === undefined ? {} : { issuedAtMs: payload.issued }),
    ...(payload.stepUp === undefined ? {} : { steppedUpUntilMs: payload.stepUp }),
    ...(payload.bounded === undefined ? {} : { isBounded: true }),
  });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/**
 * Reads a secret file, or creates it (mode 600) when there is none. It appears whole or not at all, and of several
 * processes that create it at once all return the content of the one that came first. For use at start: it blocks.
 */
export function readOrCreateSecretFile(path: string, create: () => string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  // Of ordinary mode: the embedded database, run by another user, shares the data folder.
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(draft, create(), { flag: 'wx', mode: 0o600, flush: true });
    // Unlike rename, link fails when the name is taken.
    linkSync(draft, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(path, 'utf8');
}

export interface InternalSecretOptions {
  /** Value of INTERNAL_SECRET; it wins over the file. */
  readonly value?: string | undefined;
  readonly dataDir: string;
}

/**
 * The secret that gateway and subgraphs share: as given, or `<dataDir>/internal.key`, made at the first start.
 * @throws {Error} when the file exists but holds fewer than 32 characters.
 */
export function loadInternalSecret({ value, dataDir }: InternalSecretOptions): string {
  if (value !== undefined) return value;
  const path = join(dataDir, 'internal.key');
  const secret = readOrCreateSecretFile(path, () => `${randomBytes(48).toString('base64url')}\n`).trim();
  if (secret.length < minSecretLength) {
    throw new Error(`${path}: expected at least ${minSecretLength} characters; remove the file to have it made anew`);
  }
  return secret;
}
