import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { type IdempotentCall, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { sortBatch } from '#shared/idempotentBatch.ts';
import { appendChange, type Change, type NewAudit } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { CommandAnswer, ExecutionCommand } from './decide.ts';
import { decide, startExecution } from './decide.ts';
import { dispatch } from './dispatch.ts';
import { type Draft, type Lease, later, type Message, terminal } from './draft.ts';
import { type DraftOptions, openChildDraft, openDrafts, openNewDraft } from './drafts.ts';
import { executionEvents } from './events.ts';
import { nextAtOf } from './finish.ts';
import { settleResources } from './resources.ts';
import {
  claimDue,
  type ExecutionKey,
  giveSlot,
  keyOf,
  type LockedExecution,
  lockExecutions,
  lockSlots,
  markTold,
  type NewExecution,
  takeSlot,
  writeDrafts,
} from './store.ts';

/** The workers of this process, as transitions see them: what they may hand out is reserved before it is committed. */
export interface Dispatcher {
  readonly owner: string;
  reserve(wanted: number): number;
  release(count: number): void;
  accept(leases: readonly Lease[]): void;
  /** An execution falls due in this time. */
  expect(dueMs: number): void;
}

export interface Sender {
  readonly subject: string;
  readonly scope: RequestScope | null;
  readonly audit: NewAudit | null;
  readonly idempotent: IdempotentCall | null;
}

interface Item extends Sender {
  readonly key: ExecutionKey;
  readonly command: ExecutionCommand | { readonly kind: 'start'; readonly execution: NewExecution };
}

export interface Outcome extends CommandAnswer {
  readonly executionId: string;
}

export interface TransitionsOptions extends DraftOptions {
  readonly dispatcher: Dispatcher;
  /** Approvals that steps have begun to wait for. */
  readonly onApprovalAwaited: (key: ExecutionKey, confirmId: string) => void;
  /** What was stored. */
  readonly onCommitted?: (draft: Draft) => void;
}

export const bySystem: Sender = { subject: 'system', scope: null, audit: null, idempotent: null };
/** When an execution that found no place is looked at again, ms. */
const slotRetryMs = 250;
const maxCascade = 200;

export type Transitions = ReturnType<typeof createTransitions>;

/**
 * Every change of executions goes through here: locked in the order of their keys, decided in memory, stored with its
 * history and events in one transaction, which concurrent changes of other executions share (group commit).
 */
export function createTransitions({ sql, publisher, logger }: ModuleRuntime, options: TransitionsOptions) {
  const { dispatcher } = options;
  const pending = new Set<Promise<unknown>>();
  const batcher: Batcher<Item, Outcome> = createBatcher({
    maxItems: 64,
    maxDelayMs: 0,
    laneOf: ({ key }) => keyOf(key),
    run: runBatch,
  });

  async function runBatch(items: readonly Item[]): Promise<readonly (Outcome | Error)[]> {
    try {
      return await attempt(items);
    } catch (error) {
      // Another process has answered one of the keys meanwhile: it is found now.
      if (isIdempotencyRace(error)) return attempt(items);
      throw error;
    }
  }

  async function attempt(items: readonly Item[]): Promise<readonly (Outcome | Error)[]> {
    const sorted = await sortBatch<Item, Outcome>(
      { sql, module: 'core' },
      items,
      (response) => response as unknown as Outcome,
    );
    if (sorted.pending.length > 0) {
      const work = sorted.pending.map(({ item }) => item);
      const found = await transact(async (tx) => {
        const known = work.filter(({ command }) => command.kind !== 'start').map(({ key }) => key);
        const unique = [...new Map(known.map((key) => [keyOf(key), key])).values()];
        return lockExecutions(tx, unique);
      }, work);
      sorted.pending.forEach(({ index }, at) => {
        sorted.results[index] = found[at]!;
      });
    }
    return sorted.settle();
  }

  /** @param select locks the executions; with no items it is a claim */
  async function transact(
    select: (tx: SqlTransaction) => Promise<readonly LockedExecution[]>,
    items: readonly Item[],
  ): Promise<readonly (Outcome | PlatformError)[]> {
    let events: readonly EventRow[] = [];
    let drafts: Draft[] = [];
    let results: (Outcome | PlatformError)[] = [];
    let reserved = 0;
    await transactionRetry.execute(async () => {
      dispatcher.release(reserved);
      reserved = 0;
      try {
        await sql.begin(async (tx) => {
          const locked = await select(tx);
          const opened = new Map(await openDrafts(tx, locked, options));
          const fresh = new Set<Draft>();
          const [clock] = locked.length > 0 ? locked : await readClock(tx);
          results = [];
          for (const item of items) results.push(await applyItem(tx, item, { opened, fresh, now: clock!.now }));
          if (items.length === 0) await lookAt(tx, opened);
          drafts = await settleDrafts(tx, opened, fresh);
          const allocated = await settleResources(tx, drafts, options.settings.leaseMs);
          reserved = await handOut(drafts);
          const changed = drafts.filter(({ touched }) => touched);
          for (const draft of changed) stamp(draft);
          await writeDrafts(tx, changed, (draft) => fresh.has(draft));
          const changes = [...changesOf(changed, items, results), ...allocated];
          if (changes.length > 0) events = await appendChange(tx, 'core', changes);
        });
      } catch (error) {
        dispatcher.release(reserved);
        reserved = 0;
        throw error;
      }
    });
    const leases = drafts.flatMap((draft) => draft.leases);
    dispatcher.release(reserved - leases.length);
    dispatcher.accept(leases);
    for (const { execution, touched, now } of drafts)
      if (touched && execution.nextAt !== null) dispatcher.expect(Date.parse(execution.nextAt) - Date.parse(now));
    const asked = new Map(items.map(({ key, scope }) => [key.executionId, scope]));
    for (const [scope, own] of Map.groupBy(events, ({ streamId }) => asked.get(streamId) ?? null))
      await publisher.published(own, scope ?? undefined);
    afterCommit(drafts, items);
    return results;
  }

  /** An execution that cannot be decided holds nobody else up: it is put off, and its fault logged. */
  async function lookAt(tx: SqlTransaction, opened: Map<string, Draft>): Promise<void> {
    for (const [key, draft] of opened) {
      try {
        decide(draft, { kind: 'due' });
      } catch (error) {
        opened.delete(key);
        logger.error({ execution: key, error: String(error) }, 'a workflow execution could not be decided');
        await tx.unsafe(
          `UPDATE core.execution SET next_at = now() + interval '1 minute' WHERE tenant_id = $1 AND id = $2`,
          [draft.execution.tenantId, draft.execution.id],
          { prepare: true },
        );
      }
    }
  }

  async function applyItem(
    tx: SqlTransaction,
    { key, command, subject }: Item,
    { opened, fresh, now }: { readonly opened: Map<string, Draft>; readonly fresh: Set<Draft>; readonly now: string },
  ): Promise<Outcome | PlatformError> {
    try {
      if (command.kind === 'start') {
        const draft = await openNewDraft(tx, command.execution, { ...options, now, actor: subject });
        opened.set(keyOf(key), draft);
        fresh.add(draft);
        return { executionId: key.executionId };
      }
      const draft = opened.get(keyOf(key));
      if (!draft) throw new PlatformError('NOT_FOUND', 'no such execution', { path: ['executionId'] });
      Object.assign(draft, { actor: subject });
      return { executionId: key.executionId, ...decide(draft, command) };
    } catch (error) {
      if (error instanceof PlatformError) return error;
      throw error;
    }
  }

  /** Begins what is only stored so far, sub-executions too, where there is a place for it. */
  async function settleDrafts(tx: SqlTransaction, opened: Map<string, Draft>, fresh: Set<Draft>): Promise<Draft[]> {
    const all = [...opened.values()];
    const begins = ({ status, ending, parentId }: Draft['execution']) =>
      status === 'created' && ending === null && parentId === null;
    const ends = ({ status, holdsSlot }: Draft['execution']) => holdsSlot && terminal.has(status);
    await lockSlots(
      tx,
      all.map(({ execution }) => execution).filter((execution) => begins(execution) || ends(execution)),
    );
    for (let at = 0; at < all.length; at += 1) {
      const draft = all[at]!;
      const { execution } = draft;
      if (execution.status === 'created' && execution.ending === null) {
        const top = execution.parentId === null;
        // One that has waited for its place may find its context elsewhere by now: it waits on.
        const mayStart = !top || fresh.has(draft) || (await isContextActive(tx, execution));
        if (mayStart && (!top || (await takeSlot(tx, execution.tenantId, execution.workflowId)))) {
          execution.holdsSlot = top;
          startExecution(draft);
        } else {
          execution.nextAt = later(draft.now, slotRetryMs);
          draft.touched = true;
        }
      }
      for (const child of draft.newChildren) {
        if (all.length >= maxCascade) throw new Error(`more than ${maxCascade} executions begin at once`);
        const opening = await openChildDraft(tx, draft, child, options);
        all.push(opening);
        fresh.add(opening);
      }
      if (execution.holdsSlot && terminal.has(execution.status)) {
        execution.holdsSlot = false;
        draft.touched = true;
        await giveSlot(tx, execution.tenantId, execution.workflowId);
      }
    }
    return all;
  }

  async function handOut(drafts: readonly Draft[]): Promise<number> {
    const ready = drafts.flatMap(({ steps }) => [...steps.values()].filter(({ status }) => status === 'ready')).length;
    const granted = ready === 0 ? 0 : dispatcher.reserve(ready);
    let left = granted;
    for (const draft of drafts) left -= left > 0 ? dispatch(draft, dispatcher.owner, left) : 0;
    return granted;
  }

  function afterCommit(drafts: readonly Draft[], items: readonly Item[]): void {
    for (const draft of drafts) {
      options.onCommitted?.(draft);
      for (const message of draft.messages) tell(message);
      const key = { tenantId: draft.execution.tenantId, executionId: draft.execution.id };
      for (const id of draft.changed) {
        const step = draft.steps.get(id)!;
        if (step.status === 'waiting' && step.waitsFor?.startsWith('confirm:'))
          options.onApprovalAwaited(key, step.waitsFor.slice('confirm:'.length));
      }
    }
    const heard = items.flatMap(({ key, command }) =>
      command.kind === 'childEnded' ? [{ tenantId: key.tenantId, executionId: command.childId }] : [],
    );
    if (heard.length > 0) track(markTold(sql, heard));
  }

  function tell({ tenantId, executionId, command, stepId, childId }: Message): void {
    const toTell: ExecutionCommand =
      command === 'childEnded'
        ? { kind: 'childEnded', stepId: stepId!, childId: childId! }
        : { kind: command, reason: null };
    track(batcher.add({ ...bySystem, key: { tenantId, executionId }, command: toTell }));
  }

  /** What fails here is told again: by the sweep of untold children, by the parent's own time. */
  function track(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work.catch(() => {}).finally(() => pending.delete(tracked));
    pending.add(tracked);
  }

  return {
    start: (execution: NewExecution, sender: Sender): Promise<Outcome> =>
      batcher.add({
        ...sender,
        key: { tenantId: execution.row.tenantId, executionId: execution.row.id },
        command: { kind: 'start', execution },
      }),
    send: (key: ExecutionKey, command: ExecutionCommand, sender: Sender = bySystem): Promise<Outcome> =>
      batcher.add({ ...sender, key, command }),
    /** Looks at up to `limit` executions that are due; answers how many there were. */
    async claim(limit: number): Promise<number> {
      let claimed = 0;
      await transact(async (tx) => {
        const locked = await claimDue(tx, limit);
        claimed = locked.length;
        return locked;
      }, []);
      return claimed;
    },
    async drain(): Promise<void> {
      await batcher.drain();
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}

function stamp(draft: Draft): void {
  const { execution } = draft;
  execution.nextAt = nextAtOf(draft);
  execution.version += 1;
  execution.updatedAt = draft.now;
}

async function readClock(tx: SqlTransaction): Promise<{ now: string }[]> {
  return (await tx.unsafe(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now`,
    [],
    { prepare: true },
  )) as unknown as { now: string }[];
}

function changesOf(
  drafts: readonly Draft[],
  items: readonly Item[],
  results: readonly (Outcome | PlatformError)[],
): Change[] {
  return [
    ...drafts
      .filter(({ history }) => history.length > 0)
      .map((draft) => ({ tenantId: draft.execution.tenantId, actor: draft.actor, events: executionEvents(draft) })),
    ...items.flatMap(({ key, subject, audit, idempotent, scope }, at): Change[] => {
      const result = results[at];
      if (result instanceof PlatformError || (audit === null && idempotent === null)) return [];
      return [
        {
          tenantId: key.tenantId,
          actor: subject,
          traceparent: scope?.traceparent,
          events: [],
          audit: audit === null ? [] : [audit],
          idempotency: idempotencyRecord(idempotent, { executionId: result!.executionId }),
        },
      ];
    }),
  ];
}

/** As this module has heard; what it has not heard of was asked for when the execution was made. */
async function isContextActive(
  tx: SqlTransaction,
  { tenantId, contextId }: Pick<Draft['execution'], 'tenantId' | 'contextId'>,
): Promise<boolean> {
  if (contextId === null) return true;
  const rows = await tx.unsafe(
    `SELECT 1 FROM core.replica WHERE tenant_id = $1 AND type = 'Context' AND id = $2 AND status <> 'active'`,
    [tenantId, contextId],
    { prepare: true },
  );
  return rows.length === 0;
}
