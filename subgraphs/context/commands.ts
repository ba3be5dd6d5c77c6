import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  findIdempotentResponses,
  hashInput,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { appendChange, type Change, type NewEvent, type NewJob } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { findMemberships, isListed, isOwnerOrAdmin, isPrivate, requireListedTo } from './access.ts';
import { claimedName, createNames, duplicateName, findNameHolders, isNameRace } from './names.ts';
import type { ContextRow } from './rows.ts';
import type { SharedEntry } from './sharedState.ts';
import { lockContexts, upsertContexts } from './store.ts';
import { createUsage, lockUsage, type Usage } from './usage.ts';

/** What a command makes of a context. */
export interface Outcome {
  readonly row: ContextRow;
  readonly events: readonly NewEvent[];
  readonly action: string;
  readonly detail?: Readonly<Record<string, unknown>>;
  /** The version it replaces, for the history. */
  readonly snapshot?: { readonly document: unknown; readonly changed: readonly string[] };
  readonly jobs?: readonly NewJob[];
  /** Shared state a new context begins with. */
  readonly sharedEntries?: readonly SharedEntry[];
  /** Kept with the idempotency key beside the context id. */
  readonly response?: Readonly<Record<string, unknown>>;
}

/** What a command answers that leaves its context as it is. */
export interface Unchanged {
  readonly row: null;
  readonly response?: Readonly<Record<string, unknown>>;
}

/** One mutation of one context, decided on the locked row: it shares its transaction with its neighbours. */
export interface ContextCommand {
  readonly scope: RequestScope;
  readonly contextId: string;
  readonly idempotent: IdempotentCall | null;
  /** True when it may open or end a context: then the quota counters are locked too. */
  readonly countsUsage: boolean;
  /** What the access list has to grant who sees a private context by it alone. @default write */
  readonly action?: 'delete';
  /** The title it may give its context, and where that stands in the input; null for one that keeps its title. */
  readonly name: {
    readonly of: (current: ContextRow | null) => string;
    readonly path: readonly (string | number)[];
  } | null;
  /** Pure but for its clock. @throws {PlatformError} to refuse; nothing of it is stored then. */
  readonly decide: (current: ContextRow | null, usage: Usage) => Outcome | Unchanged;
}

export interface CommandResult {
  readonly contextId: string;
  /** The row after the command; null when an earlier call with the same idempotency key had done it. */
  readonly row: ContextRow | null;
  readonly response: Readonly<Record<string, unknown>>;
}

/** One idempotency key for many commands: what is kept with it is made of their results. */
export interface BulkOptions {
  readonly scope: RequestScope;
  readonly idempotent: IdempotentCall | null;
  readonly respond: (results: readonly (CommandResult | Error)[]) => unknown;
}

/** The commands' results, or what an earlier call with the same key answered. */
export type BulkResult = { readonly results: readonly (CommandResult | Error)[] } | { readonly response: unknown };

export interface CommandRunner {
  run(command: ContextCommand): Promise<CommandResult>;
  /** One transaction for all: any refusal refuses all. */
  runAtomic(commands: readonly ContextCommand[], bulk: BulkOptions): Promise<BulkResult>;
  /** One transaction for all that is not refused. */
  runPartial(commands: readonly ContextCommand[], bulk: BulkOptions): Promise<BulkResult>;
  drain(): Promise<void>;
}

