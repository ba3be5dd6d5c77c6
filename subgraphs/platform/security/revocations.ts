import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import { callOf, type Once, type Written } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { longestTokenMs, revocationKind, revokeInput } from './inputs.ts';
import { type RevocationRow, revocationColumns } from './rows.ts';

/** Every instance keeps them in memory. */
const maxRevocations = 10_000;
/** A token counts a little beyond its end, by the clock tolerance of those who verify it. */
const toleranceMs = 120_000;

export interface NewRevocation {
  readonly kind: 'token' | 'subject';
  readonly key: string;
  readonly reason: string | null;
  readonly expiresAtMs: number;
}

export const revocationStream = (tenantId: string) => derivedId(`revocations ${tenantId}`);

/** What is refused before its time. Followed by `followRevocations` on every instance that verifies tokens. */
export function createRevocations({ sql, once }: { readonly sql: Sql; readonly once: Once }) {
  /** @throws {QUOTA_EXCEEDED} */
  async function insert(
    tx: SqlTransaction,
    scope: RequestScope,
    revocation: NewRevocation,
  ): Promise<Written<RevocationRow>> {
    const { tenantId, subject } = scope.principal;
    const { kind, key, reason, expiresAtMs } = revocation;
    const [counted] = (await tx.unsafe(
      'SELECT count(*)::int AS count FROM platform.revocation WHERE tenant_id = $1 AND expires_at > now() AND (kind, key) <> ($2, $3)',
      [tenantId, kind, key],
    )) as unknown as { count: number }[];
    if (counted!.count >= maxRevocations)
      throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxRevocations} revocations in force`, {
        path: ['input'],
      });
    const [row] = (await tx.unsafe(
      `INSERT INTO platform.revocation AS r (tenant_id, kind, key, not_after, reason, created_by, expires_at)
       VALUES ($1, $2, $3, clock_timestamp(), $4, $5, $6::text::timestamptz)
       ON CONFLICT (tenant_id, kind, key) DO UPDATE SET not_after = EXCLUDED.not_after, reason = EXCLUDED.reason,
         created_by = EXCLUDED.created_by, created_at = now(), expires_at = greatest(r.expires_at, EXCLUDED.expires_at)
       RETURNING ${revocationColumns}`,
      [tenantId, kind, key, reason, subject, new Date(expiresAtMs).toISOString()],
    )) as unknown as RevocationRow[];
    const { notAfter, expiresAt } = row!;
    return {
      row: row!,
      response: { kind, key },
      changes: [
        {
          events: [
            {
              streamId: revocationStream(tenantId),
              type: 'token.revoked',
              data: { kind, key, notAfter, expiresAt },
              tags: [],
            },
          ],
          audit: [
            { action: 'token.revoked', resource: 'PlatformRevocation', resourceId: key, detail: { kind, reason } },
          ],
        },
      ],
    };
  }

  async function find(tenantId: string, { kind, key }: Pick<RevocationRow, 'kind' | 'key'>): Promise<RevocationRow> {
    const [row] = (await sql.unsafe(
      `SELECT ${revocationColumns} FROM platform.revocation r WHERE r.tenant_id = $1 AND r.kind = $2 AND r.key = $3`,
      [tenantId, kind, key],
      { prepare: true },
    )) as unknown as RevocationRow[];
    if (!row) throw new PlatformError('NOT_FOUND', 'no such revocation', { path: ['key'] });
    return row;
  }

  return {
    insert,

    async page(scope: RequestScope, input: PageInput) {
      const list = 'revocations';
      const page = readPage(list, 3, input);
      const [createdAt = null, kind = null, key = null] = (page.from ?? []) as readonly (string | null)[];
      const rows = (await sql.unsafe(
        `SELECT ${revocationColumns} FROM platform.revocation r
         WHERE r.tenant_id = $1 AND r.expires_at > now()
           AND ($2::text IS NULL OR (r.created_at, r.kind, r.key) < ($2::text::timestamptz, $3, $4))
         ORDER BY r.created_at DESC, r.kind DESC, r.key DESC LIMIT $5`,
        [scope.principal.tenantId, createdAt, kind, key, page.limit + 1],
        { prepare: true },
      )) as unknown as RevocationRow[];
      return createConnection(list, page, rows, (row) => [row.createdAt, row.kind, row.key]);
    },

    /** @throws {VALIDATION_FAILED} {QUOTA_EXCEEDED} */
    async revoke(scope: RequestScope, given: unknown, idempotencyKey?: string | null): Promise<RevocationRow> {
      const input = parseInput(revokeInput, given);
      return once<RevocationRow>(scope, {
        call: callOf(scope, idempotencyKey, 'revokeTokens', JSON.parse(JSON.stringify(given))),
        repeat: (response) => find(scope.principal.tenantId, response as RevocationRow),
        write: (tx) =>
          insert(tx, scope, {
            kind: input.kind === 'TOKEN' ? 'token' : 'subject',
            key: input.key,
            reason: input.reason ?? null,
            expiresAtMs: input.expiresAt?.getTime() ?? Date.now() + longestTokenMs,
          }),
      });
    },

    /** @throws {NOT_FOUND} {INVALID_STATE} for an API token that was revoked itself: that is for good. */
    async lift(scope: RequestScope, kind: string, key: string, idempotencyKey?: string | null): Promise<string> {
      const stored = parseInput(revocationKind, kind, ['kind']).toLowerCase();
      const { tenantId } = scope.principal;
      return once<string>(scope, {
        call: callOf(scope, idempotencyKey, 'liftRevocation', { kind, key }),
        repeat: async () => key,
        async write(tx) {
          const ended = await tx.unsafe(
            `SELECT 1 FROM platform.api_token WHERE tenant_id = $1 AND $2 = 'token' AND id::text = $3 AND revoked_at IS NOT NULL`,
            [tenantId, stored, key],
          );
          if (ended.length > 0)
            throw new PlatformError('INVALID_STATE', 'an API token is revoked for good', { path: ['key'] });
          const gone = await tx.unsafe(
            'DELETE FROM platform.revocation WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND expires_at > now() RETURNING 1',
            [tenantId, stored, key],
          );
          if (gone.length === 0) throw new PlatformError('NOT_FOUND', 'no such revocation', { path: ['key'] });
          return {
            row: key,
            response: {},
            changes: [
              {
                events: [
                  {
                    streamId: revocationStream(tenantId),
                    type: 'token.revocation.lifted',
                    data: { kind: stored, key },
                    tags: [],
                  },
                ],
                audit: [
                  {
                    action: 'token.revocation.lifted',
                    resource: 'PlatformRevocation',
                    resourceId: key,
                    detail: { kind: stored },
                  },
                ],
              },
            ],
          };
        },
      });
    },

    /** The token of the request ends. @throws {INVALID_STATE} where it has no id. */
    async logout(scope: RequestScope): Promise<string> {
      const { tokenId, expiresAtMs = Date.now() + longestTokenMs } = scope.principal;
      if (tokenId === undefined)
        throw new PlatformError('INVALID_STATE', 'the request came with no token that has an id');
      await once<RevocationRow>(scope, {
        call: null,
        repeat: (response) => find(scope.principal.tenantId, response as RevocationRow),
        write: (tx) =>
          insert(tx, scope, {
            kind: 'token',
            key: tokenId,
            reason: 'logout',
            expiresAtMs: Math.min(expiresAtMs + toleranceMs, Date.now() + longestTokenMs),
          }),
      });
      return tokenId;
    },

    /** Forgets revocations of what has ended by itself. */
    async sweep(): Promise<void> {
      await sql.unsafe('DELETE FROM platform.revocation WHERE expires_at < now()');
    },
  };
}

export type Revocations = ReturnType<typeof createRevocations>;
