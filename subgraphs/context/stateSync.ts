import { z } from 'zod';
import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponses,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, idempotencyKey, json, parseInput, text } from '#shared/validation.ts';
import { findMemberships, isOwnerOrAdmin, isPrivate } from './access.ts';
import type { SharedStateSnapshot } from './children.ts';
import {
  type Citation,
  citeConfirm,
  governanceOverride,
  type OverrideClaim,
  readOverride,
  requireUnlocked,
  storeCitations,
} from './governance.ts';
import { mergeState, type SharedKeyState, type StateConflict } from './mergeState.ts';
import type { ContextRow } from './rows.ts';
import { callOf, unknownContext } from './rules.ts';
import { assembleSharedState, checksumOf, requireSharedKey, requireStateSize } from './sharedState.ts';
import { lockContexts } from './store.ts';
import { requireOpen } from './transaction.ts';

const maxAheadMs = 300_000;

const updateInput = z.object({
  contextId: id,
  baseVersion: z.number().int().min(0),
  changes: z
    .array(
      z.object({
        key: text({ min: 1, max: 512 }),
        operation: z.enum(['SET', 'DELETE']).nullish(),
        value: json({ maxBytes: 1_048_576 }).optional(),
        timestamp: z.date().nullish(),
      }),
    )
    .min(1)
    .max(1_000),
  policy: z.enum(['LAST_WRITE_WINS', 'REJECT']).nullish(),
  nodeId: text({ min: 1, max: 255 }).nullish(),
  override: governanceOverride.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

type UpdateInput = z.output<typeof updateInput>;

interface StateCommand {
  readonly scope: RequestScope;
  readonly input: UpdateInput;
  readonly override: OverrideClaim | null;
  readonly idempotent: IdempotentCall | null;
}

export interface StateChange {
  readonly contextId: string;
  /** Null when an earlier call with the same key did the work: the state is read as it stands. */
  readonly state: SharedStateSnapshot | null;
  readonly conflicts: readonly StateConflict[];
}

interface KeyRow {
  tenant_id: string;
  context_id: string;
  key: string;
  value: unknown;
  deleted: boolean;
  version: number;
  changed_ms: number;
  node_id: string;
}

interface HeldState {
  row: ContextRow;
  readonly keys: Map<string, SharedKeyState>;
  readonly written: Map<string, SharedKeyState>;
  readonly citations: Citation[];
}

/** Shared state: writers of one context take turns on its row; writers of many share transactions. */
export function createStateSync(runtime: ModuleRuntime) {
  const { sql, publisher, config } = runtime;

  async function attempt(commands: readonly StateCommand[]): Promise<(StateChange | Error)[]> {
    const stored = await findIdempotentResponses(
      sql,
      'context',
      commands.map((command) => command.idempotent),
    );
    const results: (StateChange | Error | undefined)[] = stored.map((found) => {
      if (found === undefined || found instanceof PlatformError) return found;
      return { ...(found.response as Omit<StateChange, 'state'>), state: null };
    });
    const taken = new Map<string, number>();
    const pending: { readonly command: StateCommand; readonly index: number }[] = [];
    const repeats: { readonly command: StateCommand; readonly index: number }[] = [];
    commands.forEach((command, index) => {
      if (results[index] !== undefined) return;
      const identity =
        command.idempotent &&
        JSON.stringify([command.idempotent.tenantId, command.idempotent.subject, command.idempotent.key]);
      // The second of one key waits for the first: it is answered from what that one leaves.
      if (identity !== null && taken.has(identity)) {
        repeats.push({ command, index });
        return;
      }
      if (identity !== null) taken.set(identity, index);
      pending.push({ command, index });
    });
    let events: readonly EventRow[] = [];
    let counts: { readonly scope: RequestScope; readonly count: number }[] = [];
    if (pending.length > 0) {
      await sql.begin(async (tx) => {
        const changes: Change[] = [];
        counts = [];
        const held = await hold(
          tx,
          pending.map(({ command }) => command),
        );
        const seen = new Map<string, boolean>();
        for (const { command, index } of pending) {
          const { principal, traceparent } = command.scope;
          const state = held.get(keyOf(principal.tenantId, command.input.contextId));
          try {
            if (!state || state.row.deletedAt !== null) throw unknownContext(command.input.contextId);
            if (isPrivate(state.row) && !isOwnerOrAdmin(state.row, principal)) {
              const identity = JSON.stringify([principal.tenantId, state.row.id, principal.subject]);
              const member = seen.get(identity) ?? (await findMemberships(tx, principal, [state.row.id])).size > 0;
              seen.set(identity, member);
              if (!member) throw unknownContext(command.input.contextId);
            }
            const { change, result } = decide(state, command);
            results[index] = result;
            const appended = {
              ...change,
              tenantId: principal.tenantId,
              actor: principal.subject,
              traceparent,
              idempotency: idempotencyRecord(command.idempotent, {
                contextId: result.contextId,
                conflicts: result.conflicts,
              }),
            };
            changes.push(appended);
            counts.push({ scope: command.scope, count: appended.events.length });
          } catch (error) {
            if (!(error instanceof PlatformError)) throw error;
            results[index] = error;
          }
        }
        if (changes.length === 0) return;
        await write(
          tx,
          [...held.values()],
          pending.map(({ command }) => command),
        );
        events = await appendChange(tx, 'context', changes);
      });
    }
    let from = 0;
    for (const { scope, count } of counts) {
      await publisher.published(events.slice(from, from + count), scope);
      from += count;
    }
    pending.forEach(({ command, index }) => {
      const result = results[index];
      if (result instanceof PlatformError && result.code === 'SYNC_CONFLICT') tellConflict(command, result);
    });
    if (repeats.length > 0) {
      const answers = await attempt(repeats.map(({ command }) => command));
      repeats.forEach(({ index }, at) => {
        results[index] = answers[at];
      });
    }
    return results as (StateChange | Error)[];
  }

  /** Nothing is stored of what was refused, so its event passes by like presence: watchers of the state hear of it. */
  function tellConflict({ scope, input }: StateCommand, error: PlatformError): void {
    const { conflicts, version, checksum } = error.details as {
      conflicts: readonly StateConflict[];
      version: number;
      checksum: string;
    };
    publisher.ephemeral({
      tenantId: scope.principal.tenantId,
      module: 'context',
      streamId: input.contextId,
      type: 'context.state.conflict',
      actor: scope.principal.subject,
      data: { version, checksum, changedKeys: conflicts.map(({ key }) => key), changes: { conflicts } },
      createdAt: new Date().toISOString(),
    });
  }

  const batcher: Batcher<StateCommand, StateChange> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(commands) {
      const once = () => transactionRetry.execute(() => attempt(commands));
      try {
        return await once();
      } catch (error) {
        if (isIdempotencyRace(error)) return once();
        throw error;
      }
    },
  });

  return {
    /** @throws {SYNC_CONFLICT} {QUOTA_EXCEEDED} {VALIDATION_FAILED} {INVALID_STATE} {GOVERNANCE_LOCKED} {NOT_FOUND} */
    async update(scope: RequestScope, raw: unknown): Promise<StateChange> {
      const input = parseInput(updateInput, raw);
      const keys = new Set<string>();
      input.changes.forEach((change, index) => {
        const path = ['input', 'changes', index];
        requireSharedKey(change.key, [...path, 'key']);
        if (keys.has(change.key))
          throw new PlatformError(
            'VALIDATION_FAILED',
            `input.changes.${index}.key: expected each key once, got ${JSON.stringify(change.key.slice(0, 60))} again`,
            { path: [...path, 'key'] },
          );
        keys.add(change.key);
        if (change.operation !== 'DELETE' && change.value === undefined)
          throw new PlatformError('VALIDATION_FAILED', `input.changes.${index}.value: SET needs a value`, {
            path: [...path, 'value'],
          });
        if (change.timestamp && change.timestamp.getTime() > Date.now() + maxAheadMs)
          throw new PlatformError(
            'VALIDATION_FAILED',
            `input.changes.${index}.timestamp: expected at most ${maxAheadMs} ms ahead of now`,
            { path: [...path, 'timestamp'] },
          );
      });
      const { idempotencyKey: key, ...rest } = input;
      const hashed = {
        ...rest,
        changes: rest.changes.map((change) => ({ ...change, timestamp: change.timestamp?.toISOString() ?? null })),
      };
      const override = await readOverride(runtime.authorizer, scope.principal, input.contextId, input.override);
      return batcher.add({
        scope,
        input,
        override,
        idempotent: callOf(scope.principal, key, 'updateSharedState', hashed),
      });
    },
    drain: () => batcher.drain(),
  };
}

