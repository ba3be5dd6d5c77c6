import { randomBytes } from 'node:crypto';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { NewJob } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { keepVisible } from './access.ts';
import { createBulk } from './bulk.ts';
import { moveContext, newContext, patchContext, timerJobs, withoutStaleDates } from './changes.ts';
import {
  type CommandResult,
  type CommandRunner,
  type ContextCommand,
  createCommandRunner,
  type Outcome,
  type Usage,
} from './commands.ts';
import { toDocument } from './document.ts';
import { contextEvent } from './events.ts';
import { createHealth } from './health.ts';
import * as inputs from './inputs.ts';
import { createContextLists } from './lists.ts';
import { createMetadata } from './metadata.ts';
import { createParticipants } from './participants.ts';
import type { ContextRow, ContextStatusValue } from './rows.ts';
import {
  callOf,
  type GovernanceOverride,
  nowText,
  requireOwnerOr,
  requireQuota,
  requireUnlocked,
  unknownContext,
} from './rules.ts';
import { createContextSearch } from './search/search.ts';
import { createSessions } from './sessions.ts';
import { toSharedEntries } from './sharedState.ts';
import { createStateSync } from './stateSync.ts';
import { isOpen } from './states.ts';
import { findContexts } from './store.ts';
import { createUpkeep } from './upkeep.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly override?: GovernanceOverride | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export interface CreatedContext {
  readonly context: ContextRow;
  readonly joinToken: string | null;
}

const undoDays = 7;

export type ContextService = ReturnType<typeof createContextService>;

