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
import { appendChange, type Change, type NewAudit, type NewEvent, type NewJob } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import {
  applyChange,
  createPermissionSets,
  type Change as DecisionChange,
  type PermissionSets,
  type Snapshot,
} from './decision/index.ts';
import { toAssignment, toChange, toDelegation, toSubject } from './decisionRows.ts';
import type { RoleReplicas } from './replicas.ts';
import type { RoleAssignmentRow, RoleDelegationRow, RoleRow, SubjectRow } from './rows.ts';
import { lockTenant, saveRevision, upsertAssignments, upsertDelegations, upsertRoles, upsertSubject } from './store.ts';

/** What a command works with: its tenant as it stands under the lock, and what it leaves behind. */
export interface RoleWork {
  readonly tx: SqlTransaction;
  readonly principal: Principal;
  readonly tenantId: string;
  /** Of the transaction. */
  readonly timeMs: number;
  readonly now: string;
  readonly snapshot: Snapshot;
  sets(): PermissionSets;
  saveRoles(rows: readonly RoleRow[]): Promise<void>;
  saveAssignments(rows: readonly RoleAssignmentRow[]): Promise<void>;
  saveDelegations(rows: readonly RoleDelegationRow[]): Promise<void>;
  saveSubject(row: SubjectRow): Promise<void>;
  tell(...events: readonly NewEvent[]): void;
  note(entry: NewAudit): void;
  schedule(job: NewJob): void;
}

export type RoleResponse = Readonly<Record<string, unknown>>;

export interface RoleCommand {
  readonly scope: Pick<RequestScope, 'principal' | 'traceparent'> & Partial<Pick<RequestScope, 'written'>>;
  readonly idempotent: IdempotentCall | null;
  /** Judges, then writes. What it answers is kept with the idempotency key. @throws {PlatformError} before its first write. */
  readonly decide: (work: RoleWork) => Promise<RoleResponse>;
}

export type RoleCommands = Batcher<RoleCommand, RoleResponse>;

interface Traces {
  readonly events: NewEvent[];
  readonly audit: NewAudit[];
  readonly jobs: NewJob[];
}

/** One tenant in one transaction. */
interface Draft {
  readonly tenantId: string;
  readonly revision: number;
  snapshot: Snapshot;
  isChanged: boolean;
}

/**
 * Commands of a tenant are decided one after the other under its lock, each on what the one before has left, and share a
 * transaction with their neighbours.
 */
export function createRoleCommands(
  { sql, publisher, config }: Pick<ModuleRuntime, 'sql' | 'publisher' | 'config'>,
  replicas: RoleReplicas,
): RoleCommands {
  async function attempt(commands: readonly RoleCommand[]): Promise<(RoleResponse | Error)[]> {
    const stored = await findIdempotentResponses(
      sql,
      'role',
      commands.map((command) => command.idempotent),
    );
    const results: (RoleResponse | Error | undefined)[] = stored.map((found) =>
      found === undefined || found instanceof PlatformError ? found : (found.response as RoleResponse),
    );
    const taken = new Set<string>();
    const pending: number[] = [];
    const repeats: number[] = [];
    commands.forEach(({ idempotent }, index) => {
      if (results[index] !== undefined) return;
      const identity = idempotent && JSON.stringify([idempotent.tenantId, idempotent.subject, idempotent.key]);
      // The second of one key waits for the first.
      if (identity !== null && taken.has(identity)) repeats.push(index);
      else pending.push(index);
      if (identity !== null) taken.add(identity);
    });
    const answers = await commit(pending.map((index) => commands[index]!));
    pending.forEach((index, at) => {
      results[index] = answers[at]!;
    });
    if (repeats.length > 0) {
      const later = await attempt(repeats.map((index) => commands[index]!));
      repeats.forEach((index, at) => {
        results[index] = later[at]!;
      });
    }
    return results as (RoleResponse | Error)[];
  }

  async function commit(commands: readonly RoleCommand[]): Promise<(RoleResponse | Error)[]> {
    if (commands.length === 0) return [];
    const byTenant = Map.groupBy(commands.keys(), (at) => commands[at]!.scope.principal.tenantId);
    const tenants = [...byTenant.keys()].sort();
    // Its own replica knows what an instance has changed at once, so there has to be one.
    for (const tenantId of tenants) await replicas.load(tenantId);
    const committed = await sql.begin(async (tx) => {
      const results = new Array<RoleResponse | Error>(commands.length);
      const drafts: Draft[] = [];
      const changes: Change[] = [];
      const tellers: { readonly at: number; readonly count: number }[] = [];
      for (const tenantId of tenants) {
        const locked = await lockTenant(tx, tenantId);
        const snapshot = await replicas.readLocked(tx, tenantId, locked);
        const draft: Draft = { tenantId, revision: locked + 1, snapshot, isChanged: false };
        drafts.push(draft);
        for (const at of byTenant.get(tenantId)!) {
          const command = commands[at]!;
          const outcome = await run(tx, draft, command);
          results[at] = outcome.result;
          if (outcome.change === null) continue;
          changes.push(outcome.change);
          tellers.push({ at, count: outcome.change.events.length });
        }
        if (draft.isChanged) await saveRevision(tx, tenantId, draft.revision);
      }
      const events = changes.length === 0 ? [] : await appendChange(tx, 'role', changes);
      return { results, drafts, events, tellers };
    });
    for (const { tenantId, revision, snapshot, isChanged } of committed.drafts) {
      if (isChanged) replicas.adopt(tenantId, revision, snapshot);
    }
    await publish(commands, committed.tellers, committed.events);
    return committed.results;
  }

  /** Each request hears of its own events, for its consistency token. */
  async function publish(
    commands: readonly RoleCommand[],
    tellers: readonly { readonly at: number; readonly count: number }[],
    events: readonly EventRow[],
  ): Promise<void> {
    let from = 0;
    for (const { at, count } of tellers) {
      const own = events.slice(from, from + count);
      from += count;
      await publisher.published(own);
      for (const { eventId, tags } of own) commands[at]!.scope.written?.push({ eventId, tags });
    }
  }

  return createBatcher<RoleCommand, RoleResponse>({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(commands) {
      const once = () => transactionRetry.execute(() => attempt(commands));
      try {
        return await once();
      } catch (error) {
        if (isIdempotencyRace(error)) return once();
        if (commands.length === 1) throw error;
        // One that fails unexpectedly fails alone.
        const alone: (RoleResponse | Error)[] = [];
        for (const command of commands) alone.push(...(await attemptAlone(command)));
        return alone;
      }
    },
  });

  async function attemptAlone(command: RoleCommand): Promise<(RoleResponse | Error)[]> {
    try {
      return await transactionRetry.execute(() => attempt([command]));
    } catch (error) {
      return [error instanceof Error ? error : new Error(String(error))];
    }
  }
}

