import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponses,
  hashInput,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createPermissionSets } from './decision/index.ts';
import type { RoleReplicas } from './replicas.ts';
import { lockTenant, saveRevision } from './store.ts';
import { openTenantDraft, type RoleWork, type TenantDraft, type Traces } from './work.ts';

export type RoleResponse = Readonly<Record<string, unknown>>;

export interface RoleCommand {
  readonly scope: Pick<RequestScope, 'principal' | 'traceparent'> & Partial<Pick<RequestScope, 'written'>>;
  readonly idempotent: IdempotentCall | null;
  /** Roles it is going to ask for. They are read for all commands of a batch at once. @default none */
  readonly roleIds?: readonly string[];
  /** Judges, then writes. What it answers is kept with the idempotency key. @throws {PlatformError} to refuse. */
  readonly decide: (work: RoleWork) => Promise<RoleResponse>;
}

export type RoleCommands = Batcher<RoleCommand, RoleResponse>;

interface Outcome {
  readonly result: RoleResponse | Error;
  readonly change: Change | null;
}

/** A change and the command, by its place in the batch, that hears of its events. */
interface Told {
  readonly at: number;
  readonly change: Change;
}

/** What a key stands for as soon as the batch is committed. */
interface Recorded {
  readonly call: IdempotentCall;
  readonly result: RoleResponse;
}

/**
 * Commands of a tenant that wait at the same time are decided one after the other in one transaction under the tenant's
 * lock, each on what the one before has left, as if each had had the tenant for itself. Of a tenant one batch runs at a
 * time in a process: its next one gathers meanwhile rather than wait for the lock.
 */