export function createCommandRunner(runtime: ModuleRuntime): CommandRunner {
  const { sql, publisher, config } = runtime;

  async function attempt(
    commands: readonly ContextCommand[],
    atomic: boolean,
    bulk?: BulkOptions,
  ): Promise<(CommandResult | Error)[]> {
    const stored = await findIdempotentResponses(
      sql,
      'context',
      commands.map((command) => command.idempotent),
    );
    const results: (CommandResult | Error | undefined)[] = stored.map((found) => {
      if (found instanceof PlatformError) return found;
      if (found === undefined) return undefined;
      const response = found.response as { contextId: string } & Record<string, unknown>;
      return { contextId: response.contextId, row: null, response };
    });
    const first = new Map<string, number>();
    const repeats: { readonly index: number; readonly of: number }[] = [];
    const pending = commands.flatMap((command, index) => {
      if (results[index] !== undefined) return [];
      const identity =
        command.idempotent &&
        JSON.stringify([command.idempotent.tenantId, command.idempotent.subject, command.idempotent.key]);
      const earlier = identity === null ? undefined : first.get(identity);
      if (earlier !== undefined) {
        repeats.push({ index, of: earlier });
        return [];
      }
      if (identity !== null) first.set(identity, index);
      return [{ command, index }];
    });
    if (pending.length === 0) return results as (CommandResult | Error)[];
    let events: readonly EventRow[] = [];
    const owners: { readonly scope: RequestScope; readonly count: number }[] = [];
    await sql.begin(async (tx) => {
      const keys = pending.map(({ command }) => ({
        tenantId: command.scope.principal.tenantId,
        id: command.contextId,
      }));
      const state = new Map((await lockContexts(tx, keys)).map((row) => [keyOf(row.tenantId, row.id), row]));
      const counting = pending
        .filter(({ command }) => command.countsUsage)
        .flatMap(({ command: { scope, contextId } }) => {
          const owner = state.get(keyOf(scope.principal.tenantId, contextId))?.ownerId;
          return [
            scope.principal,
            ...(owner === undefined ? [] : [{ tenantId: scope.principal.tenantId, subject: owner }]),
          ];
        });
      const usage = createUsage(counting.length === 0 ? [] : await lockUsage(tx, counting));
      const names = createNames(
        config.CONTEXT_UNIQUE_NAMES
          ? await findNameHolders(
              tx,
              pending.flatMap(({ command: { scope, contextId, name } }) => {
                const { tenantId, subject } = scope.principal;
                const current = state.get(keyOf(tenantId, contextId)) ?? null;
                return name === null
                  ? []
                  : [{ tenantId, ownerId: current?.ownerId ?? subject, name: name.of(current) }];
              }),
            )
          : [],
      );
      const changes: Change[] = [];
      const versions: Record<string, unknown>[] = [];
      const sharedRows: Record<string, unknown>[] = [];
      const dirty = new Map<string, ContextRow>();
      for (const { command, index } of pending) {
        const { principal, traceparent } = command.scope;
        const key = keyOf(principal.tenantId, command.contextId);
        const stored = state.get(key) ?? null;
        // What the caller may not see is to it as if it were not there.
        const isMember =
          stored === null ||
          !isPrivate(stored) ||
          isOwnerOrAdmin(stored, principal) ||
          (await findMemberships(tx, principal, [stored.id])).has(stored.id);
        const before = isMember || isListed(stored, principal) ? stored : null;
        try {
          // What is deleted is there for those alone who may bring it back.
          if (before?.deletedAt === null) requireListedTo(before, principal, { action: command.action, isMember });
          const outcome = command.decide(before, usage.of(principal.tenantId, before?.ownerId ?? principal.subject));
          if (outcome.row === null) {
            const response = { ...outcome.response, contextId: command.contextId };
            results[index] = { contextId: command.contextId, row: before, response };
            // The key is used up all the same.
            const idempotency = idempotencyRecord(command.idempotent, response);
            if (idempotency)
              changes.push({ tenantId: principal.tenantId, actor: principal.subject, events: [], idempotency });
            continue;
          }
          const uniqueName = claimedName(before, outcome.row, config.CONTEXT_UNIQUE_NAMES);
          const row: ContextRow = { ...outcome.row, uniqueName };
          if (names.isTaken(row)) throw duplicateName(row.title, command.name?.path);
          names.change(before, row);
          usage.change(before, row);
          state.set(key, row);
          dirty.set(key, row);
          const response = { ...outcome.response, contextId: outcome.row.id };
          changes.push({
            tenantId: principal.tenantId,
            actor: principal.subject,
            traceparent,
            events: outcome.events,
            audit: [
              {
                action: outcome.action,
                resource: 'Context',
                resourceId: outcome.row.id,
                ...(outcome.detail === undefined ? {} : { detail: outcome.detail }),
              },
            ],
            idempotency: idempotencyRecord(command.idempotent, response),
            ...(outcome.jobs === undefined ? {} : { jobs: outcome.jobs }),
          });
          for (const entry of outcome.sharedEntries ?? []) {
            sharedRows.push({
              tenant_id: outcome.row.tenantId,
              context_id: outcome.row.id,
              key: entry.key,
              value: JSON.stringify(entry.value),
              changed_at: outcome.row.createdAt,
              node_id: principal.subject,
            });
          }
          owners.push({ scope: command.scope, count: outcome.events.length });
          if (outcome.snapshot && before) {
            versions.push({
              tenant_id: before.tenantId,
              context_id: before.id,
              version: before.version,
              document: outcome.snapshot.document,
              changed: outcome.snapshot.changed,
              changed_at: before.updatedAt,
              changed_by: before.updatedBy,
            });
          }
          results[index] = { contextId: row.id, row, response };
        } catch (error) {
          if (!(error instanceof PlatformError) || atomic) throw error;
          results[index] = error;
        }
      }
      if (bulk?.idempotent) {
        const { tenantId, subject } = bulk.scope.principal;
        changes.push({
          tenantId,
          actor: subject,
          events: [],
          idempotency: idempotencyRecord(bulk.idempotent, bulk.respond(withRepeats(results))),
        });
      }
      if (changes.length === 0) return;
      // Sent together: one round trip.
      const writes: Promise<unknown>[] = [upsertContexts(tx, [...dirty.values()]), usage.write(tx)];
      if (versions.length > 0) {
        writes.push(
          tx.unsafe(
            `INSERT INTO context.context_version (tenant_id, context_id, version, document, changed, changed_at, changed_by)
             SELECT * FROM json_to_recordset($1::text::json) AS v(tenant_id text, context_id uuid, version int, document jsonb, changed text[], changed_at timestamptz, changed_by text)
             ON CONFLICT DO NOTHING`,
            [JSON.stringify(versions)],
            { prepare: true },
          ),
        );
      }
      if (sharedRows.length > 0) {
        writes.push(
          tx.unsafe(
            `INSERT INTO context.shared_key (tenant_id, context_id, key, value, version, changed_at, node_id)
             SELECT tenant_id, context_id, key, value::jsonb, 1, changed_at, node_id
             FROM json_to_recordset($1::text::json) AS s(tenant_id text, context_id uuid, key text, value text, changed_at timestamptz, node_id text)`,
            [JSON.stringify(sharedRows)],
            { prepare: true },
          ),
        );
      }
      [events] = await Promise.all([appendChange(tx, 'context', changes), ...writes]);
    });
    await publish(events, owners);
    return withRepeats(results);

    /** A key used twice in one batch: the second call gets the first one's answer. */
    function withRepeats(found: readonly (CommandResult | Error | undefined)[]): (CommandResult | Error)[] {
      const all = [...found];
      for (const { index, of } of repeats) {
        const [mine, theirs] = [commands[index]!.idempotent!, commands[of]!.idempotent!];
        const same = mine.operation === theirs.operation && hashInput(mine.input) === hashInput(theirs.input);
        all[index] = same
          ? all[of]!
          : new PlatformError(
              'IDEMPOTENCY_MISMATCH',
              `the idempotency key was used before for ${theirs.operation} with other input`,
              { path: ['idempotencyKey'] },
            );
      }
      return all as (CommandResult | Error)[];
    }
  }

  /** One publish for the bus; each request's own events for its consistency token. */
  async function publish(
    events: readonly EventRow[],
    owners: readonly { readonly scope: RequestScope; readonly count: number }[],
  ): Promise<void> {
    let from = 0;
    for (const { scope, count } of owners) {
      await publisher.published(events.slice(from, from + count), scope);
      from += count;
    }
  }

  async function execute(
    commands: readonly ContextCommand[],
    atomic: boolean,
    bulk?: BulkOptions,
  ): Promise<(CommandResult | Error)[]> {
    const once = () => transactionRetry.execute(() => attempt(commands, atomic, bulk));
    try {
      return await once();
    } catch (error) {
      // The other call has committed meanwhile: its answer, or the name it took, is found now.
      if (isIdempotencyRace(error) || isNameRace(error)) return once();
      throw error;
    }
  }

  async function executeBulk(
    commands: readonly ContextCommand[],
    atomic: boolean,
    bulk: BulkOptions,
  ): Promise<BulkResult> {
    const find = () => findIdempotentResponse(sql, 'context', bulk.idempotent);
    const known = await find();
    if (known) return known;
    const once = async () => {
      const results = await transactionRetry.execute(() => attempt(commands, atomic, bulk));
      if (atomic) for (const result of results) if (result instanceof Error) throw result;
      return { results };
    };
    try {
      return await once();
    } catch (error) {
      if (isNameRace(error)) return once();
      if (!isIdempotencyRace(error)) throw error;
      const raced = await find();
      return raced ?? { results: await execute(commands, atomic, bulk) };
    }
  }

  const batcher: Batcher<ContextCommand, CommandResult> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    run: (commands) => execute(commands, false),
  });

  return {
    run: (command) => batcher.add(command),
    runAtomic: (commands, bulk) => executeBulk(commands, true, bulk),
    runPartial: (commands, bulk) => executeBulk(commands, false, bulk),
    drain: () => batcher.drain(),
  };
}

function keyOf(tenantId: string, id: string): string {
  return `${tenantId}/${id}`;
}