interface RunOutcome {
  readonly result: RoleResponse | PlatformError;
  readonly change: Change | null;
}

async function run(tx: SqlTransaction, draft: Draft, command: RoleCommand): Promise<RunOutcome> {
  const { principal, traceparent } = command.scope;
  const traces: Traces = { events: [], audit: [], jobs: [] };
  const writer = openWork(tx, draft, { principal, traces });
  try {
    const result = await command.decide(writer.work);
    const change: Change = {
      tenantId: principal.tenantId,
      actor: principal.subject,
      traceparent,
      ...traces,
      idempotency: idempotencyRecord(command.idempotent, result),
    };
    const leavesTraces = traces.events.length + traces.audit.length + traces.jobs.length > 0;
    return { result, change: leavesTraces || change.idempotency ? change : null };
  } catch (error) {
    // Half a command must not be committed with its neighbours.
    if (!(error instanceof PlatformError) || writer.hasWritten()) throw error;
    return { result: error, change: null };
  }
}

function openWork(
  tx: SqlTransaction,
  draft: Draft,
  { principal, traces }: { readonly principal: Principal; readonly traces: Traces },
) {
  const timeMs = Date.now();
  let sets: PermissionSets | undefined;
  let written = false;
  const apply = (changes: Iterable<DecisionChange>) => {
    written = true;
    draft.isChanged = true;
    for (const change of changes) draft.snapshot = applyChange(draft.snapshot, change);
  };
  const revised = <Row extends { readonly revision: number }>(rows: readonly Row[]): Row[] =>
    rows.map((row) => ({ ...row, revision: draft.revision }));
  const work: RoleWork = {
    tx,
    principal,
    tenantId: draft.tenantId,
    timeMs,
    now: new Date(timeMs).toISOString(),
    get snapshot() {
      return draft.snapshot;
    },
    sets() {
      if (sets?.snapshot !== draft.snapshot) sets = createPermissionSets(draft.snapshot);
      return sets;
    },
    async saveRoles(rows) {
      apply(rows.map(toChange));
      await upsertRoles(tx, revised(rows));
    },
    async saveAssignments(rows) {
      apply(rows.map((row) => ({ kind: 'assignment.saved', assignment: toAssignment(row) })));
      await upsertAssignments(tx, revised(rows));
    },
    async saveDelegations(rows) {
      apply(rows.map((row) => ({ kind: 'delegation.saved', delegation: toDelegation(row) })));
      await upsertDelegations(tx, revised(rows));
    },
    async saveSubject(row) {
      apply([{ kind: 'subject.saved', subject: toSubject(row) }]);
      await upsertSubject(tx, { ...row, revision: draft.revision }, principal.subject);
    },
    tell: (...events) => void traces.events.push(...events),
    note: (entry) => void traces.audit.push(entry),
    schedule: (job) => void traces.jobs.push(job),
  };
  return { work, hasWritten: () => written };
}
