import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { type IdempotentCall, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { sortBatch } from '#shared/idempotentBatch.ts';
import { isolateFailures } from '#shared/isolate.ts';
import { appendChange, type Change, type NewJob } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type CollabState, createDraft, type Draft, emptyParts, finish, isUntouched } from './draft.ts';
import { eventsOf } from './events.ts';
import {
  type PartName,
  type PartRows,
  partNames,
  parts,
  readPart,
  readPartByIds,
  upsertPart,
  type Wanted,
} from './parts.ts';
import type { CollabRow } from './rows.ts';
import { type CollabKey, insertCollabs, keyOf, lockCollabs, updateCollabs } from './store.ts';

/** What a call answers: ids and figures, enough to build its payload again for a repeat. */
export type Answer = Readonly<Record<string, unknown>>;
export type Needs = Partial<Readonly<Record<PartName, Wanted>>>;

/** One change of one collaboration, decided under its lock; it shares its transaction with its neighbours. */
export interface CollabCommand {
  /** Null for what the platform does by itself. */
  readonly scope: RequestScope | null;
  readonly principal: Principal;
  readonly collabId: string;
  readonly idempotent: IdempotentCall | null;
  readonly action: string;
  /** Parts that are read behind the lock. */
  readonly needs: Needs;
  /** What events name as actor where others may not learn who it was. */
  readonly shownActor?: string;
  /** Makes it: there is none to be locked. */
  readonly create?: () => Draft;
  /** Null to leave everything as it is. @throws {PlatformError} to refuse; nothing is stored then. */
  readonly decide: (draft: Draft) => Answer | null;
}

export interface CommandRunner {
  run(command: CollabCommand): Promise<Answer>;
  drain(): Promise<void>;
}

export function unknownCollab(id: string): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such collaboration', { path: ['collabId'], details: { collabId: id } });
}

export function createCommandRunner(runtime: ModuleRuntime): CommandRunner {
  const { sql, publisher, config } = runtime;

  async function attempt(commands: readonly CollabCommand[]): Promise<(Answer | Error)[]> {
    const { results, pending, settle } = await sortBatch<CollabCommand, Answer>(
      { sql, module: 'collab' },
      commands,
      (response) => response,
    );
    if (pending.length === 0) return settle();
    const owners: { readonly scope: RequestScope | null; readonly count: number }[] = [];
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      const items = pending.map(({ item }) => item);
      const keys = items
        .filter(({ create }) => create === undefined)
        .map(({ principal, collabId }) => ({ tenantId: principal.tenantId, id: collabId }));
      const locked = keys.length === 0 ? [] : await lockCollabs(tx, keys);
      // Read behind the lock: what was decided while it was waited for is seen.
      const states = await readStates(tx, locked, items);
      const stored = new Set(states.keys());
      const written = new Map<string, CollabRow>();
      const touched = new Map(partNames.map((name) => [name, new Map<string, unknown>()]));
      const changes: Change[] = [];
      for (const { item: command, index } of pending) {
        const { tenantId, subject } = command.principal;
        const key = keyOf({ tenantId, id: command.collabId });
        try {
          const state = states.get(key);
          const draft = command.create?.() ?? (state === undefined ? undefined : createDraft(state));
          if (draft === undefined) throw unknownCollab(command.collabId);
          const answer = command.decide(draft);
          results[index] = answer ?? {};
          if (answer === null || (isUntouched(draft) && command.idempotent === null)) continue;
          finish(draft, command.shownActor ?? subject);
          states.set(key, { collab: draft.collab, parts: draft.parts });
          if (draft.isChanged) written.set(key, draft.collab);
          for (const [name, touchedKeys] of draft.touched)
            for (const part of touchedKeys) touched.get(name)!.set(`${key}/${part}`, draft.parts[name].get(part));
          const newEvents = eventsOf(draft);
          changes.push({
            tenantId,
            actor: subject,
            shownActor: command.shownActor,
            traceparent: command.scope?.traceparent,
            events: newEvents,
            audit: [
              {
                action: command.action,
                resource: 'Collaboration',
                resourceId: command.collabId,
                detail: { status: draft.collab.status, events: draft.told.map(({ type }) => type) },
              },
            ],
            idempotency: idempotencyRecord(command.idempotent, answer),
            jobs: deadlineJobs(draft.collab, draft.before?.nextDeadlineAt ?? null),
          });
          owners.push({ scope: command.scope, count: newEvents.length });
        } catch (error) {
          if (!(error instanceof PlatformError)) throw error;
          results[index] = error;
        }
      }
      if (changes.length === 0) return;
      const rows = [...written];
      const inserted = rows.filter(([key]) => !stored.has(key)).map(([, row]) => row);
      const updated = rows.filter(([key]) => stored.has(key)).map(([, row]) => row);
      const writes: Promise<unknown>[] = [];
      if (inserted.length > 0) writes.push(insertCollabs(tx, inserted));
      if (updated.length > 0) writes.push(updateCollabs(tx, updated));
      for (const [name, byKey] of touched)
        if (byKey.size > 0) writes.push(upsertPart(tx, name, [...byKey.values()] as PartRows[typeof name][]));
      [events] = await Promise.all([appendChange(tx, 'collab', changes), ...writes]);
    });
    let from = 0;
    for (const { scope, count } of owners) {
      await publisher.published(events.slice(from, from + count), scope ?? undefined);
      from += count;
    }
    return settle();
  }

  const batcher: Batcher<CollabCommand, Answer> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(commands) {
      const once = () => isolateFailures(commands, attempt);
      try {
        return await once();
      } catch (error) {
        // Another one has committed meanwhile: its answer is found now.
        if (isIdempotencyRace(error)) return once();
        throw error;
      }
    },
  });

  return { run: (command) => batcher.add(command), drain: () => batcher.drain() };
}

