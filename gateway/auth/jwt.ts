import type { KeyObject } from 'node:crypto';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { type Algorithm, isAlgorithm, verifySignature } from './algorithms.ts';
import {
  type ClaimProblem,
  type ClaimRules,
  type Claims,
  readPrincipalClaims,
  registeredClaimProblem,
} from './claims.ts';
import { parseUniqueJson } from './uniqueJson.ts';

/** A public key and what it may verify. */
export interface VerificationKey {
  /** Changes when the key, its `kid` or its use changes: what it verified is forgotten then. */
  readonly id: string;
  readonly key: KeyObject;
  readonly algorithms: readonly Algorithm[];
  /** The only `kid` it answers to; a key from a PEM file has no name and answers to any. */
  readonly kid?: string;
  readonly anyKid: boolean;
}

export type Rejection =
  | ClaimProblem
  | 'oversize'
  | 'malformed'
  | 'algorithm'
  | 'critical-header'
  | 'unknown-key'
  | 'signature';

export interface VerifiedToken {
  readonly principal: Principal;
  readonly keyId: string;
  readonly expSeconds: number;
}

export const maxTokenBytes = 8_192;

/** A token that names no key is tried with this many at most, so that it cannot buy unbounded work. */
const maxCandidates = 8;
const segmentPattern = /^[A-Za-z0-9_-]+$/;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Decodes unpadded, canonical base64url (RFC 7515 2); null otherwise. */
function decodeSegment(segment: string): Buffer | null {
  if (!segmentPattern.test(segment)) return null;
  const bytes = Buffer.from(segment, 'base64url');
  return bytes.toString('base64url') === segment ? bytes : null;
}

function decodeObject(segment: string): Readonly<Record<string, unknown>> | null {
  const bytes = decodeSegment(segment);
  if (!bytes) return null;
  try {
    const value = parseUniqueJson(utf8.decode(bytes));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    // Without a prototype, so that no inherited member passes for a claim.
    return Object.assign(Object.create(null), value);
  } catch {
    return null;
  }
}

function findCandidates(keys: readonly VerificationKey[], algorithm: Algorithm, kid: unknown): VerificationKey[] {
  return keys
    .filter(
      (key) =>
        key.algorithms.includes(algorithm) &&
        (key.anyKid || kid === undefined || (typeof kid === 'string' && kid === key.kid)),
    )
    .slice(0, maxCandidates);
}

/**
 * Verifies a compact JWS and its claims (RFC 7515, 7519, advice of RFC 8725) and reads the principal out of it.
 * Header members that carry or point to keys (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.
 */
export function verifyToken(
  token: string,
  keys: readonly VerificationKey[],
  rules: ClaimRules,
  nowMs: number,
): VerifiedToken | Rejection {
  if (token.length > maxTokenBytes) return 'oversize';
  const segments = token.split('.', 4);
  const [headerSegment, payloadSegment, signatureSegment] = segments;
  if (segments.length !== 3 || !headerSegment || !payloadSegment || !signatureSegment) return 'malformed';
  const header = decodeObject(headerSegment);
  if (!header) return 'malformed';
  if (!isAlgorithm(header['alg'])) return 'algorithm';
  if (header['crit'] !== undefined) return 'critical-header';
  const candidates = findCandidates(keys, header['alg'], header['kid']);
  if (candidates.length === 0) return 'unknown-key';
  const signature = decodeSegment(signatureSegment);
  if (!signature) return 'malformed';
  const signed = Buffer.from(token.slice(0, headerSegment.length + 1 + payloadSegment.length), 'latin1');
  const algorithm = header['alg'];
  const key = candidates.find((candidate) => verifySignature(algorithm, candidate.key, signed, signature));
  if (!key) return 'signature';
  const claims: Claims | null = decodeObject(payloadSegment);
  if (!claims) return 'malformed';
  const problem = registeredClaimProblem(claims, rules, nowMs);
  if (problem) return problem;
  const input = readPrincipalClaims(claims, rules.stepUp);
  if (typeof input === 'string') return input;
  return { principal: createPrincipal(input), keyId: key.id, expSeconds: Number(claims['exp']) };
}
