import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { RevocationList } from '../../subgraphs/platform/security/revocationList.ts';
import type { TokenReader } from '../../subgraphs/platform/security/tokenReader.ts';
import type { Authenticator, Peer } from '../auth.ts';

export interface CredentialsOptions {
  readonly authenticator: Authenticator;
  readonly apiTokens: TokenReader;
  readonly revocations: RevocationList;
}

/** Says who asks by whatever they show: a token of the issuer, or one of the platform's own. */
export interface Credentials {
  /** @throws {UNAUTHENTICATED} also where the token is revoked. {UNAVAILABLE} where that cannot be told. */
  authenticate(authorization: string | undefined, peer: Peer): Principal | Promise<Principal>;
  /** Calls back once, when the principal's token is revoked, at once if it is already; answers how to stop. */
  watch(principal: Principal, onRevoked: () => void): () => void;
}

const apiTokenPattern = /^bearer +(mplp_[^\s]+) *$/i;

export function createCredentials({ authenticator, apiTokens, revocations }: CredentialsOptions): Credentials {
  const watched = new Map<Principal, Set<() => void>>();
  revocations.onRevoked(() => {
    for (const [principal, listeners] of [...watched]) {
      if (!revocations.isRevoked(principal)) continue;
      watched.delete(principal);
      for (const listener of listeners) listener();
    }
  });

  function requireStanding(principal: Principal): Principal {
    if (!revocations.isRevoked(principal)) return principal;
    throw new PlatformError('UNAUTHENTICATED', 'the token was not accepted');
  }

  return {
    authenticate(authorization, peer) {
      const apiToken = authorization === undefined ? undefined : apiTokenPattern.exec(authorization)?.[1];
      const found = apiToken === undefined ? authenticator.authenticate(authorization, peer) : apiTokens.read(apiToken);
      return found instanceof Promise ? found.then(requireStanding) : requireStanding(found);
    },

    watch(principal, onRevoked) {
      const listeners = watched.get(principal) ?? new Set();
      watched.set(principal, listeners);
      // Of its own, so that one function watched twice is called twice.
      const listener = () => onRevoked();
      listeners.add(listener);
      // It may have been revoked between its verification and now.
      if (revocations.isRevoked(principal)) queueMicrotask(() => listeners.delete(listener) && onRevoked());
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0 && watched.get(principal) === listeners) watched.delete(principal);
      };
    },
  };
}