export function createContextService(runtime: ModuleRuntime) {
  const { sql, config } = runtime;
  const commands: CommandRunner = createCommandRunner(runtime);

  /** The row a command left, or what stands now when an earlier call did the work. */
  async function rowOf(scope: RequestScope, result: CommandResult): Promise<ContextRow> {
    const [row] = result.row
      ? [result.row]
      : await keepVisible(sql, scope, await findContexts(sql, scope.principal.tenantId, [result.contextId]));
    if (!row) throw unknownContext(result.contextId);
    return row;
  }

  function createCommand(scope: RequestScope, raw: unknown, path: readonly (string | number)[]): ContextCommand {
    const input = parseInput(inputs.createContext, raw, path);
    const { idempotencyKey, ...rest } = input;
    const id = newId();
    const joinToken =
      input.accessControl?.joinPolicy === 'INVITATION_ONLY' ? randomBytes(24).toString('base64url') : null;
    const sharedEntries = toSharedEntries(input.sharedState ?? null, [...path, 'sharedState']);
    const decide = (_current: ContextRow | null, usage: Usage): Outcome => {
      requireQuota(usage, config.QUOTA_CONTEXTS_PER_USER, config.QUOTA_CONTEXTS_PER_TENANT);
      const row = newContext(id, scope.principal, input, sharedEntries, joinToken);
      return {
        row,
        action: 'context.create',
        events: [contextEvent('context.created', row, {})],
        jobs: timerJobs(row),
        sharedEntries,
        // Kept a day with the key, so that a creator who lost the answer still gets the token.
        ...(joinToken === null ? {} : { response: { joinToken } }),
      };
    };
    return {
      scope,
      contextId: id,
      idempotent: callOf(scope.principal, idempotencyKey, 'createContext', rest),
      countsUsage: true,
      decide,
    };
  }

  /** A command on an existing context: found, visible, not archived, unlocked or overridden, of the expected version. */
  function changeCommand(
    scope: RequestScope,
    contextId: string,
    options: WriteOptions & { readonly operation: string; readonly input: unknown; readonly countsUsage: boolean },
    change: (current: ContextRow) => {
      readonly row: ContextRow;
      readonly changes: Readonly<Record<string, unknown>>;
      readonly events?: Outcome['events'];
      readonly jobs?: readonly NewJob[];
    } | null,
  ): ContextCommand {
    requireId(contextId, ['contextId']);
    const override = options.override ? parseInput(inputs.governanceOverride, options.override, ['override']) : null;
    return {
      scope,
      contextId,
      countsUsage: options.countsUsage,
      idempotent: callOf(scope.principal, options.idempotencyKey, options.operation, {
        contextId,
        input: options.input,
        expectedVersion: options.expectedVersion ?? null,
      }),
      decide(current) {
        if (!current || current.deletedAt !== null) throw unknownContext(contextId);
        requireVersion(options.expectedVersion, current.version);
        if (current.status === 'archived') throw new PlatformError('INVALID_STATE', 'an archived context is read-only');
        const governance = requireUnlocked(current, scope.principal, override);
        const changed = change(current);
        if (changed === null) return null;
        const row: ContextRow = {
          ...changed.row,
          ...(governance === null ? {} : { governance: { ...(changed.row.governance ?? {}), ...governance } }),
          ...(current.protocol === null ? {} : { protocol: withoutStaleDates(current.protocol) }),
          version: current.version + 1,
          updatedAt: nowText(),
          updatedBy: scope.principal.subject,
          lastActivityAt: nowText(),
        };
        const statusChanged = row.status !== current.status;
        return {
          row,
          action: `context.${options.operation}`,
          detail: { changed: Object.keys(changed.changes) },
          snapshot: { document: toDocument(current), changed: Object.keys(changed.changes) },
          events: [
            contextEvent('context.updated', row, changed.changes),
            ...(statusChanged
              ? [
                  contextEvent('context.state.changed', row, {
                    status: row.status.toUpperCase(),
                    from: current.status.toUpperCase(),
                    reason: row.closeReason,
                  }),
                ]
              : []),
            ...(changed.events ?? []),
          ],
          jobs: changed.jobs ?? [],
        };
      },
    };
  }

  const sharedState = createStateSync(runtime);
  const search = createContextSearch(runtime);

  return {
    sql,
    search,
    lists: createContextLists(sql, search),
    participants: createParticipants(runtime),
    sessions: createSessions(runtime),
    metadata: createMetadata(runtime),
    sharedState,
    health: createHealth(sql),
    bulk: createBulk({ sql, commands, createCommand }),
    upkeep: createUpkeep(runtime, { commands, changeCommand }),

    /** Waits for what is being written. */
    async drain(): Promise<void> {
      await Promise.all([commands.drain(), sharedState.drain()]);
    },

    /** @throws {QUOTA_EXCEEDED} when owner or tenant hold their maximum of open contexts. */
    async create(scope: RequestScope, raw: unknown): Promise<CreatedContext> {
      const result = await commands.run(createCommand(scope, raw, ['input']));
      return {
        context: await rowOf(scope, result),
        joinToken: (result.response['joinToken'] as string | undefined) ?? null,
      };
    },

    /**
     * Applies a patch to the allowed fields.
     * @throws {VERSION_CONFLICT} {INVALID_STATE_TRANSITION} {GOVERNANCE_LOCKED} {NOT_FOUND} {VALIDATION_FAILED}
     */
    async update(scope: RequestScope, contextId: string, raw: unknown, options: WriteOptions): Promise<ContextRow> {
      const patch = parseInput(inputs.contextPatch, raw, ['patch']);
      const command = changeCommand(
        scope,
        contextId,
        { ...options, operation: 'updateContext', input: patch, countsUsage: patch.status !== undefined },
        (current) => {
          const changes: Record<string, unknown> = {};
          const row = patchContext(current, patch, scope.principal, changes);
          const to = patch.status === undefined ? null : (patch.status.toLowerCase() as ContextStatusValue);
          const moved =
            to === null || to === current.status ? row : moveContext(row, to, scope.principal, null, changes);
          return Object.keys(changes).length === 0
            ? null
            : {
                row: moved,
                changes,
                jobs: 'expiresAt' in changes || moved.status !== current.status ? timerJobs(moved) : [],
              };
        },
      );
      return rowOf(scope, await commands.run(command));
    },

    /** @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} {NOT_FOUND} {GOVERNANCE_LOCKED} {VERSION_CONFLICT} */
    async changeStatus(
      scope: RequestScope,
      contextId: string,
      status: string,
      reason: string | null | undefined,
      options: WriteOptions,
    ): Promise<ContextRow> {
      const note = reason == null ? null : parseInput(inputs.reason, reason, ['reason']);
      const to = status.toLowerCase() as ContextStatusValue;
      const command = changeCommand(
        scope,
        contextId,
        { ...options, operation: 'changeContextStatus', input: { status, reason: note }, countsUsage: true },
        (current) => {
          const changes: Record<string, unknown> = {};
          const row = moveContext(current, to, scope.principal, note, changes);
          return { row, changes, jobs: timerJobs(row) };
        },
      );
      return rowOf(scope, await commands.run(command));
    },

    /**
     * Hides a context and leaves the rest to a job. Deleting what is deleted answers the same again.
     * @throws {INVALID_STATE} when work still runs in it and `force` is not set.
     */
    async remove(
      scope: RequestScope,
      contextId: string,
      force: boolean,
      idempotencyKey: string | null | undefined,
    ): Promise<{ contextId: string; restorableUntil: string }> {
      requireId(contextId, ['contextId']);
      const result = await commands.run({
        scope,
        contextId,
        countsUsage: true,
        idempotent: callOf(scope.principal, idempotencyKey, 'deleteContext', { contextId, force }),
        decide(current) {
          if (!current) throw unknownContext(contextId);
          if (current.deletedAt !== null) return null;
          requireOwnerOr(current, scope.principal, 'context:admin');
          requireUnlocked(current, scope.principal, null);
          if (!force && current.sessionCount > 0) {
            throw new PlatformError(
              'INVALID_STATE',
              `the context has ${current.sessionCount} open sessions; end them or set force`,
              { path: ['force'] },
            );
          }
          const row: ContextRow = {
            ...current,
            deletedAt: nowText(),
            updatedAt: nowText(),
            updatedBy: scope.principal.subject,
            version: current.version + 1,
          };
          return {
            row,
            action: 'context.delete',
            detail: { force },
            response: { restorableUntil: restorableUntil(row.deletedAt!) },
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
      const until =
        (result.response['restorableUntil'] as string | undefined) ?? restorableUntil(result.row!.deletedAt!);
      return { contextId, restorableUntil: until };
    },

    /** @throws {NOT_FOUND} when it was never there or its undo time is over. */
    async restore(
      scope: RequestScope,
      contextId: string,
      idempotencyKey: string | null | undefined,
    ): Promise<ContextRow> {
      requireId(contextId, ['contextId']);
      const result = await commands.run({
        scope,
        contextId,
        countsUsage: true,
        idempotent: callOf(scope.principal, idempotencyKey, 'restoreContext', { contextId }),
        decide(current, usage) {
          if (!current) throw unknownContext(contextId);
          if (current.deletedAt === null) return null;
          requireOwnerOr(current, scope.principal, 'context:admin');
          if (isOpen(current.status))
            requireQuota(usage, config.QUOTA_CONTEXTS_PER_USER, config.QUOTA_CONTEXTS_PER_TENANT);
          const row: ContextRow = {
            ...current,
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
      return rowOf(scope, result);
    },
  };
}

function restorableUntil(deletedAt: string): string {
  return new Date(Date.parse(deletedAt) + undoDays * 86_400_000).toISOString();
}
