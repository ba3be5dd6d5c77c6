import { createBeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { isPrivate } from './access.ts';
import { hidesFrom } from './accessList.ts';
import { createBulk } from './bulk.ts';
import { moveContext, patchContext, seatJobs, timerJobs } from './changes.ts';
import { createCommandRunner } from './commands.ts';
import { createContextChanges, type WriteOptions } from './contextChanges.ts';
import { createDeletion } from './deletion.ts';
import { createHealth } from './health.ts';
import { untilHeard } from './heard.ts';
import * as inputs from './inputs.ts';
import { createJoinTokens } from './joinTokens.ts';
import { createContextLists } from './lists.ts';
import { createMetadata } from './metadata.ts';
import { createNameLookup } from './names.ts';
import { createParticipants } from './participants.ts';
import type { ContextRow, ContextStatusValue } from './rows.ts';
import { createContextSearch } from './search/search.ts';
import { createSessions } from './sessions.ts';
import { createStateSync } from './stateSync.ts';
import { createContextReader } from './store.ts';
import { createUpkeep } from './upkeep.ts';

export interface CreatedContext {
  readonly context: ContextRow;
  readonly joinToken: string | null;
}

export type ContextService = ReturnType<typeof createContextService>;

export function createContextService(runtime: ModuleRuntime) {
  const { sql, config } = runtime;
  const commands = createCommandRunner(runtime);
  const changes = createContextChanges(runtime, commands);
  const sharedState = createStateSync(runtime);
  const hooks = createBeforeHooks(runtime, 'context');
  const participants = createParticipants(runtime, hooks);
  const search = createContextSearch(runtime);

  return {
    sql,
    rows: createContextReader(runtime.keyedSql ?? sql),
    search,
    lists: createContextLists(sql, search),
    names: createNameLookup(runtime),
    participants,
    hooks,
    sessions: createSessions(runtime),
    metadata: createMetadata(runtime),
    sharedState,
    health: createHealth(runtime),
    joinTokens: createJoinTokens(changes),
    bulk: createBulk({ sql, commands, createCommand: changes.createCommand }),
    upkeep: createUpkeep(runtime, { commands, changeCommand: changes.changeCommand, limitOf: participants.limitOf }),
    ...createDeletion(runtime, { commands, changes }),

    /** Waits for what is being written. */
    async drain(): Promise<void> {
      await Promise.all([commands.drain(), participants.drain(), sharedState.drain()]);
    },

    /** @throws {QUOTA_EXCEEDED} when owner or tenant hold their maximum of open contexts. @throws {DUPLICATE_NAME} */
    async create(scope: RequestScope, raw: unknown): Promise<CreatedContext> {
      const result = await commands.run(changes.createCommand(scope, raw, ['input']));
      return {
        context: await changes.rowOf(scope, result),
        joinToken: (result.response['joinToken'] as string | undefined) ?? null,
      };
    },

    /**
     * Applies a patch to the allowed fields.
     * @throws {VERSION_CONFLICT} {INVALID_STATE_TRANSITION} {GOVERNANCE_LOCKED} {NOT_FOUND} {VALIDATION_FAILED} {DUPLICATE_NAME}
     */
    async update(scope: RequestScope, contextId: string, raw: unknown, options: WriteOptions): Promise<ContextRow> {
      const patch = parseInput(inputs.contextPatch, raw, ['patch']);
      const { title } = patch;
      let closes = false;
      const { row } = await changes.apply(
        scope,
        contextId,
        {
          ...options,
          operation: 'updateContext',
          input: patch,
          // The owner's counter is also the lock under which names are taken.
          countsUsage: patch.status !== undefined || (config.CONTEXT_UNIQUE_NAMES && title !== undefined),
          name: title === undefined ? null : { of: () => title, path: ['patch', 'title'] },
        },
        (current) => {
          const changed: Record<string, unknown> = {};
          const patched = patchContext(current, patch, scope.principal, changed);
          const to = patch.status === undefined ? null : (patch.status.toLowerCase() as ContextStatusValue);
          const moved =
            to === null || to === current.status ? patched : moveContext(patched, to, scope.principal, null, changed);
          if (Object.keys(changed).length === 0) return null;
          closes = isPrivate(moved) && (!isPrivate(current) || hidesFrom(current, moved));
          const timed = 'expiresAt' in changed || moved.status !== current.status;
          const jobs = [...(timed ? timerJobs(moved) : []), ...seatJobs(current, moved)];
          return { row: moved, changes: changed, jobs };
        },
      );
      if (closes) await untilHeard(sql, { tenantId: row.tenantId, contextId });
      return row;
    },

    /** @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} {NOT_FOUND} {GOVERNANCE_LOCKED} {VERSION_CONFLICT} */
    async changeStatus(
      scope: RequestScope,
      contextId: string,
      {
        status,
        reason,
        ...options
      }: WriteOptions & { readonly status: string; readonly reason?: string | null | undefined },
    ): Promise<ContextRow> {
      const note = reason == null ? null : parseInput(inputs.reason, reason, ['reason']);
      const to = status.toLowerCase() as ContextStatusValue;
      let closes = false;
      const { row } = await changes.apply(
        scope,
        contextId,
        { ...options, operation: 'changeContextStatus', input: { status, reason: note }, countsUsage: true },
        (current) => {
          const changed: Record<string, unknown> = {};
          const moved = moveContext(current, to, scope.principal, note, changed);
          closes = isPrivate(moved) && hidesFrom(current, moved);
          return { row: moved, changes: changed, jobs: timerJobs(moved) };
        },
      );
      if (closes) await untilHeard(sql, { tenantId: row.tenantId, contextId });
      return row;
    },
  };
}
