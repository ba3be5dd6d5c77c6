import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { requireId } from '#shared/ids.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { idempotencyKey, parseInput, requireVersion } from '#shared/validation.ts';
import { extensionEvent } from './events.ts';
import type { ExtensionRow } from './rows.ts';
import { findExtensions, lockExtension, putExtensions } from './store.ts';

/** Who acts: somebody who asked, or the module itself. */
export interface Actor {
  readonly tenantId: string;
  readonly subject: string;
  readonly scope: RequestScope | null;
}

export const actorOf = (scope: RequestScope): Actor => ({
  tenantId: scope.principal.tenantId,
  subject: scope.principal.subject,
  scope,
});

export interface ChangeOptions {
  readonly call?: IdempotentCall | null | undefined;
  readonly expectedVersion?: number | null | undefined;
  /** What is audited, and the event's type unless `type` says another. */
  readonly action: string;
  readonly type?: string;
  /** Changed also where governance has locked it: what protects others. */
  readonly evenLocked?: boolean;
}

/** What a change leaves: the columns that are others now, and what is told and written beside; null leaves all as it was. */
export interface Changed {
  readonly row: Partial<ExtensionRow>;
  readonly told?: Readonly<Record<string, unknown>>;
  readonly events?: readonly NewEvent[];
  readonly write?: (tx: SqlTransaction, row: ExtensionRow) => Promise<unknown>;
}

export function unknownExtension(id: string, path: readonly string[] = ['extensionId']): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such extension', { path, details: { extensionId: id } });
}

export function callOf(
  scope: RequestScope,
  key: string | null | undefined,
  operation: string,
  input: unknown,
): IdempotentCall | null {
  const { tenantId, subject } = scope.principal;
  const parsed = parseInput(idempotencyKey.nullish(), key, ['idempotencyKey']);
  return parsed == null ? null : { tenantId, subject, key: parsed, operation, input };
}

export function createCommands({ sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>) {
  /** What an earlier call with the key has left, as it stands now. */
  async function repeated(call: IdempotentCall | null | undefined): Promise<ExtensionRow | null> {
    if (call == null) return null;
    const known = await findIdempotentResponse(sql, 'extension', call);
    if (known === undefined) return null;
    const { extensionId } = known.response as { readonly extensionId: string };
    const [row] = await findExtensions(sql, call.tenantId, [extensionId]);
    if (!row) throw unknownExtension(extensionId);
    return row;
  }

  /** Runs work in a transaction, tells its events once it stands. */
  async function transact<Result>(
    actor: Actor,
    work: (
      tx: SqlTransaction,
      append: (events: readonly NewEvent[], audit: AuditOf, call?: IdempotentCall | null) => Promise<void>,
    ) => Promise<Result>,
  ): Promise<Result> {
    let events: readonly EventRow[] = [];
    const result = (await transactionRetry.execute(() =>
      sql.begin(async (tx) => {
        events = [];
        return work(tx, async (told, audit, call = null) => {
          const { extensionId, ...entry } = audit;
          const appended = await appendChange(tx, 'extension', [
            {
              tenantId: actor.tenantId,
              actor: actor.subject,
              traceparent: actor.scope?.traceparent,
              events: told,
              audit: [{ ...entry, resource: 'Extension', resourceId: extensionId }],
              idempotency: idempotencyRecord(call, { extensionId }),
            },
          ]);
          events = [...events, ...appended];
        });
      }),
    )) as Result;
    await publisher.published(events, actor.scope ?? undefined);
    return result;
  }

  return {
    repeated,
    transact,

    /**
     * Changes an extension under its lock.
     * @throws {NOT_FOUND} {VERSION_CONFLICT} {GOVERNANCE_LOCKED} {IDEMPOTENCY_MISMATCH} and what `decide` throws
     */
    async change(
      actor: Actor,
      extensionId: string,
      options: ChangeOptions,
      decide: (row: ExtensionRow, tx: SqlTransaction) => Changed | null | Promise<Changed | null>,
    ): Promise<ExtensionRow> {
      requireId(extensionId, ['extensionId']);
      const attempt = async (): Promise<ExtensionRow> => {
        const known = await repeated(options.call);
        if (known) return known;
        return transact(actor, async (tx, append) => {
          const before = await lockExtension(tx, actor.tenantId, extensionId);
          if (!before || before.runtimeState === 'uninstalled') throw unknownExtension(extensionId);
          requireVersion(options.expectedVersion, before.revision);
          if (before.governance?.locked === true && options.evenLocked !== true)
            throw new PlatformError('GOVERNANCE_LOCKED', 'the extension is locked by governance');
          const changed = await decide(before, tx);
          if (changed === null) return before;
          const row: ExtensionRow = {
            ...before,
            ...changed.row,
            revision: before.revision + 1,
            updatedAt: new Date().toISOString(),
            updatedBy: actor.subject,
          };
          await putExtensions(tx, [row], 'upsert');
          await changed.write?.(tx, row);
          await append(
            [extensionEvent(options.type ?? options.action, row, changed.told), ...(changed.events ?? [])],
            {
              extensionId,
              action: options.action,
              detail: { runtimeState: row.runtimeState, version: row.version, ...changed.told },
            },
            options.call,
          );
          return row;
        });
      };
      try {
        return await attempt();
      } catch (error) {
        if (isIdempotencyRace(error)) return attempt();
        throw error;
      }
    },
  };
}

interface AuditOf {
  readonly extensionId: string;
  readonly action: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export type Commands = ReturnType<typeof createCommands>;