export function createRoleCommands(
  { sql, publisher, config }: Pick<ModuleRuntime, 'sql' | 'publisher' | 'config'>,
  replicas: RoleReplicas,
): RoleCommands {
  async function attempt(commands: readonly RoleCommand[]): Promise<readonly (RoleResponse | Error)[]> {
    const calls = commands.map(({ idempotent }) => idempotent);
    const answered = (await findIdempotentResponses(sql, 'role', calls)).map((found) =>
      found === undefined || found instanceof PlatformError ? found : (found.response as RoleResponse),
    );
    const pending = commands.filter((_, at) => answered[at] === undefined);
    const results = (await commit(pending)).values();
    return answered.map((known) => known ?? results.next().value!);
  }

  async function commit(commands: readonly RoleCommand[]): Promise<readonly (RoleResponse | Error)[]> {
    if (commands.length === 0) return [];
    const byTenant = Map.groupBy(commands.keys(), (at) => commands[at]!.scope.principal.tenantId);
    // In one order everywhere: processes that need the same tenants wait for each other in a row.
    const tenants = [...byTenant.keys()].sort();
    // Its own replica knows what an instance has changed at once, so there has to be one.
    await Promise.all(tenants.map((tenantId) => replicas.load(tenantId)));
    const committed = await sql.begin(async (tx) => {
      const results = new Array<RoleResponse | Error>(commands.length);
      const drafts: TenantDraft[] = [];
      const told: Told[] = [];
      for (const tenantId of tenants) {
        const own = byTenant.get(tenantId)!;
        const draft = await openDraft(tx, tenantId);
        drafts.push(draft);
        await draft.readRoles(own.flatMap((at) => commands[at]!.roleIds ?? []));
        const recorded = new Map<string, Recorded>();
        for (const at of own) {
          const { idempotent } = commands[at]!;
          const identity = idempotent && JSON.stringify([idempotent.subject, idempotent.key]);
          const earlier = identity === null ? undefined : recorded.get(identity);
          if (earlier !== undefined) {
            results[at] = repeat(earlier, idempotent!);
            continue;
          }
          const { result, change } = await run(draft, commands[at]!);
          results[at] = result;
          // One that is refused leaves its key to the next.
          if (identity !== null && !(result instanceof Error)) recorded.set(identity, { call: idempotent!, result });
          if (change !== null) told.push({ at, change });
        }
      }
      const changed = drafts.filter(({ isChanged }) => isChanged);
      const changes = told.map(({ change }) => change);
      const writes = changed.flatMap((draft) => [draft.store(), saveRevision(tx, draft.tenantId, draft.revision)]);
      const [events] = await Promise.all([changes.length === 0 ? [] : appendChange(tx, 'role', changes), ...writes]);
      return { results, changed, told, events };
    });
    for (const { tenantId, revision, snapshot } of committed.changed) replicas.adopt(tenantId, revision, snapshot);
    await publish(commands, committed);
    return committed.results;
  }

  async function openDraft(tx: SqlTransaction, tenantId: string): Promise<TenantDraft> {
    const locked = await lockTenant(tx, tenantId);
    const snapshot = await replicas.readLocked(tx, tenantId, locked);
    const sets = replicas.peek(tenantId)?.sets() ?? createPermissionSets(snapshot);
    return openTenantDraft(tx, { tenantId, revision: locked + 1, snapshot, sets });
  }

  /** Each request hears of its own events, for its consistency token. */
  async function publish(
    commands: readonly RoleCommand[],
    { told, events }: { readonly told: readonly Told[]; readonly events: readonly EventRow[] },
  ): Promise<void> {
    let from = 0;
    for (const { at, change } of told) {
      const own = events.slice(from, from + change.events.length);
      from += own.length;
      await publisher.published(own);
      for (const { eventId, tags } of own) commands[at]!.scope.written?.push({ eventId, tags });
    }
  }

  return createBatcher<RoleCommand, RoleResponse>({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    laneOf: ({ scope }) => scope.principal.tenantId,
    async run(commands) {
      const once = () => transactionRetry.execute(() => attempt(commands));
      try {
        return await once();
      } catch (error) {
        if (isIdempotencyRace(error)) return once();
        if (commands.length === 1 || !isOfOne(error)) throw error;
        const alone: (RoleResponse | Error)[] = [];
        for (const command of commands) alone.push(await attemptAlone(command));
        return alone;
      }
    },
  });

  async function attemptAlone(command: RoleCommand): Promise<RoleResponse | Error> {
    try {
      const [result] = await transactionRetry.execute(() => attempt([command]));
      return result!;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}

function repeat({ call, result }: Recorded, again: IdempotentCall): RoleResponse | PlatformError {
  if (again.operation === call.operation && hashInput(again.input) === hashInput(call.input)) return result;
  return new PlatformError(
    'IDEMPOTENCY_MISMATCH',
    `the idempotency key was used before for ${call.operation} with other input`,
    { path: ['idempotencyKey'] },
  );
}

async function run(draft: TenantDraft, command: RoleCommand): Promise<Outcome> {
  const { principal, traceparent } = command.scope;
  const { tenantId, subject: actor } = principal;
  const traces: Traces = { events: [], audit: [], jobs: [] };
  const { work, undo } = draft.openWork(principal, traces);
  try {
    const result = await command.decide(work);
    const idempotency = idempotencyRecord(command.idempotent, result);
    const isTold = traces.events.length + traces.audit.length + traces.jobs.length > 0 || idempotency !== undefined;
    return { result, change: isTold ? { tenantId, actor, traceparent, ...traces, idempotency } : null };
  } catch (error) {
    // What it has written goes only with the transaction; a statement that failed has ended that already.
    if (!(error instanceof Error) || isOfDatabase(error) || !undo()) throw error;
    return { result: error, change: null };
  }
}

const databaseCode = (error: unknown): string | undefined => {
  if (error instanceof PlatformError || typeof error !== 'object' || error === null || !('code' in error)) return;
  return typeof error.code === 'string' ? error.code : undefined;
};

function isOfDatabase(error: unknown): boolean {
  return databaseCode(error) !== undefined;
}

/**
 * True where one command made the whole transaction fail, which the others survive by running alone: rows that the
 * database refuses, or an error of our own. A lost connection or a full server concerns all, and whether the batch was
 * committed nobody knows.
 */
function isOfOne(error: unknown): boolean {
  const code = databaseCode(error);
  return code === undefined || /^(21|22|23|42|54|P0)...$/.test(code);
}
