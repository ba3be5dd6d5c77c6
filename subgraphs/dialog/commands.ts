import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { type IdempotentCall, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { appendChange, type Change, type NewEvent, type NewJob } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { sortBatch } from './idempotentBatch.ts';
import { isolateFailures } from './isolate.ts';
import type { DialogParticipantRow, DialogRecord, DialogRow, DialogStateRecord } from './rows.ts';
import {
  insertDialogs,
  insertStates,
  keyOf,
  lockDialogs,
  toDialogRow,
  upsertDialogs,
  upsertStates,
} from './store/dialogs.ts';
import { type CursorStart, findParticipantsOf, startCursors, upsertParticipants } from './store/participants.ts';

/** A dialog with everyone who ever took part, as it stands under its lock. */
export interface Aggregate {
  readonly record: DialogRecord;
  readonly state: DialogStateRecord;
  readonly participants: readonly DialogParticipantRow[];
}

/** What a command makes of a dialog. */
export interface Outcome {
  readonly record: DialogRecord;
  readonly state: DialogStateRecord;
  /** Changed and new ones only. */
  readonly participants?: readonly DialogParticipantRow[];
  readonly cursors?: readonly CursorStart[];
  readonly events: (dialog: DialogRow) => readonly NewEvent[];
  readonly action: string;
  /** What others see of who did it. @default the principal's subject */
  readonly shownActor?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly jobs?: readonly NewJob[];
  /** Kept with the idempotency key beside the dialog id. */
  readonly response?: Readonly<Record<string, unknown>>;
}

/** One mutation of one dialog, decided under its lock; it shares its transaction with its neighbours. */
export interface DialogCommand {
  /** Null for what the platform does by itself. */
  readonly scope: RequestScope | null;
  readonly principal: Principal;
  readonly dialogId: string;
  readonly idempotent: IdempotentCall | null;
  /** Pure but for its clock. @throws {PlatformError} to refuse; nothing of it is stored then. */
  readonly decide: (current: Aggregate | null) => Outcome | null;
}

export interface CommandResult {
  readonly dialogId: string;
  /** After the command; null when an earlier call with the same idempotency key had done it. */
  readonly dialog: DialogRow | null;
  readonly participant: DialogParticipantRow | null;
  readonly response: Readonly<Record<string, unknown>>;
}

export interface CommandRunner {
  run(command: DialogCommand): Promise<CommandResult>;
  drain(): Promise<void>;
}

export function createCommandRunner(runtime: ModuleRuntime): CommandRunner {
  const { sql, publisher, config } = runtime;

  async function attempt(commands: readonly DialogCommand[]): Promise<(CommandResult | Error)[]> {
    const { results, pending, settle } = await sortBatch(
      sql,
      commands,
      (response) =>
        ({
          dialogId: String(response['dialogId']),
          dialog: null,
          participant: null,
          response,
        }) as CommandResult,
    );
    if (pending.length === 0) return settle();
    const owners: { readonly scope: RequestScope | null; readonly count: number }[] = [];
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      const keys = pending.map(({ item: command }) => ({
        tenantId: command.principal.tenantId,
        dialogId: command.dialogId,
      }));
      const [{ states, dialogs }, participants] = await Promise.all([
        lockDialogs(tx, keys),
        findParticipantsOf(tx, keys),
      ]);
      const members = Map.groupBy(participants, keyOf);
      const created = new Set<string>();
      const changed = new Set<string>();
      const touched = new Map<string, DialogParticipantRow>();
      const cursors = new Map<string, CursorStart>();
      const changes: Change[] = [];
      for (const { item: command, index } of pending) {
        const { tenantId, subject } = command.principal;
        const key = keyOf({ tenantId, dialogId: command.dialogId });
        const record = dialogs.get(key);
        const state = states.get(key);
        try {
          const outcome = command.decide(
            record && state ? { record, state, participants: members.get(key) ?? [] } : null,
          );
          const dialogId = command.dialogId;
          if (outcome === null) {
            results[index] = {
              dialogId,
              dialog: record && state ? toDialogRow(record, state) : null,
              participant: null,
              response: { dialogId },
            };
            continue;
          }
          (record ? changed : created).add(key);
          dialogs.set(key, outcome.record);
          states.set(key, outcome.state);
          for (const row of outcome.participants ?? []) touched.set(row.id, row);
          members.set(key, merged(members.get(key) ?? [], outcome.participants ?? []));
          for (const start of outcome.cursors ?? []) cursors.set(start.participantId, start);
          const row = toDialogRow(outcome.record, outcome.state);
          const response = { ...outcome.response, dialogId };
          const newEvents = outcome.events(row);
          changes.push({
            tenantId,
            actor: subject,
            shownActor: outcome.shownActor,
            traceparent: command.scope?.traceparent,
            events: newEvents,
            audit: [
              {
                action: outcome.action,
                resource: 'Dialog',
                resourceId: dialogId,
                ...(outcome.detail === undefined ? {} : { detail: outcome.detail }),
              },
            ],
            idempotency: idempotencyRecord(command.idempotent, response),
            ...(outcome.jobs === undefined ? {} : { jobs: outcome.jobs }),
          });
          owners.push({ scope: command.scope, count: newEvents.length });
          results[index] = { dialogId, dialog: row, participant: outcome.participants?.[0] ?? null, response };
        } catch (error) {
          if (!(error instanceof PlatformError)) throw error;
          results[index] = error;
        }
      }
      if (changes.length === 0) return;
      const inserted = [...created];
      const updated = [...changed].filter((key) => !created.has(key));
      const writes: PromiseLike<unknown>[] = [];
      if (inserted.length > 0) {
        writes.push(
          insertDialogs(
            tx,
            inserted.map((key) => dialogs.get(key)!),
          ),
        );
        writes.push(
          insertStates(
            tx,
            inserted.map((key) => states.get(key)!),
          ),
        );
      }
      if (updated.length > 0) {
        writes.push(
          upsertDialogs(
            tx,
            updated.map((key) => dialogs.get(key)!),
          ),
        );
        writes.push(
          upsertStates(
            tx,
            updated.map((key) => states.get(key)!),
          ),
        );
      }
      if (touched.size > 0) writes.push(upsertParticipants(tx, [...touched.values()]));
      if (cursors.size > 0) writes.push(startCursors(tx, [...cursors.values()]));
      const append = appendChange(tx, 'dialog', changes);
      [events] = await Promise.all([append, ...writes]);
    });
    let from = 0;
    for (const { scope, count } of owners) {
      await publisher.published(events.slice(from, from + count), scope ?? undefined);
      from += count;
    }
    return settle();
  }

  const batcher: Batcher<DialogCommand, CommandResult> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(commands) {
      const once = () => isolateFailures(commands, attempt);
      try {
        return await once();
      } catch (error) {
        // The other call has committed meanwhile: its answer is found now.
        if (isIdempotencyRace(error)) return once();
        throw error;
      }
    },
  });

  return { run: (command) => batcher.add(command), drain: () => batcher.drain() };
}

function merged(
  before: readonly DialogParticipantRow[],
  changes: readonly DialogParticipantRow[],
): DialogParticipantRow[] {
  if (changes.length === 0) return [...before];
  const byId = new Map(before.map((row) => [row.id, row]));
  for (const row of changes) byId.set(row.id, row);
  return [...byId.values()];
}
