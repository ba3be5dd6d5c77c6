import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVersion } from '#shared/validation.ts';
import { isOwnerOrAdmin } from './access.ts';
import { isGranted, requirePolicies } from './accessRights.ts';
import { timerJobs } from './changes.ts';
import type { CommandRunner, ContextCommand } from './commands.ts';
import type { ContextChanges, WriteOptions } from './contextChanges.ts';
import { contextEvent } from './events.ts';
import { readOverride, requireUnlocked } from './governance.ts';
import { countRunningPlans } from './plansAtWork.ts';
import type { ContextRow } from './rows.ts';
import { callOf, nowText, requireOwnerOr, requireQuota, unknownContext } from './rules.ts';
import { isOpen } from './states.ts';

/** Days within which a deletion can be undone. */
export const undoDays = 7;

/** What was told of running plans is asked for anew where the context had to be waited for longer than this. */
const maxAnswerAgeMs = 250;
const maxAsks = 3;

/** The answer about running plans had become old before the context could be locked. */
class StaleAnswer extends PlatformError {
  constructor() {
    super('UNAVAILABLE', 'the context is held by others: whether plans are carried out in it has to be asked anew', {
      retryAfterMs: 1_000,
    });
  }
}

export interface DeletionDeps {
  readonly commands: CommandRunner;
  readonly changes: ContextChanges;
}

