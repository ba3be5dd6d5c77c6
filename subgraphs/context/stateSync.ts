import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { findMemberships, isListed, isOwnerOrAdmin, isPrivate, requireListedTo } from './access.ts';
import { requirePolicies } from './accessRights.ts';
import { citeConfirm, type OverrideClaim, readOverride, requireUnlocked } from './governance.ts';
import { createGroupCommit, type Decision, type GroupCommand, type Refusal } from './groupCommit.ts';
import { mergeState, type StateConflict } from './mergeState.ts';
import type { ContextSharedStateRow } from './rows.ts';
import { callOf, unknownContext } from './rules.ts';
import { assembleSharedState, checksumOf, requireStateSize } from './sharedState.ts';
import { readStateUpdate, type StateUpdate } from './stateInput.ts';
import { type HeldState, holdStates, stateKey, writeStates } from './stateStore.ts';
import { requireOpen } from './transaction.ts';

interface StateCommand extends GroupCommand {
  readonly input: StateUpdate;
  readonly override: OverrideClaim | null;
}

export interface StateChange {
  readonly contextId: string;
  /** Null when an earlier call with the same key did the work: the state is read as it stands. */
  readonly state: ContextSharedStateRow | null;
  readonly conflicts: readonly StateConflict[];
}

/** Shared state: writers of one context take turns on its row; writers of many share transactions. */
export function createStateSync(runtime: ModuleRuntime) {
  const group = createGroupCommit<StateCommand, StateChange>(runtime, {
    async decide(tx, commands) {
      const writers = commands.map(({ scope: { principal }, input: { contextId } }) => ({
        tenantId: principal.tenantId,
        contextId,
        subject: principal.subject,
      }));
      const held = await holdStates(tx, writers);
      const sees = createSight(tx);
      const decisions: (Decision<StateChange> | Refusal | PlatformError)[] = [];
      for (const command of commands) {
        try {
          const state = held.get(stateKey(command.scope.principal.tenantId, command.input.contextId));
          if (!state || !(await sees(state, command.scope))) throw unknownContext(command.input.contextId);
          decisions.push(decide(state, command));
        } catch (error) {
          if (!(error instanceof PlatformError)) throw error;
          decisions.push(error.code === 'SYNC_CONFLICT' ? { error, events: [conflictEvent(command, error)] } : error);
        }
      }
      await writeStates(tx, [...held.values()], writers);
      return decisions;
    },
    recall: (response) => ({ ...(response as Omit<StateChange, 'state'>), state: null }),
  });

  return {
    /** @throws {SYNC_CONFLICT} {QUOTA_EXCEEDED} {VALIDATION_FAILED} {INVALID_STATE} {GOVERNANCE_LOCKED} {PERMISSION_DENIED} {NOT_FOUND} */
    async update(scope: RequestScope, raw: unknown): Promise<StateChange> {
      const input = readStateUpdate(raw);
      const { idempotencyKey: key, ...rest } = input;
      const hashed = {
        ...rest,
        changes: rest.changes.map((change) => ({ ...change, timestamp: change.timestamp?.toISOString() ?? null })),
      };
      const override = await readOverride(runtime, scope.principal, input.contextId, input.override);
      return group.add({
        scope,
        input,
        override,
        idempotent: callOf(scope.principal, key, 'updateSharedState', hashed),
      });
    },
    drain: () => group.drain(),
  };
}

/**
 * Answers whether a context is there for a caller, and refuses who may only read it; asks the database once for each pair.
 */
function createSight(tx: SqlTransaction) {
  const members = new Map<string, boolean>();
  return async ({ row }: HeldState, { principal }: RequestScope): Promise<boolean> => {
    if (row.deletedAt !== null) return false;
    if (!isPrivate(row) || isOwnerOrAdmin(row, principal)) return true;
    const pair = JSON.stringify([row.tenantId, row.id, principal.subject]);
    const member = members.get(pair) ?? (await findMemberships(tx, principal, [row.id])).size > 0;
    members.set(pair, member);
    if (!member && !isListed(row, principal)) return false;
    requireListedTo(row, principal, { isMember: member });
    return true;
  };
}

/** What watchers of the state hear of a refused writer: the state as it stands, and which keys it wanted. */
function conflictEvent({ input }: StateCommand, { details }: PlatformError): NewEvent {
  const { conflicts, version, checksum } = details as {
    conflicts: readonly StateConflict[];
    version: number;
    checksum: string;
  };
  return {
    streamId: input.contextId,
    type: 'context.state.conflict',
    data: { version, checksum, changedKeys: conflicts.map(({ key }) => key), changes: { conflicts } },
    tags: [],
  };
}

