import type { Principal, PrincipalInput } from '#shared/principal.ts';
import { textProblem } from '#shared/validation.ts';
import { scopesOfRoles } from './roleScopes.ts';

export type Claims = Readonly<Record<string, unknown>>;

export interface ClaimRules {
  readonly issuer: string;
  readonly audience: string;
  readonly clockToleranceSeconds: number;
  /** Longest life of a token, from its `iat` and from now on. */
  readonly maxLifeSeconds: number;
  /** Whether a token without `jti`, which cannot be revoked by itself, is refused. */
  readonly requiresTokenId: boolean;
  /** What counts as a stepped-up authentication. @default nothing does */
  readonly stepUp?: StepUpRules;
}

/** RFC 9470: how strong an authentication has to be, and how fresh. */
export interface StepUpRules {
  /** Values of `acr` that count. */
  readonly acr: readonly string[];
  readonly maxAgeSeconds: number;
}

/** Why claims were refused: for our log, never for the caller. */
export type ClaimProblem =
  | 'issuer'
  | 'audience'
  | 'expiry-missing'
  | 'expired'
  | 'lives-too-long'
  | 'id-missing'
  | 'not-yet-valid'
  | 'time-malformed'
  | 'subject'
  | 'tenant'
  | 'roles'
  | 'scope'
  | 'subject-type'
  | 'name'
  | 'identifier';

const identifierPattern = /^[A-Za-z0-9._:@-]{1,128}$/;
const scopePattern = /^(?:\*|(?:\*|[A-Za-z0-9._-]{1,64}):(?:\*|[A-Za-z0-9._-]{1,64}))$/;
const maxRoles = 50;
const maxNameBytes = 512;
const maxTokenIdBytes = 255;
/** 9999-12-31: a later end is no time that `Date` and PostgreSQL both know. */
const maxEpochSeconds = 253_402_300_799;

export function isIdentifier(value: unknown): value is string {
  return typeof value === 'string' && identifierPattern.test(value);
}

export function isScope(value: string): boolean {
  return scopePattern.test(value);
}

/** Whole seconds as jose compares them: a token ends when its `exp` plus the tolerance is reached. */
export function isExpired(expSeconds: number, nowMs: number, clockToleranceSeconds: number): boolean {
  return expSeconds <= Math.floor(nowMs / 1_000) - clockToleranceSeconds;
}

/** Checks `iss`, `aud`, `exp`, `nbf`, `iat` and that there is a `jti` (RFC 7519 4.1); null when they hold. */
export function registeredClaimProblem(claims: Claims, rules: ClaimRules, nowMs: number): ClaimProblem | null {
  const { iss, aud, exp, nbf, iat, jti } = claims;
  if (iss !== rules.issuer) return 'issuer';
  if (!(aud === rules.audience || (Array.isArray(aud) && aud.includes(rules.audience)))) return 'audience';
  if (exp === undefined) return 'expiry-missing';
  if (typeof exp !== 'number' || exp > maxEpochSeconds) return 'time-malformed';
  if (iat !== undefined && typeof iat !== 'number') return 'time-malformed';
  if (jti === undefined && rules.requiresTokenId) return 'id-missing';
  const nowSeconds = Math.floor(nowMs / 1_000);
  // From now on, too: an `iat` that is missing or to come must not lengthen a life.
  const begins = Math.min(iat ?? nowSeconds, nowSeconds + rules.clockToleranceSeconds);
  if (exp - begins > rules.maxLifeSeconds + (iat === undefined ? rules.clockToleranceSeconds : 0))
    return 'lives-too-long';
  if (nbf !== undefined) {
    if (typeof nbf !== 'number') return 'time-malformed';
    if (nbf > nowSeconds + rules.clockToleranceSeconds) return 'not-yet-valid';
  }
  return isExpired(exp, nowMs, rules.clockToleranceSeconds) ? 'expired' : null;
}

function isSubjectType(value: unknown): value is Principal['subjectType'] {
  return value === 'agent' || value === 'human' || value === 'service';
}

/** Permissions of the `scope` claim; what is none (`openid`, `profile`) is left out. Null when it is malformed. */
function readScopes(value: unknown): string[] | null {
  if (value === undefined) return [];
  const entries: unknown[] | null = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : null;
  if (!entries) return null;
  const scopes: string[] = [];
  for (const entry of entries) {
    if (typeof entry !== 'string') return null;
    if (isScope(entry)) scopes.push(entry);
  }
  return scopes;
}

/**
 * Until when the claims count as stepped up, epoch milliseconds: `acr` is one of those that do, and the authentication
 * (`auth_time`, else `iat`) is young enough. Undefined where they never do.
 */
function readStepUp({ acr, auth_time: authTime, iat }: Claims, rules: StepUpRules | undefined): number | undefined {
  if (rules === undefined || typeof acr !== 'string' || !rules.acr.includes(acr)) return undefined;
  const at = authTime ?? iat;
  return typeof at === 'number' ? (at + rules.maxAgeSeconds) * 1_000 : undefined;
}

/**
 * Turns our own claims (`sub`, `tenant`, `roles`, `scope`, `sub_type`, `name`, `jti`, `acr`, `auth_time`) into a principal,
 * or says what is wrong.
 */
export function readPrincipalClaims(claims: Claims, stepUp?: StepUpRules): PrincipalInput | ClaimProblem {
  const { sub, tenant, roles = [], scope, sub_type: subjectType = 'agent', name, jti, acr, exp, iat } = claims;
  if (!isIdentifier(sub)) return 'subject';
  if (!isIdentifier(tenant)) return 'tenant';
  if (!Array.isArray(roles) || roles.length > maxRoles || !roles.every(isIdentifier)) return 'roles';
  const scopes = readScopes(scope);
  if (!scopes) return 'scope';
  if (!isSubjectType(subjectType)) return 'subject-type';
  if (name !== undefined && (typeof name !== 'string' || textProblem(name, maxNameBytes) !== null)) return 'name';
  for (const value of [jti, acr]) if (value !== undefined && typeof value !== 'string') return 'identifier';
  if (typeof jti === 'string' && (jti === '' || textProblem(jti, maxTokenIdBytes) !== null)) return 'identifier';
  if (claims['auth_time'] !== undefined && typeof claims['auth_time'] !== 'number') return 'time-malformed';
  const steppedUpUntilMs = readStepUp(claims, stepUp);
  return {
    tenantId: tenant,
    subject: sub,
    subjectType,
    roles,
    scopes: [...scopesOfRoles(roles), ...scopes],
    ...(name === undefined ? {} : { displayName: name }),
    ...(typeof exp === 'number' ? { expiresAtMs: exp * 1_000 } : {}),
    ...(typeof jti === 'string' ? { tokenId: jti } : {}),
    ...(typeof iat === 'number' ? { issuedAtMs: iat * 1_000 } : {}),
    ...(steppedUpUntilMs === undefined ? {} : { steppedUpUntilMs }),
  };
}