/** Locked rows with all parts that the commands of the batch ask for. */
async function readStates(
  tx: SqlTransaction,
  locked: readonly CollabRow[],
  commands: readonly CollabCommand[],
): Promise<Map<string, CollabState>> {
  const states = new Map<string, CollabState>(locked.map((collab) => [keyOf(collab), { collab, parts: emptyParts() }]));
  const reads = partNames.flatMap((name) => {
    const wanted = { all: new Map<string, CollabKey>(), open: new Map<string, CollabKey>() };
    const single: { tenantId: string; collabId: string; id: string }[] = [];
    for (const { principal, collabId, needs } of commands) {
      const need = needs[name];
      const key = { tenantId: principal.tenantId, id: collabId };
      if (need === undefined || !states.has(keyOf(key))) continue;
      if (typeof need === 'string') wanted[need].set(keyOf(key), key);
      else if ('openAnd' in need) wanted.open.set(keyOf(key), key);
      const ids = typeof need === 'string' ? [] : 'openAnd' in need ? need.openAnd : need;
      single.push(...ids.map((id) => ({ tenantId: key.tenantId, collabId, id })));
    }
    const keep = async (read: Promise<readonly PartRows[typeof name][]>) => {
      const { keyOf: partKey } = parts[name] as { keyOf: (row: PartRows[typeof name]) => string };
      for (const row of await read) {
        const state = states.get(keyOf({ tenantId: row.tenantId, id: row.collabId }));
        (state?.parts[name] as Map<string, typeof row> | undefined)?.set(partKey(row), row);
      }
    };
    const toKeys = (keys: ReadonlyMap<string, CollabKey>) =>
      [...keys.values()].map(({ tenantId, id }) => ({ tenantId, collabId: id }));
    return [
      ...(['all', 'open'] as const).flatMap((mode) =>
        wanted[mode].size === 0 ? [] : [keep(readPart(tx, name, mode, toKeys(wanted[mode])))],
      ),
      ...(single.length === 0 ? [] : [keep(readPartByIds(tx, name, single))]),
    ];
  });
  await Promise.all(reads);
  return states;
}

/** The durable timer of a collaboration; a new one takes the place of the one that waits. */
function deadlineJobs({ tenantId, id, nextDeadlineAt }: CollabRow, before: string | null): readonly NewJob[] {
  if (nextDeadlineAt === null || nextDeadlineAt === before) return [];
  return [
    {
      task: 'collab.deadline',
      payload: { tenantId, collabId: id },
      key: `collab.deadline:${id}`,
      runAt: new Date(nextDeadlineAt),
    },
  ];
}