/** Deleting a context and bringing it back. */
export function createDeletion(runtime: ModuleRuntime, { commands, changes }: DeletionDeps) {
  const { config } = runtime;
  return {
    /**
     * Hides a context and leaves the rest to a job. Deleting what is deleted answers the same again.
     * @throws {INVALID_STATE} when work still runs in it and `force` is not set. {UNAVAILABLE} when nobody can tell.
     *   {GOVERNANCE_LOCKED} {NOT_FOUND} {PERMISSION_DENIED}
     */
    async remove(
      scope: RequestScope,
      contextId: string,
      { force, idempotencyKey, ...options }: { readonly force: boolean } & Omit<WriteOptions, 'expectedVersion'>,
    ): Promise<{ contextId: string; restorableUntil: string; version: number | null }> {
      const claim = await readOverride(runtime, scope.principal, contextId, options.override);
      const { tenantId } = scope.principal;
      const command = (runs: Runs): ContextCommand => ({
        scope,
        contextId,
        countsUsage: true,
        name: null,
        action: 'delete',
        idempotent: callOf(scope.principal, idempotencyKey, 'deleteContext', {
          contextId,
          force,
          override: claim?.override ?? null,
        }),
        decide(current) {
          // What is deleted is there for those alone who may bring it back.
          if (!current || (current.deletedAt !== null && !isOwnerOrAdmin(current, scope.principal)))
            throw unknownContext(contextId);
          if (current.deletedAt !== null)
            return {
              row: null,
              response: { restorableUntil: restorableUntil(current.deletedAt), version: current.version },
            };
          if (!isGranted(current, scope.principal, 'context', ['delete']))
            requireOwnerOr(current, scope.principal, 'context:admin');
          requirePolicies(current, scope.principal, 'context', 'delete');
          const reference = requireUnlocked(current, claim);
          if (!force) requireIdle(current, runs);
          const row: ContextRow = {
            ...current,
            ...(reference === null ? {} : { governance: { ...current.governance, ...reference } }),
            deletedAt: nowText(),
            updatedAt: nowText(),
            updatedBy: scope.principal.subject,
            version: current.version + 1,
          };
          return {
            row,
            action: 'context.delete',
            detail: { force },
            response: { restorableUntil: restorableUntil(row.deletedAt!), version: row.version },
            events: [contextEvent('context.deleted', row, { deletedAt: row.deletedAt })],
            jobs: [
              {
                task: 'context.cascadeDelete',
                payload: { tenantId: row.tenantId, contextId: row.id },
                key: `context.cascadeDelete:${row.id}`,
              },
              {
                task: 'context.purge',
                payload: { tenantId: row.tenantId, contextId: row.id },
                runAt: new Date(restorableUntil(row.deletedAt!)),
                key: `context.purge:${row.id}`,
              },
            ],
          };
        },
      });
      for (let asked = 1; ; asked++) {
        const count = force ? 0 : await countRunningPlans(runtime, { tenantId, contextId });
        try {
          const { response } = await commands.run(command({ count, toldAtMs: performance.now() }));
          return {
            contextId,
            restorableUntil: response['restorableUntil'] as string,
            version: (response['version'] as number | undefined) ?? null,
          };
        } catch (error) {
          if (!(error instanceof StaleAnswer) || asked === maxAsks) throw error;
        }
      }
    },

    /**
     * @throws {NOT_FOUND} when it was never there or its undo time is over. {GOVERNANCE_LOCKED} {QUOTA_EXCEEDED}
     *   {PERMISSION_DENIED} {VERSION_CONFLICT}
     */
    async restore(
      scope: RequestScope,
      contextId: string,
      { idempotencyKey, expectedVersion, ...options }: WriteOptions,
    ): Promise<ContextRow> {
      const claim = await readOverride(runtime, scope.principal, contextId, options.override);
      const result = await commands.run({
        scope,
        contextId,
        countsUsage: true,
        name: { of: (current) => current?.title ?? '', path: ['contextId'] },
        idempotent: callOf(scope.principal, idempotencyKey, 'restoreContext', {
          contextId,
          expectedVersion: expectedVersion ?? null,
          override: claim?.override ?? null,
        }),
        decide(current, usage) {
          if (!current || (current.deletedAt !== null && !isOwnerOrAdmin(current, scope.principal)))
            throw unknownContext(contextId);
          requireVersion(expectedVersion, current.version);
          if (current.deletedAt === null) return { row: null };
          const reference = requireUnlocked(current, claim);
          if (isOpen(current.status))
            requireQuota(usage, config.QUOTA_CONTEXTS_PER_USER, config.QUOTA_CONTEXTS_PER_TENANT);
          const row: ContextRow = {
            ...current,
            ...(reference === null ? {} : { governance: { ...current.governance, ...reference } }),
            deletedAt: null,
            updatedAt: nowText(),
            updatedBy: scope.principal.subject,
            version: current.version + 1,
          };
          return {
            row,
            action: 'context.restore',
            events: [contextEvent('context.restored', row, { deletedAt: null })],
            jobs: timerJobs(row),
          };
        },
      });
      return changes.rowOf(scope, result);
    },
  };
}

/** What was told of the plans that are carried out in a context; a count of null is no answer. */
interface Runs {
  readonly count: number | null;
  readonly toldAtMs: number;
}

/**
 * Plans lie in another module, which no lock of ours holds: a run that begins between its answer and our commit does not
 * hold the deletion up, and is paused by the event that tells of it.
 */
function requireIdle({ sessionCount }: ContextRow, { count, toldAtMs }: Runs): void {
  if (sessionCount > 0)
    throw new PlatformError('INVALID_STATE', `the context has ${sessionCount} open sessions; end them or set force`, {
      path: ['force'],
    });
  if (performance.now() - toldAtMs > maxAnswerAgeMs) throw new StaleAnswer();
  if (count === null)
    throw new PlatformError(
      'UNAVAILABLE',
      'whether plans are carried out in the context cannot be told at the moment; try again or set force',
      { path: ['force'], retryAfterMs: 1_000 },
    );
  if (count > 0)
    throw new PlatformError('INVALID_STATE', `${count} plans are carried out in the context; end them or set force`, {
      path: ['force'],
      details: { runningPlans: count },
    });
}

function restorableUntil(deletedAt: string): string {
  return new Date(Date.parse(deletedAt) + undoDays * 86_400_000).toISOString();
}