type Transaction = Parameters<typeof lockContexts>[0];

/** Locks the contexts and reads the keys their states hold. */
async function hold(tx: Transaction, commands: readonly StateCommand[]): Promise<ReadonlyMap<string, HeldState>> {
  const rows = await lockContexts(
    tx,
    commands.map(({ scope, input }) => ({ tenantId: scope.principal.tenantId, id: input.contextId })),
  );
  const held = new Map<string, HeldState>(
    rows.map((row) => [keyOf(row.tenantId, row.id), { row, keys: new Map(), written: new Map(), citations: [] }]),
  );
  const keys = (await tx.unsafe(
    `SELECT s.tenant_id, s.context_id, s.key, s.value, s.value IS NULL AS deleted, s.version, (extract(epoch FROM s.changed_at) * 1000)::float8 AS changed_ms, s.node_id
     FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, context_id) JOIN context.shared_key s USING (tenant_id, context_id)`,
    [rows.map((row) => row.tenantId), rows.map((row) => row.id)],
    { prepare: true },
  )) as unknown as KeyRow[];
  for (const { tenant_id, context_id, changed_ms, node_id, ...rest } of keys) {
    held
      .get(keyOf(tenant_id, context_id))!
      .keys.set(rest.key, { ...rest, changedAtMs: Math.round(changed_ms), nodeId: node_id });
  }
  return held;
}

