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
import { appendChange, type Change, type NewEvent } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

export interface GroupCommand {
  readonly scope: RequestScope;
  readonly idempotent: IdempotentCall | null;
}

/** What a command comes to: its result, what is told of it, and what its idempotency key keeps of it. */
export interface Decision<Result> {
  readonly result: Result;
  readonly response: unknown;
  readonly change: Pick<Change, 'events' | 'audit' | 'jobs'>;
}

/** A refusal that others hear of: its events are all that is stored of the command, its idempotency key is not. */
export interface Refusal {
  readonly error: PlatformError;
  readonly events: readonly NewEvent[];
}

export interface GroupWork<Command extends GroupCommand, Result> {
  /** Decides and writes all commands in one transaction, answers in their order; an error refuses its command alone. */
  readonly decide: (
    tx: SqlTransaction,
    commands: readonly Command[],
  ) => Promise<readonly (Decision<Result> | Refusal | PlatformError)[]>;
  /** The result again, of what was kept with the key. */
  readonly recall: (response: unknown) => Result;
}

/**
 * Group commit of mutations below a context: concurrent ones share a transaction, each is answered after its commit. A
 * repeated idempotency key is answered from what the first call left, also within one group.
 */
export function createGroupCommit<Command extends GroupCommand, Result>(
  { sql, publisher, config }: Pick<ModuleRuntime, 'sql' | 'publisher' | 'config'>,
  work: GroupWork<Command, Result>,
): Batcher<Command, Result> {
  async function attempt(commands: readonly Command[]): Promise<(Result | Error)[]> {
    const stored = await findIdempotentResponses(
      sql,
      'context',
      commands.map((command) => command.idempotent),
    );
    const results: (Result | Error | undefined)[] = stored.map((found) =>
      found === undefined || found instanceof PlatformError ? found : work.recall(found.response),
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
    await commit(
      pending.map((index) => commands[index]!),
      (at, result) => {
        results[pending[at]!] = result;
      },
    );
    if (repeats.length > 0) {
      const answers = await attempt(repeats.map((index) => commands[index]!));
      repeats.forEach((index, at) => {
        results[index] = answers[at]!;
      });
    }
    return results as (Result | Error)[];
  }

  async function commit(
    commands: readonly Command[],
    answer: (at: number, result: Result | PlatformError) => void,
  ): Promise<void> {
    if (commands.length === 0) return;
    const { decisions, events } = await sql.begin(async (tx) => {
      const decided = await work.decide(tx, commands);
      const changes: Change[] = [];
      decided.forEach((decision, at) => {
        if (decision instanceof PlatformError) return;
        const { principal, traceparent } = commands[at]!.scope;
        const author = { tenantId: principal.tenantId, actor: principal.subject, traceparent };
        if ('error' in decision) {
          changes.push({ ...author, events: decision.events });
          return;
        }
        changes.push({
          ...decision.change,
          ...author,
          idempotency: idempotencyRecord(commands[at]!.idempotent, decision.response),
        });
      });
      const leavesTraces = changes.some(
        ({ events: told, audit, idempotency }) => told.length > 0 || (audit ?? []).length > 0 || idempotency,
      );
      return { decisions: decided, events: leavesTraces ? await appendChange(tx, 'context', changes) : [] };
    });
    await publish(commands, decisions, events);
    decisions.forEach((decision, at) => {
      if (decision instanceof PlatformError) answer(at, decision);
      else answer(at, 'error' in decision ? decision.error : decision.result);
    });
  }

  /** Each request hears of its own events, for its consistency token. */
  async function publish(
    commands: readonly Command[],
    decisions: readonly (Decision<Result> | Refusal | PlatformError)[],
    events: readonly EventRow[],
  ): Promise<void> {
    let from = 0;
    for (const [at, decision] of decisions.entries()) {
      if (decision instanceof PlatformError) continue;
      const told = 'error' in decision ? decision.events : decision.change.events;
      const to = from + told.length;
      await publisher.published(events.slice(from, to), commands[at]!.scope);
      from = to;
    }
  }

  return createBatcher<Command, Result>({
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
}
