import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { NewJob } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { keepVisible } from './access.ts';
import { requirePolicies } from './accessRights.ts';
import { newContext, timerJobs } from './changes.ts';
import type { CommandResult, CommandRunner, ContextCommand, Outcome } from './commands.ts';
import { toDocument } from './document.ts';
import { contextEvent } from './events.ts';
import { type OverrideClaim, readOverride, requireUnlocked, withoutStaleDates } from './governance.ts';
import * as inputs from './inputs.ts';
import { newJoinToken } from './joinTokens.ts';
import type { ContextRow } from './rows.ts';
import { callOf, nowText, requireQuota, unknownContext } from './rules.ts';
import { toSharedEntries } from './sharedState.ts';
import { findContexts } from './store.ts';
import type { Usage } from './usage.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  /** As it was given: what a locked context asks for. */
  readonly override?: unknown;
  readonly idempotencyKey?: string | null | undefined;
}

/** How a change of a context is to be made. */
export interface ChangeOptions extends Omit<WriteOptions, 'override'> {
  readonly operation: string;
  readonly input: unknown;
  /** @default false */
  readonly countsUsage?: boolean;
  readonly name?: ContextCommand['name'];
  readonly override: OverrideClaim | null;
}

/** What a change makes of a context, and what is told of it. */
export interface Changed {
  readonly row: ContextRow;
  readonly changes: Readonly<Record<string, unknown>>;
  readonly jobs?: readonly NewJob[];
  /** Kept with the idempotency key beside the context id. */
  readonly response?: Readonly<Record<string, unknown>>;
}

export type ContextChanges = ReturnType<typeof createContextChanges>;

/** The goals it begins with, by key: who follows contexts hears of them as of those that are set later. */
function goalsOf(entries: readonly { readonly key: string; readonly value: unknown }[]): Record<string, unknown> {
  return Object.fromEntries(
    entries.filter(({ key }) => key.startsWith('goals.')).map(({ key, value }) => [key, value]),
  );
}

/** Commands that create and change contexts, and the way they are run. */
export function createContextChanges(runtime: ModuleRuntime, commands: CommandRunner) {
  const { sql, config } = runtime;

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
    const joinToken = input.accessControl?.joinPolicy === 'INVITATION_ONLY' ? newJoinToken() : null;
    const sharedEntries = toSharedEntries(input.sharedState ?? null, [...path, 'sharedState']);
    const decide = (_current: ContextRow | null, usage: Usage): Outcome => {
      requireQuota(usage, config.QUOTA_CONTEXTS_PER_USER, config.QUOTA_CONTEXTS_PER_TENANT);
      const row = newContext(id, scope.principal, input, sharedEntries, joinToken);
      return {
        row,
        action: 'context.create',
        events: [contextEvent('context.created', row, goalsOf(sharedEntries))],
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
      name: { of: () => input.title, path: [...path, 'title'] },
      decide,
    };
  }

  /** A command on an existing context: found, visible, not archived, unlocked or overridden, of the expected version. */
  function changeCommand(
    scope: RequestScope,
    contextId: string,
    options: ChangeOptions,
    change: (current: ContextRow) => Changed | null,
  ): ContextCommand {
    return {
      scope,
      contextId,
      countsUsage: options.countsUsage ?? false,
      name: options.name ?? null,
      idempotent: callOf(scope.principal, options.idempotencyKey, options.operation, {
        contextId,
        input: options.input,
        expectedVersion: options.expectedVersion ?? null,
        override: options.override?.override ?? null,
      }),
      decide(current) {
        if (!current || current.deletedAt !== null) throw unknownContext(contextId);
        requireVersion(options.expectedVersion, current.version);
        if (current.status === 'archived') throw new PlatformError('INVALID_STATE', 'an archived context is read-only');
        const governance = requireUnlocked(current, options.override);
        const changed = change(current);
        if (changed === null) return { row: null };
        const row: ContextRow = {
          ...changed.row,
          ...(governance === null ? {} : { governance: { ...(changed.row.governance ?? {}), ...governance } }),
          protocol: withoutStaleDates(current.protocol),
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
          ],
          jobs: changed.jobs ?? [],
          ...(changed.response === undefined ? {} : { response: changed.response }),
        };
      },
    };
  }

  return {
    createCommand,
    changeCommand,
    rowOf,

    /** Runs one change of one context. @throws {NOT_FOUND} {INVALID_STATE} {GOVERNANCE_LOCKED} {VERSION_CONFLICT} and what the change throws. */
    async apply(
      scope: RequestScope,
      contextId: string,
      options: WriteOptions & Omit<ChangeOptions, 'override'>,
      change: (current: ContextRow) => Changed | null,
    ): Promise<{ readonly row: ContextRow; readonly response: Readonly<Record<string, unknown>> }> {
      const override = await readOverride(runtime, scope.principal, contextId, options.override);
      const allowed = (current: ContextRow) => {
        const changed = change(current);
        // What a policy denies can be undone: who sees to the access list is not bound by what stands in it.
        if (changed !== null && Object.keys(changed.changes).some((key) => key !== 'accessControl'))
          requirePolicies(current, scope.principal, 'context', 'write');
        return changed;
      };
      const result = await commands.run(changeCommand(scope, contextId, { ...options, override }, allowed));
      return { row: await rowOf(scope, result), response: result.response };
    },
  };
}
