import { z } from 'zod';
import { createLru } from './lru.ts';
import type { Principal } from './principal.ts';

/** Where a request came from, as the audit keeps it beside what was changed. */
export interface RequestOrigin {
  readonly correlationId: string;
  /** Roles of the token. */
  readonly roles: readonly string[];
  /** `jti` of the token, or id of the API token: what one session has in common. */
  readonly tokenId: string | null;
  /** Null where a module asked on behalf of its caller. */
  readonly address: string | null;
  readonly userAgent: string | null;
  /** Gateway that took the request. */
  readonly instance: string;
}

/** HTTP header in which the gateway tells a subgraph where a request came from; believed beside a signed identity alone. */
export const originHeader = 'x-mplp-origin';

const maxAgentLength = 256;
/** Requests under way at most: what is changed by one that is older is kept without its origin. */
const maxRequests = 20_000;

/** By traceparent, which is each request's own and comes along with every change, through batches of many requests too. */
const origins = createLru<RequestOrigin>(maxRequests);

export function noteOrigin(traceparent: string, origin: RequestOrigin): void {
  origins.set(traceparent, origin);
}

/** Null for what no request asked for. */
export function originOf(traceparent: string | undefined): RequestOrigin | null {
  return traceparent === undefined ? null : (origins.get(traceparent) ?? null);
}

export interface OriginInput {
  readonly principal: Principal;
  readonly correlationId: string;
  readonly instance: string;
  readonly address?: string | undefined;
  readonly userAgent?: string | undefined;
}

export function createOrigin({ principal, correlationId, instance, address, userAgent }: OriginInput): RequestOrigin {
  return {
    correlationId,
    roles: principal.roles,
    tokenId: principal.tokenId ?? null,
    address: address ?? null,
    userAgent: userAgent === undefined ? null : printable(userAgent),
    instance,
  };
}

/** Headers are bytes: what is no printable ASCII is left out, and what is long is cut. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').slice(0, maxAgentLength);
}

const headerShape = z.strictObject({
  correlationId: z.string().max(128),
  roles: z.array(z.string()).max(50),
  tokenId: z.string().nullable(),
  address: z.string().max(64).nullable(),
  userAgent: z.string().max(maxAgentLength).nullable(),
  instance: z.string().max(64),
});

export function writeOriginHeader(origin: RequestOrigin): string {
  return Buffer.from(JSON.stringify(origin)).toString('base64url');
}

/** Null where it is none. */
export function readOriginHeader(text: string | undefined): RequestOrigin | null {
  if (text === undefined) return null;
  try {
    return headerShape.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch {
    return null;
  }
}