/** Decides one update on the locked state and takes it over into `held`. */
function decide(held: HeldState, { scope, input, override }: StateCommand): Decision<StateChange> {
  requireOpen(held.row);
  requirePolicies(held.row, scope.principal, 'sharedState', 'write');
  const reference = requireUnlocked(held.row, override);
  const { row } = held;
  if (input.baseVersion > row.sharedVersion)
    throw new PlatformError(
      'VALIDATION_FAILED',
      `input.baseVersion: expected at most ${row.sharedVersion}, the stored version, got ${input.baseVersion}`,
      { path: ['input', 'baseVersion'] },
    );
  if (
    input.baseChecksum != null &&
    input.baseVersion === row.sharedVersion &&
    input.baseChecksum !== row.sharedChecksum
  )
    throw new PlatformError(
      'SYNC_CONFLICT',
      'the writer holds another state under this version: it has to read it anew',
      {
        path: ['input', 'baseChecksum'],
        details: { conflicts: [], version: row.sharedVersion, checksum: row.sharedChecksum },
      },
    );
  const nowMs = Date.now();
  const nodeId = input.nodeId ?? scope.principal.subject;
  const merged = mergeState({
    head: row.sharedVersion,
    base: input.baseVersion,
    nodeId,
    policy: input.policy ?? 'LAST_WRITE_WINS',
    writes: input.changes.map(({ key, operation, value, timestamp }) => ({
      key,
      value: operation === 'DELETE' ? null : value,
      deleted: operation === 'DELETE',
      timestampMs: timestamp?.getTime() ?? nowMs,
    })),
    find: (key) => held.keys.get(key),
  });
  if (input.policy === 'REJECT' && merged.conflicts.length > 0) {
    const names = merged.conflicts.map(({ key }) => key);
    throw new PlatformError(
      'SYNC_CONFLICT',
      `changed since version ${input.baseVersion}: ${names.slice(0, 10).join(', ')}`,
      {
        path: ['input', 'changes', input.changes.findIndex(({ key }) => key === names[0])],
        details: { conflicts: merged.conflicts, version: row.sharedVersion, checksum: row.sharedChecksum },
      },
    );
  }
  const next = new Map(held.keys);
  for (const state of merged.applied) next.set(state.key, state);
  const entries = [...next.values()].filter(({ deleted }) => !deleted);
  requireStateSize(entries.length, ['input', 'changes']);
  const checksum = merged.applied.length === 0 ? row.sharedChecksum : checksumOf(entries);
  const updatedAt = merged.applied.length === 0 ? row.sharedUpdatedAt : new Date(nowMs).toISOString();
  for (const state of merged.applied) {
    held.keys.set(state.key, state);
    held.written.set(state.key, state);
  }
  const citation =
    reference === null || merged.applied.length === 0 ? null : citeConfirm(row, reference, scope.principal);
  if (citation !== null) held.citations.push(citation);
  held.row = {
    ...(citation?.row ?? row),
    sharedVersion: merged.version,
    sharedChecksum: checksum,
    sharedUpdatedAt: updatedAt,
    lastActivityAt: new Date(nowMs).toISOString(),
  };
  const tags = [`Context:${row.id}`];
  const common = { version: merged.version, checksum };
  const events = citation === null ? [] : [citation.event];
  if (merged.applied.length > 0) {
    const changes = Object.fromEntries(merged.applied.map(({ key, value, deleted }) => [key, deleted ? null : value]));
    events.push({
      streamId: row.id,
      type: 'context.state.sync',
      data: { ...common, changedKeys: merged.applied.map(({ key }) => key), changes },
      tags,
    });
  }
  if (merged.conflicts.length > 0) {
    // By its policy this writer's conflicts are settled: the greater write of each key stays.
    events.push({
      streamId: row.id,
      type: 'context.state.resolved',
      data: {
        ...common,
        changedKeys: merged.conflicts.map(({ key }) => key),
        changes: { conflicts: merged.conflicts },
      },
      tags: [],
    });
  }
  return {
    change: {
      events,
      audit: [
        {
          action: 'context.state.update',
          resource: 'Context',
          resourceId: row.id,
          detail: { version: merged.version, keys: merged.applied.map(({ key }) => key) },
        },
      ],
    },
    response: { contextId: row.id, conflicts: merged.conflicts },
    result: {
      contextId: row.id,
      state: { ...common, updatedAt, ...assembleSharedState(entries) },
      conflicts: merged.conflicts,
    },
  };
}
