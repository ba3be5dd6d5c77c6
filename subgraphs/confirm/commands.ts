import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { type IdempotentCall, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { sortBatch } from '#shared/idempotentBatch.ts';
import { isolateFailures } from '#shared/isolate.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { readClock } from './clock.ts';
import type { Aggregate, Draft } from './draft.ts';
import { finish } from './engine.ts';
import { aggregateOf, eventsOf } from './events.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow } from './rows.ts';
import {
  findApproversOf,
  findOpenGates,
  insertConfirms,
  insertDecisions,
  keyOf,
  lockConfirms,
  rewriteConfirms,
  updateConfirms,
  upsertApprovers,
} from './store.ts';

/** One change of one confirm, decided under its lock; it shares its transaction with its neighbours. */
export interface ConfirmCommand {
  /** Null for what the platform does by itself. */
  readonly scope: RequestScope | null;
  readonly principal: Principal;
  readonly confirmId: string;
  readonly idempotent: IdempotentCall | null;
  /** Gate that a confirm takes when it is asked for. */
  readonly gateKey: string | null;
  readonly action: string;
  /** `atMs` is the database's time under the lock. Null to leave everything as it is. @throws {PlatformError} to refuse; nothing is stored then. */
  readonly decide: (current: Aggregate | null, atMs: number) => Draft | null;
}

export interface CommandResult {
  readonly confirmId: string;
  /** After the command; null when an earlier call with the same idempotency key had done it. */
  readonly confirm: ConfirmRow | null;
  /** All who have or had a part, in their order, where the confirm is known. */
  readonly approvers: readonly ConfirmApproverRow[] | null;
  /** The decisions it made. */
  readonly decisions: readonly ConfirmDecisionRow[];
  readonly changed: boolean;
}

export interface CommandRunner {
  run(command: ConfirmCommand): Promise<CommandResult>;
  drain(): Promise<void>;
}

const gateKeyOf = (tenantId: string, gateKey: string) => `${tenantId}/${gateKey}`;

export function duplicateRequest(openId: string | undefined): PlatformError {
  return new PlatformError('DUPLICATE_REQUEST', 'the target has an open confirm of this type', {
    path: ['input', 'targetId'],
    ...(openId === undefined ? {} : { details: { confirmId: openId } }),
  });
}

export function createCommandRunner(runtime: ModuleRuntime): CommandRunner {
  const { sql, publisher, config } = runtime;

  async function attempt(commands: readonly ConfirmCommand[]): Promise<(CommandResult | Error)[]> {
    const { results, pending, settle } = await sortBatch({ sql, module: 'confirm' }, commands, toResult);
    if (pending.length === 0) return settle();
    const owners: { readonly scope: RequestScope | null; readonly count: number }[] = [];
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      const items = pending.map(({ item }) => item);
      const keys = items.map(({ principal, confirmId }) => ({ tenantId: principal.tenantId, id: confirmId }));
      const [confirms, gates, atMs] = await Promise.all([
        lockConfirms(tx, keys),
        findOpenGates(
          tx,
          items.flatMap(({ gateKey, principal }) =>
            gateKey === null ? [] : [{ tenantId: principal.tenantId, gateKey }],
          ),
        ),
        readClock(tx),
      ]);
      // Read behind the lock: what was decided while it was waited for is seen.
      const approvers = confirms.length === 0 ? [] : await findApproversOf(tx, confirms);
      const byConfirm = Map.groupBy(approvers, ({ tenantId, confirmId }) => keyOf({ tenantId, id: confirmId }));
      const state = new Map<string, Aggregate>(
        confirms.map((confirm) => [keyOf(confirm), { confirm, approvers: byConfirm.get(keyOf(confirm)) ?? [] }]),
      );
      const open = new Map(gates);
      const stored = new Set(state.keys());
      const changed = new Set<string>();
      const rewritten = new Set<string>();
      const touched = new Map<string, Draft['approvers'] extends Map<string, infer Row> ? Row : never>();
      const decisions: ConfirmDecisionRow[] = [];
      const changes: Change[] = [];
      for (const { item: command, index } of pending) {
        const { tenantId, subject } = command.principal;
        const key = keyOf({ tenantId, id: command.confirmId });
        try {
          const current = state.get(key) ?? null;
          const gate = command.gateKey === null ? null : gateKeyOf(tenantId, command.gateKey);
          const holder = gate === null ? undefined : open.get(gate);
          if (holder !== undefined && holder !== command.confirmId) throw duplicateRequest(holder);
          const draft = command.decide(current, atMs);
          if (draft === null) {
            results[index] = {
              confirmId: command.confirmId,
              confirm: current?.confirm ?? null,
              approvers: current?.approvers ?? null,
              decisions: [],
              changed: false,
            };
            continue;
          }
          finish(draft, subject);
          const next = aggregateOf(draft);
          state.set(key, next);
          changed.add(key);
          if (draft.isRewritten) rewritten.add(key);
          if (gate !== null && next.confirm.status === 'pending') open.set(gate, next.confirm.id);
          for (const approver of draft.touched) touched.set(`${key}/${approver}`, draft.approvers.get(approver)!);
          decisions.push(...draft.decisions);
          const newEvents = eventsOf(draft);
          changes.push({
            tenantId,
            actor: subject,
            traceparent: command.scope?.traceparent,
            events: newEvents,
            audit: [
              {
                action: command.action,
                resource: 'Confirm',
                resourceId: command.confirmId,
                detail: {
                  status: next.confirm.status,
                  phase: next.confirm.phase,
                  ...(draft.told.some(({ type }) => type === 'confirm.resolved') ? { resolved: true } : {}),
                  decisions: draft.decisions.map(({ sequence, outcome, hash }) => ({ sequence, outcome, hash })),
                },
              },
            ],
            idempotency: idempotencyRecord(command.idempotent, { confirmId: command.confirmId }),
          });
          owners.push({ scope: command.scope, count: newEvents.length });
          results[index] = {
            confirmId: command.confirmId,
            confirm: next.confirm,
            approvers: next.approvers,
            decisions: draft.decisions,
            changed: true,
          };
        } catch (error) {
          if (!(error instanceof PlatformError)) throw error;
          results[index] = error;
        }
      }
      if (changes.length === 0) return;
      const rowsWhere = (test: (key: string) => boolean) =>
        [...changed].filter(test).map((key) => state.get(key)!.confirm);
      const inserted = rowsWhere((key) => !stored.has(key));
      const updated = rowsWhere((key) => stored.has(key) && !rewritten.has(key));
      const rewrittenRows = rowsWhere((key) => stored.has(key) && rewritten.has(key));
      const writes: Promise<unknown>[] = [];
      if (inserted.length > 0) writes.push(insertConfirms(tx, inserted));
      if (updated.length > 0) writes.push(updateConfirms(tx, updated));
      if (rewrittenRows.length > 0) writes.push(rewriteConfirms(tx, rewrittenRows));
      if (touched.size > 0) writes.push(upsertApprovers(tx, [...touched.values()]));
      if (decisions.length > 0)
        writes.push(
          insertDecisions(
            tx,
            decisions,
            ({ tenantId, confirmId }) => state.get(keyOf({ tenantId, id: confirmId }))!.confirm.title,
          ),
        );
      [events] = await Promise.all([appendChange(tx, 'confirm', changes), ...writes]);
    });
    let from = 0;
    for (const { scope, count } of owners) {
      await publisher.published(events.slice(from, from + count), scope ?? undefined);
      from += count;
    }
    return settle();
  }

  const batcher: Batcher<ConfirmCommand, CommandResult> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(commands) {
      const once = () => isolateFailures(commands, attempt);
      try {
        return await once();
      } catch (error) {
        // Another one has committed meanwhile: its answer, or the gate it took, is found now.
        if (isIdempotencyRace(error) || isGateRace(error)) return once();
        throw error;
      }
    },
  });

  return { run: (command) => batcher.add(command), drain: () => batcher.drain() };
}

function toResult(response: Readonly<Record<string, unknown>>): CommandResult {
  return { confirmId: String(response['confirmId']), confirm: null, approvers: null, decisions: [], changed: false };
}

const raced = ['confirm_open_key', 'confirm_request_event_key', 'confirm_pkey'];

function isGateRace(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'constraint_name' in error &&
    raced.includes(String(error.constraint_name))
  );
}