/** Decides one update on the locked state and takes it over into `held`. */
function decide(
  held: HeldState,
  { scope, input, override }: StateCommand,
): { change: Pick<Change, 'events' | 'audit'>; result: StateChange } {
  requireOpen(held.row);
  const reference = requireUnlocked(held.row, override);
  const { row } = held;
  if (input.baseVersion > row.sharedVersion)
    throw new PlatformError(
      'VALIDATION_FAILED',
      `input.baseVersion: expected at most ${row.sharedVersion}, the stored version, got ${input.baseVersion}`,
      { path: ['input', 'baseVersion'] },
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
    events.push({
      streamId: row.id,
      type: 'context.state.conflict',
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
    result: {
      contextId: row.id,
      state: { ...common, updatedAt, ...assembleSharedState(entries) },
      conflicts: merged.conflicts,
    },
  };
}

async function write(tx: Transaction, held: readonly HeldState[], commands: readonly StateCommand[]): Promise<void> {
  const changed = held.filter(({ written }) => written.size > 0);
  if (changed.length === 0) return;
  const keys = changed.flatMap(({ row, written }) =>
    [...written.values()].map((state) => ({
      tenant_id: row.tenantId,
      context_id: row.id,
      key: state.key,
      // As text: a JSON null in a record set would become an SQL NULL, which is a deletion here.
      value: state.deleted ? null : JSON.stringify(state.value),
      version: state.version,
      changed_at: new Date(state.changedAtMs).toISOString(),
      node_id: state.nodeId,
    })),
  );
  await tx.unsafe(
    `INSERT INTO context.shared_key (tenant_id, context_id, key, value, version, changed_at, node_id)
     SELECT tenant_id, context_id, key, value::jsonb, version, changed_at, node_id
     FROM json_to_recordset($1::text::json) AS s(tenant_id text, context_id uuid, key text, value text, version int, changed_at timestamptz, node_id text)
     ON CONFLICT (tenant_id, context_id, key) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version, changed_at = EXCLUDED.changed_at, node_id = EXCLUDED.node_id`,
    [JSON.stringify(keys)],
    { prepare: true },
  );
  const heads = changed.map(({ row }) => ({
    tenant_id: row.tenantId,
    id: row.id,
    version: row.sharedVersion,
    checksum: row.sharedChecksum,
    at: row.sharedUpdatedAt,
  }));
  await tx.unsafe(
    `UPDATE context.context c SET shared_version = h.version, shared_checksum = h.checksum, shared_updated_at = h.at, last_activity_at = GREATEST(c.last_activity_at, h.at)
     FROM json_to_recordset($1::text::json) AS h(tenant_id text, id uuid, version int, checksum text, at timestamptz) WHERE c.tenant_id = h.tenant_id AND c.id = h.id`,
    [JSON.stringify(heads)],
    { prepare: true },
  );
  await storeCitations(
    tx,
    changed.flatMap(({ citations }) => citations),
  );
  // Who writes is active; noted once a minute.
  await tx.unsafe(
    `UPDATE context.participant p SET last_activity_at = now() FROM unnest($1::text[], $2::uuid[], $3::text[]) AS w(tenant_id, context_id, subject)
     WHERE p.tenant_id = w.tenant_id AND p.context_id = w.context_id AND p.agent_id = w.subject AND p.status = 'ACTIVE' AND p.last_activity_at < now() - interval '1 minute'`,
    [
      commands.map(({ scope }) => scope.principal.tenantId),
      commands.map(({ input }) => input.contextId),
      commands.map(({ scope }) => scope.principal.subject),
    ],
    { prepare: true },
  );
}

function keyOf(tenantId: string, contextId: string): string {
  return `${tenantId}/${contextId}`;
}
