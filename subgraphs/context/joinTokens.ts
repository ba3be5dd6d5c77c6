import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ContextChanges, WriteOptions } from './contextChanges.ts';
import type { ContextRow } from './rows.ts';
import { requireOwnerOr } from './rules.ts';
import { requireOpen } from './transaction.ts';

export function newJoinToken(): string {
  return randomBytes(24).toString('base64url');
}

export function hashJoinToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** True when the token is the context's own and its policy asks for one. */
export function opensByToken(context: ContextRow, token: string | null | undefined): boolean {
  if (token == null || context.joinTokenHash === null || context.accessControl.joinPolicy !== 'INVITATION_ONLY')
    return false;
  return timingSafeEqual(Buffer.from(hashJoinToken(token), 'hex'), Buffer.from(context.joinTokenHash, 'hex'));
}

/** The invitation to a context: one token at a time, of which only the hash is kept. */
export function createJoinTokens(changes: ContextChanges) {
  return {
    /**
     * A repeat with the same idempotency key answers the same token, for as long as the key is kept.
     * @throws {INVALID_STATE} where no token opens the context. @throws {PERMISSION_DENIED} {GOVERNANCE_LOCKED} {VERSION_CONFLICT} {NOT_FOUND}
     */
    async rotate(
      scope: RequestScope,
      contextId: string,
      options: WriteOptions,
    ): Promise<{ readonly context: ContextRow; readonly joinToken: string }> {
      const joinToken = newJoinToken();
      const { row, response } = await changes.apply(
        scope,
        contextId,
        { ...options, operation: 'rotateJoinToken', input: null },
        (current) => {
          requireOwnerOr(current, scope.principal, 'context:admin');
          requireOpen(current);
          const policy = current.accessControl.joinPolicy;
          if (policy !== 'INVITATION_ONLY')
            throw new PlatformError(
              'INVALID_STATE',
              `a join token opens contexts that are INVITATION_ONLY, not ${policy}`,
            );
          return {
            row: { ...current, joinTokenHash: hashJoinToken(joinToken) },
            changes: { joinToken: 'ROTATED' },
            response: { joinToken },
          };
        },
      );
      return { context: row, joinToken: response['joinToken'] as string };
    },

    /** @throws {PERMISSION_DENIED} {GOVERNANCE_LOCKED} {VERSION_CONFLICT} {NOT_FOUND} */
    async revoke(scope: RequestScope, contextId: string, options: WriteOptions): Promise<ContextRow> {
      const { row } = await changes.apply(
        scope,
        contextId,
        { ...options, operation: 'revokeJoinToken', input: null },
        (current) => {
          requireOwnerOr(current, scope.principal, 'context:admin');
          if (current.joinTokenHash === null) return null;
          return { row: { ...current, joinTokenHash: null }, changes: { joinToken: 'REVOKED' } };
        },
      );
      return row;
    },
  };
}
