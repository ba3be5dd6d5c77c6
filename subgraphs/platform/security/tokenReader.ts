import { hash } from 'node:crypto';
import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { isSecretOf, readTokenText } from './tokenText.ts';

/** How long a token that was read is taken as it was; its revocation is heard of apart from that. */
const rereadMs = 60_000;
const maxKnown = 10_000;

interface TokenRow {
  readonly tenantId: string;
  readonly subject: string;
  readonly subjectType: Principal['subjectType'];
  readonly scopes: readonly string[];
  readonly secretHash: Uint8Array;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly revoked: boolean;
}

export interface TokenReaderOptions {
  /** Database of the platform module. */
  readonly sql: Sql;
  readonly logger: Pick<Logger, 'warn'>;
  readonly now?: () => number;
}

/** Tells who an API token speaks for. */
export interface TokenReader {
  /** False for what is no API token by its form. */
  isApiToken(text: string): boolean;
  /** @throws {UNAUTHENTICATED} where it is unknown, expired or revoked. {UNAVAILABLE} where that cannot be told. */
  read(text: string): Principal | Promise<Principal>;
}

export function createTokenReader({ sql, logger, now = Date.now }: TokenReaderOptions): TokenReader {
  const known = createLru<Principal>(maxKnown, { ttl: rereadMs });
  const reading = new Map<string, Promise<Principal>>();

  const refuse = (): never => {
    throw new PlatformError('UNAUTHENTICATED', 'the token was not accepted', { cause: 'api-token' });
  };

  async function find(text: string, key: string): Promise<Principal> {
    const { id, secret } = readTokenText(text) ?? refuse();
    const [row] = await readRow(id);
    if (!row || !isSecretOf(secret, row.secretHash) || row.revoked || row.expiresAt.getTime() <= now()) return refuse();
    const principal = createPrincipal({
      tenantId: row.tenantId,
      subject: row.subject,
      subjectType: row.subjectType,
      scopes: row.scopes,
      tokenId: id,
      issuedAtMs: row.createdAt.getTime(),
      expiresAtMs: row.expiresAt.getTime(),
      isBounded: true,
    });
    known.set(key, principal);
    noteUse(row.tenantId, id);
    return principal;
  }

  async function readRow(id: string): Promise<readonly TokenRow[]> {
    try {
      // The one read across tenants: whose token it is says the token alone.
      return (await sql.unsafe(
        `SELECT tenant_id AS "tenantId", subject, subject_type AS "subjectType", scopes, secret_hash AS "secretHash",
           created_at AS "createdAt", expires_at AS "expiresAt", revoked_at IS NOT NULL AS revoked
         FROM platform.api_token WHERE id = $1`,
        [id],
        { prepare: true },
      )) as unknown as TokenRow[];
    } catch (error) {
      throw new PlatformError('UNAVAILABLE', 'API tokens cannot be verified at the moment', {
        retryAfterMs: 1_000,
        cause: error,
      });
    }
  }

  /** Read anew once a minute while it is in use, so that this is no write a request. */
  function noteUse(tenantId: string, id: string): void {
    sql
      .unsafe('UPDATE platform.api_token SET last_used_at = now() WHERE tenant_id = $1 AND id = $2', [tenantId, id])
      .catch((error: unknown) => logger.warn({ error: String(error) }, 'the use of an API token could not be noted'));
  }

  return {
    isApiToken: (text) => text.startsWith('mplp_'),
    read(text) {
      // By its digest: the secret itself is not kept in memory.
      const key = hash('sha256', text, 'base64');
      const principal = known.get(key);
      if (principal !== undefined) return principal.expiresAtMs! > now() ? principal : refuse();
      const pending = reading.get(key) ?? find(text, key).finally(() => reading.delete(key));
      reading.set(key, pending);
      return pending;
    },
  };
}
