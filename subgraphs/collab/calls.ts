import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { Answer, CollabCommand, CommandRunner, Needs } from './commands.ts';
import type { Contexts } from './contexts.ts';
import type { Draft } from './draft.ts';
import { findOwner, type PartName } from './parts.ts';
import { requireUnlocked, systemSubject } from './rights.ts';

export interface CallOptions {
  /** Name of the mutation, for the idempotency key. */
  readonly operation: string;
  readonly input: object;
  readonly idempotencyKey: string | null | undefined;
  /** Of the collaboration's own row. */
  readonly expectedVersion?: number | null | undefined;
  readonly needs: Needs;
  readonly shownActor?: string;
  /** What is asked of others before the lock is taken; not of a repeat. */
  readonly before?: () => Promise<void>;
}

/** How services change a collaboration: visible to the caller, not locked, in the version it read, once per key. */
export interface Calls {
  run(
    scope: RequestScope,
    collabId: string,
    options: CallOptions,
    work: (draft: Draft) => Answer | null,
  ): Promise<Answer>;
  /** Collaboration of a single row. @throws {NOT_FOUND} */
  ownerOf(scope: RequestScope, part: Exclude<PartName, 'participant' | 'ballot'>, id: string): Promise<string>;
  /** What the platform does by itself. */
  runAs(
    tenantId: string,
    collabId: string,
    options: Pick<CollabCommand, 'action' | 'needs'>,
    work: (draft: Draft) => Answer | null,
  ): Promise<Answer>;
}

export function createCalls(
  { sql }: Pick<ModuleRuntime, 'sql'>,
  { commands, contexts }: { readonly commands: CommandRunner; readonly contexts: Contexts },
): Calls {
  return {
    async run(scope, collabId, options, work) {
      const { operation, input, idempotencyKey, expectedVersion, needs, shownActor, before } = options;
      const { principal } = scope;
      const { tenantId, subject } = principal;
      await requireVisible(sql, principal, collabId, contexts.learn);
      const idempotent =
        idempotencyKey == null
          ? null
          : { tenantId, subject, key: idempotencyKey, operation, input: { ...input, expectedVersion } };
      if (before !== undefined && (await findIdempotentResponse(sql, 'collab', idempotent)) === undefined)
        await before();
      return commands.run({
        scope,
        principal,
        collabId,
        idempotent,
        action: `collab.${operation}`,
        needs,
        ...(shownActor === undefined ? {} : { shownActor }),
        decide(draft) {
          requireVersion(expectedVersion, draft.collab.version);
          requireUnlocked(draft, principal);
          return work(draft);
        },
      });
    },

    async ownerOf({ principal }, part, id) {
      const found = await findOwner(sql, principal.tenantId, part, id);
      if (found === null) throw new PlatformError('NOT_FOUND', `no such ${part}`, { path: ['input', `${part}Id`] });
      return found;
    },

    runAs: (tenantId, collabId, { action, needs }, work) =>
      commands.run({
        scope: null,
        principal: systemPrincipal(tenantId),
        collabId,
        idempotent: null,
        action,
        needs,
        decide: work,
      }),
  };
}

/** The module as it acts and asks on its own behalf. */
export function systemPrincipal(tenantId: string): Principal {
  return createPrincipal({
    tenantId,
    subject: systemSubject,
    subjectType: 'service',
    scopes: ['context:read', 'role:read', 'extension:read', 'extension:execute'],
  });
}
