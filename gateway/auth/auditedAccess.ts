import type { AccessAudit } from '#shared/accessAudit.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import type { Principal } from '#shared/principal.ts';
import { describePeer } from '../auth.ts';
import { isLocalHost } from '../requestHeaders.ts';
import type { Credentials } from './credentials.ts';

export interface Caller {
  readonly authorization: string | undefined;
  /** Of the socket: who sits at the machine itself is told by it. */
  readonly remoteAddress: string | undefined;
  readonly host: string | undefined;
  /** Of the client, behind a trusted proxy another than the socket's. @default `remoteAddress` */
  readonly address?: string | undefined;
}

export interface AuditedAccess {
  /** @throws {UNAUTHENTICATED} {UNAVAILABLE} */
  authenticate(caller: Caller): Principal | Promise<Principal>;
  /** What was refused to somebody who is known. */
  denied(scope: RequestScope, operation: string, code: string): void;
}

export interface AuditedAccessOptions {
  readonly credentials: Pick<Credentials, 'authenticate'>;
  readonly audit: AccessAudit;
  /** Tenant of tokens that are none: nobody else's they can be. */
  readonly operatorTenant: string;
}

/** Tokens whose acceptance is in the audit already. */
const maxAccepted = 10_000;
/** Refusals that concern the right to ask. */
const deniedCodes: ReadonlySet<string> = new Set(['PERMISSION_DENIED', 'STEP_UP_REQUIRED']);

/** Authentication, with each token's first acceptance and every refusal told to the audit. */
export function createAuditedAccess({ credentials, audit, operatorTenant }: AuditedAccessOptions): AuditedAccess {
  const accepted = createLru<true>(maxAccepted);
  /** One principal for as long as its token is remembered: one look for nearly every request. */
  const seen = new WeakSet<Principal>();

  function noteAccepted(principal: Principal, address: string | undefined): Principal {
    if (seen.has(principal)) return principal;
    seen.add(principal);
    const { tenantId, subject, subjectType, roles, tokenId, issuedAtMs } = principal;
    const key = JSON.stringify([tenantId, subject, tokenId ?? issuedAtMs ?? null]);
    if (accepted.has(key)) return principal;
    accepted.set(key, true);
    audit.note({
      ...{ tenantId, actor: subject, action: 'authentication.accepted' },
      ...{ resource: 'Token', resourceId: tokenId ?? subject },
      detail: { address: address ?? null, subjectType, roles },
    });
    return principal;
  }

  function noteRefused(error: unknown, address: string | undefined): never {
    if (error instanceof PlatformError && error.code === 'UNAUTHENTICATED')
      audit.note({
        ...{ tenantId: operatorTenant, actor: 'anonymous', action: 'authentication.refused' },
        ...{ resource: 'Token', resourceId: address ?? 'unknown' },
        detail: { reason: typeof error.cause === 'string' ? error.cause : 'revoked' },
      });
    throw error;
  }

  return {
    authenticate({ authorization, remoteAddress, host, address = remoteAddress }) {
      const peer = describePeer(remoteAddress);
      try {
        // A page of some other site that resolves to this machine must not become the development principal.
        const found = credentials.authenticate(
          authorization,
          peer.loopback && !isLocalHost(host) ? { ...peer, loopback: false } : peer,
        );
        return found instanceof Promise
          ? found.then(
              (principal) => noteAccepted(principal, address),
              (error: unknown) => noteRefused(error, address),
            )
          : noteAccepted(found, address);
      } catch (error) {
        return noteRefused(error, address);
      }
    },

    denied({ principal: { tenantId, subject }, traceparent }, operation, code) {
      if (!deniedCodes.has(code)) return;
      audit.note({
        ...{ tenantId, actor: subject, action: 'access.refused', traceparent },
        ...{ resource: 'Operation', resourceId: operation, detail: { code } },
      });
    },
  };
}
