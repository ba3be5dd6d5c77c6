import type { Authorizer } from '#shared/auth.ts';
import { permissionDenied } from '#shared/auth.ts';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { callOf, type Once } from '#shared/once.ts';
import { coversScope, isWithinBounds, type Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { id as idSchema, parseInput } from '#shared/validation.ts';
import { issueInput, reason as reasonSchema, subject as subjectSchema } from './inputs.ts';
import type { Revocations } from './revocations.ts';
import { type ApiTokenRow, apiTokenColumns } from './rows.ts';
import { makeTokenText } from './tokenText.ts';

const dayMs = 86_400_000;

export interface ApiTokensOptions {
  readonly sql: Sql;
  readonly once: Once;
  readonly authorizer: Authorizer;
  readonly revocations: Revocations;
  /** How many of a subject's may be in force. */
  readonly maxPerSubject: number;
}

const streamData = ({ id, name, subject, scopes, expiresAt }: ApiTokenRow) => ({
  id,
  name,
  subject,
  scopes,
  expiresAt,
});

/** Tokens that the platform makes itself, for those who cannot ask an issuer for one. */
export function createApiTokens({ sql, once, authorizer, revocations, maxPerSubject }: ApiTokensOptions) {
  const isAdmin = async (principal: Principal) => await authorizer.allows(principal, 'token:admin');

  async function find(db: Sql | SqlTransaction, tenantId: string, tokenId: string): Promise<ApiTokenRow | null> {
    const [row] = (await db.unsafe(
      `SELECT ${apiTokenColumns} FROM platform.api_token t WHERE t.tenant_id = $1 AND t.id = $2`,
      [tenantId, tokenId],
      { prepare: true },
    )) as unknown as ApiTokenRow[];
    return row ?? null;
  }

  /** One that the caller may know of. */
  async function findOwn({ principal }: RequestScope, tokenId: string): Promise<ApiTokenRow | null> {
    const row = await find(sql, principal.tenantId, parseInput(idSchema, tokenId, ['id']));
    return row && (row.subject === principal.subject || (await isAdmin(principal))) ? row : null;
  }

  /** Nobody hands on more than they have. @throws {PERMISSION_DENIED} */
  async function requireWithin(principal: Principal, scopes: readonly string[]): Promise<void> {
    for (const scope of scopes) {
      if (coversScope(principal, scope)) continue;
      // What a role grants is granted by name; a star could come to mean more than it does today.
      const isGranted =
        !scope.includes('*') && isWithinBounds(principal, scope) && (await authorizer.allows(principal, scope));
      if (!isGranted) throw permissionDenied(scope);
    }
  }

  return {
    findOwn,

    /** @throws {PERMISSION_DENIED} for another subject's without `token:admin` */
    async page({ principal }: RequestScope, subject: string | null, input: PageInput) {
      const whose = subject === null ? principal.subject : parseInput(subjectSchema, subject, ['subject']);
      if (whose !== principal.subject && !(await isAdmin(principal))) throw permissionDenied('token:admin');
      const list = `apiTokens ${whose}`;
      const page = readPage(list, 2, input);
      const [createdAt = null, tokenId = null] = (page.from ?? []) as readonly (string | null)[];
      const rows = (await sql.unsafe(
        `SELECT ${apiTokenColumns} FROM platform.api_token t WHERE t.tenant_id = $1 AND t.subject = $2
           AND ($3::text IS NULL OR (t.created_at, t.id) < ($3::text::timestamptz, $4::uuid))
         ORDER BY t.created_at DESC, t.id DESC LIMIT $5`,
        [principal.tenantId, whose, createdAt, tokenId, page.limit + 1],
        { prepare: true },
      )) as unknown as ApiTokenRow[];
      return createConnection(list, page, rows, (row) => [row.createdAt, row.id]);
    },

    /**
     * The text of the token is in the answer and nowhere else, so no idempotency key could tell it again.
     * @throws {VALIDATION_FAILED} {PERMISSION_DENIED} {QUOTA_EXCEEDED}
     */
    async issue(scope: RequestScope, given: unknown): Promise<{ readonly row: ApiTokenRow; readonly token: string }> {
      const input = parseInput(issueInput, given);
      const { principal } = scope;
      const { tenantId } = principal;
      const subject = input.subject ?? principal.subject;
      if (subject !== principal.subject && !(await isAdmin(principal))) throw permissionDenied('token:admin');
      await requireWithin(principal, input.scopes);
      const subjectType =
        input.subjectType?.toLowerCase() ?? (subject === principal.subject ? principal.subjectType : 'agent');
      const tokenId = newId();
      const { text, secretHash } = makeTokenText(tokenId);
      const row = await once<ApiTokenRow>(scope, {
        call: null,
        repeat: () => Promise.reject(new Error('an API token is issued without a key')),
        async write(tx) {
          await tx`SELECT pg_advisory_xact_lock(hashtextextended(${`platform.api_token/${tenantId}/${subject}`}, 0))`;
          const [counted] = (await tx.unsafe(
            `SELECT count(*)::int AS count FROM platform.api_token
             WHERE tenant_id = $1 AND subject = $2 AND revoked_at IS NULL AND expires_at > now()`,
            [tenantId, subject],
          )) as unknown as { count: number }[];
          if (counted!.count >= maxPerSubject)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxPerSubject} API tokens of a subject`, {
              path: ['input'],
            });
          const [made] = (await tx.unsafe(
            `INSERT INTO platform.api_token AS t (tenant_id, id, subject, subject_type, name, scopes, secret_hash, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::int * interval '1 day') RETURNING ${apiTokenColumns}`,
            [
              tenantId,
              tokenId,
              subject,
              subjectType,
              input.name,
              input.scopes,
              secretHash,
              principal.subject,
              input.lifeDays,
            ],
          )) as unknown as ApiTokenRow[];
          return {
            row: made!,
            response: {},
            changes: [
              {
                events: [{ streamId: tokenId, type: 'api.token.issued', data: streamData(made!), tags: [] }],
                audit: [
                  {
                    action: 'api.token.issued',
                    resource: 'PlatformApiToken',
                    resourceId: tokenId,
                    detail: streamData(made!),
                  },
                ],
              },
            ],
          };
        },
      });
      return { row, token: text };
    },

    /** Again it changes nothing. @throws {NOT_FOUND} */
    async revoke(
      scope: RequestScope,
      tokenId: string,
      {
        reason: why,
        idempotencyKey,
      }: { readonly reason?: string | null | undefined; readonly idempotencyKey?: string | null | undefined },
    ): Promise<ApiTokenRow> {
      const reason = parseInput(reasonSchema, why, ['reason']) ?? null;
      const { tenantId, subject } = scope.principal;
      if (!(await findOwn(scope, tokenId))) throw new PlatformError('NOT_FOUND', 'no such API token', { path: ['id'] });
      return once<ApiTokenRow>(scope, {
        call: callOf(scope, idempotencyKey, 'revokeApiToken', { id: tokenId, reason }),
        repeat: async () => (await find(sql, tenantId, tokenId))!,
        async write(tx) {
          const [row] = (await tx.unsafe(
            `UPDATE platform.api_token t SET revoked_at = now(), revoked_by = $3
             WHERE t.tenant_id = $1 AND t.id = $2 AND t.revoked_at IS NULL RETURNING ${apiTokenColumns}`,
            [tenantId, tokenId, subject],
          )) as unknown as ApiTokenRow[];
          if (!row) return { row: (await find(tx, tenantId, tokenId))!, response: {}, changes: [] };
          const { changes } = await revocations.insert(tx, scope, {
            kind: 'token',
            key: tokenId,
            reason,
            expiresAtMs: Math.max(Date.parse(row.expiresAt), Date.now() + dayMs),
          });
          const told = { streamId: tokenId, type: 'api.token.revoked', data: streamData(row), tags: [] };
          return { row, response: {}, changes: [{ events: [told] }, ...changes] };
        },
      });
    },

    /** Forgets tokens that ended a year ago. */
    async sweep(): Promise<void> {
      await sql.unsafe("DELETE FROM platform.api_token WHERE expires_at < now() - interval '365 days'");
    },
  };
}

export type ApiTokens = ReturnType<typeof createApiTokens>;
