import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mintToken } from '../../gateway/auth/mintToken.ts';
import { loadDevelopmentKey } from '../../gateway/auth/signingKey.ts';
import { type Authenticator, createAuthenticator, describePeer, maxCachedTokens } from '../../gateway/auth.ts';
import { createPrincipal, type Principal } from '../../subgraphs/shared/principal.ts';

/**
 * `opaque`: nobody looks into the header, everybody forwards it. `verified`: every peer verifies the token with the same
 * code, our authenticator's, before anything else.
 */
export type AuthenticationSetup =
  | { readonly kind: 'opaque' }
  | { readonly kind: 'verified'; readonly publicKeyFile: string };

const issuer = 'perf-peers';
const audience = 'perf-peers';

/** More than the authenticator remembers: used in turn, none is found in its cache. */
export const tokenCount = maxCachedTokens + 2_000;

export interface Verifier {
  /** @throws {UNAUTHENTICATED} when the token is not accepted. */
  verify(authorization: string | undefined): Principal | Promise<Principal>;
  readonly stats: Authenticator['stats'] | null;
  close(): void;
}

const silent = { debug() {}, info() {}, warn() {} };

export function createVerifier(setup: AuthenticationSetup): Verifier {
  if (setup.kind === 'opaque') {
    const principal = createPrincipal({ tenantId: 'peers', subject: 'client', scopes: ['*'] });
    return { verify: () => principal, stats: null, close() {} };
  }
  const authenticator = createAuthenticator(
    { mode: 'production', publicKeyFile: setup.publicKeyFile, issuer, audience, developmentKeyDir: '' },
    { logger: silent },
  );
  const peer = describePeer('127.0.0.1');
  return {
    verify: (authorization) => authenticator.authenticate(authorization, peer),
    get stats() {
      return authenticator.stats;
    },
    close: () => authenticator.close(),
  };
}

/** Mints distinct Ed25519 tokens into `folder`, with the key that verifies them. */
export async function mintTokens(
  folder: string,
  count: number,
): Promise<{ publicKeyFile: string; tokensFile: string }> {
  const key = loadDevelopmentKey(folder);
  const publicKeyFile = join(folder, 'public.pem');
  writeFileSync(publicKeyFile, createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' }));
  const tokens = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      mintToken(
        { tenant: 'peers', subject: `client-${index}`, roles: ['reader'], scopes: ['*'], ttlSeconds: 86_400 },
        { key, issuer, audience },
      ),
    ),
  );
  const tokensFile = join(folder, 'tokens.json');
  writeFileSync(tokensFile, JSON.stringify(tokens));
  return { publicKeyFile, tokensFile };
}
