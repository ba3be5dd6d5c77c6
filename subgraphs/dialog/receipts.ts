import { type Batcher, createBatcher } from '#shared/batch.ts';
import { runForAll } from '#shared/cancellation.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { type IdempotentCall, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { requireId } from '#shared/ids.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { callOf } from './calls.ts';
import { sortBatch } from './idempotentBatch.ts';
import { isolateFailures } from './isolate.ts';
import { notAParticipant } from './rights.ts';

export interface Acknowledged {
  readonly newCursor: number;
  readonly unread: number;
}

interface Ack {
  readonly scope: RequestScope;
  readonly dialogId: string;
  readonly upToSequence: number;
  readonly idempotent: IdempotentCall | null;
}

interface Delivered {
  readonly tenantId: string;
  readonly dialogId: string;
  readonly participantId: string;
  readonly upto: number;
}

interface CursorState {
  tenantId: string;
  dialogId: string;
  identity: string;
  subject: string;
  participantId: string;
  status: string;
  contextId: string;
  readReceipts: boolean;
  readUpto: number;
  lastSequence: number;
}

/** Locks cursors in key order; what stands beside them is read by the next statement, behind the locks. */
const lockText = `
SELECT 1 FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, dialog_id, identity)
JOIN dialog.participant p USING (tenant_id, dialog_id, identity)
JOIN dialog.participant_cursor c ON c.tenant_id = p.tenant_id AND c.dialog_id = p.dialog_id AND c.participant_id = p.id
ORDER BY c.tenant_id, c.dialog_id, c.participant_id FOR UPDATE OF c`;

const readText = `
SELECT p.tenant_id AS "tenantId", p.dialog_id AS "dialogId", p.identity, p.subject, p.id AS "participantId", p.status, d.context_id AS "contextId",
  (d.configuration->>'readReceipts')::boolean AS "readReceipts", coalesce(c.read_upto, 0) AS "readUpto", s.last_sequence AS "lastSequence"
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, dialog_id, identity)
JOIN dialog.participant p USING (tenant_id, dialog_id, identity)
JOIN dialog.dialog d ON d.tenant_id = p.tenant_id AND d.id = p.dialog_id
JOIN dialog.dialog_state s ON s.tenant_id = p.tenant_id AND s.dialog_id = p.dialog_id
LEFT JOIN dialog.participant_cursor c ON c.tenant_id = p.tenant_id AND c.dialog_id = p.dialog_id AND c.participant_id = p.id`;

const moveText = (read: boolean) => `
WITH moved AS (
  SELECT * FROM json_to_recordset($1::text::json) AS i(tenant_id text, dialog_id uuid, participant_id uuid, upto bigint)
), followed AS (
  UPDATE dialog.delivery d SET status = '${read ? 'READ' : 'DELIVERED'}', next_attempt_at = NULL, updated_at = now()
  FROM moved i WHERE d.tenant_id = i.tenant_id AND d.dialog_id = i.dialog_id AND d.participant_id = i.participant_id
    AND d.sequence <= i.upto AND d.status IN ('PENDING', 'SENT'${read ? ", 'DELIVERED', 'FAILED'" : ''})
)
INSERT INTO dialog.participant_cursor AS c (tenant_id, dialog_id, participant_id, delivered_upto, delivered_at${read ? ', read_upto, read_at' : ''})
SELECT tenant_id, dialog_id, participant_id, upto, now()${read ? ', upto, now()' : ''} FROM moved ORDER BY tenant_id, dialog_id, participant_id
ON CONFLICT (tenant_id, dialog_id, participant_id) DO UPDATE SET
  delivered_at = CASE WHEN EXCLUDED.delivered_upto > c.delivered_upto THEN now() ELSE c.delivered_at END,
  delivered_upto = GREATEST(c.delivered_upto, EXCLUDED.delivered_upto)${read ? ', read_upto = GREATEST(c.read_upto, EXCLUDED.read_upto), read_at = now()' : ''}
${read ? '' : 'WHERE c.delivered_upto < EXCLUDED.delivered_upto'}`;

/** What was received becomes durable within this time, ms. */
export const deliveredFlushMs = 200;

/** Cursors of what participants have received and read. They only move forward. */
export function createReceipts(runtime: ModuleRuntime) {
  const { sql, publisher, config, logger } = runtime;

  async function attempt(acks: readonly Ack[]): Promise<(Acknowledged | Error)[]> {
    const { results, pending, settle } = await sortBatch<Ack, Acknowledged>(sql, acks, (response) => ({
      newCursor: Number(response['newCursor']),
      unread: Number(response['unread']),
    }));
    if (pending.length === 0) return settle();
    let events: readonly EventRow[] = [];
    const scopes: (RequestScope | null)[] = [];
    await sql.begin(async (tx) => {
      const parameters = [
        pending.map(({ item }) => item.scope.principal.tenantId),
        pending.map(({ item }) => item.dialogId),
        pending.map(({ item }) => item.scope.principal.subject),
      ];
      const [, rows] = (await Promise.all([
        tx.unsafe(lockText, parameters, { prepare: true }),
        tx.unsafe(readText, parameters, { prepare: true }),
      ])) as unknown as [unknown, CursorState[]];
      const cursors = new Map(
        rows.map((row) => [JSON.stringify([row.tenantId, row.dialogId, row.identity]), { ...row }]),
      );
      const moved = new Map<string, Record<string, unknown>>();
      const changes: Change[] = [];
      for (const { item, index } of pending) {
        const { principal, traceparent } = item.scope;
        const cursor = cursors.get(JSON.stringify([principal.tenantId, item.dialogId, principal.subject]));
        const refusal = refuse(cursor, item);
        if (refusal) {
          results[index] = refusal;
          continue;
        }
        const { participantId, dialogId, lastSequence } = cursor!;
        const advances = item.upToSequence > cursor!.readUpto;
        cursor!.readUpto = item.upToSequence;
        const result: Acknowledged = { newCursor: item.upToSequence, unread: lastSequence - item.upToSequence };
        results[index] = result;
        if (!advances && !item.idempotent) continue;
        if (advances)
          moved.set(participantId, {
            tenant_id: principal.tenantId,
            dialog_id: dialogId,
            participant_id: participantId,
            upto: item.upToSequence,
          });
        const announced = advances && cursor!.readReceipts;
        changes.push({
          tenantId: principal.tenantId,
          actor: principal.subject,
          shownActor: cursor!.subject,
          traceparent,
          events: announced
            ? [
                {
                  streamId: dialogId,
                  type: 'dialog.receipt.read',
                  data: { receipt: { participantId, readUpto: item.upToSequence } },
                  tags: [`Dialog:${dialogId}:receipts`],
                },
              ]
            : [],
          idempotency: idempotencyRecord(item.idempotent, result),
        });
        if (announced) scopes.push(item.scope);
      }
      if (changes.length === 0 && moved.size === 0) return;
      const [appended] = await Promise.all([
        changes.length === 0 ? [] : appendChange(tx, 'dialog', changes),
        moved.size === 0 ? [] : tx.unsafe(moveText(true), [JSON.stringify([...moved.values()])], { prepare: true }),
      ]);
      events = appended;
    });
    if (events.length > 0) {
      await publisher.published(events);
      for (const [index, { eventId, tags }] of events.entries()) scopes[index]?.written.push({ eventId, tags });
    }
    return settle();
  }

  const acks: Batcher<Ack, Acknowledged> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(items) {
      const once = () => isolateFailures(items, attempt);
      try {
        return await once();
      } catch (error) {
        if (isIdempotencyRace(error)) return once();
        throw error;
      }
    },
  });

  let waiting = new Map<string, Delivered>();
  let timer: NodeJS.Timeout | null = null;
  let flushing: Promise<void> = Promise.resolve();

  function flush(): Promise<void> {
    if (timer) clearTimeout(timer);
    timer = null;
    const batch = [...waiting.values()];
    waiting = new Map();
    if (batch.length > 0) {
      const records = batch.map((entry) => ({
        tenant_id: entry.tenantId,
        dialog_id: entry.dialogId,
        participant_id: entry.participantId,
        upto: entry.upto,
      }));
      flushing = flushing.then(async () => {
        try {
          await transactionRetry.execute(() =>
            sql.unsafe(moveText(false), [JSON.stringify(records)], { prepare: true }),
          );
        } catch (error) {
          // Delivered at least once either way: what is not marked comes again.
          logger.warn({ error: String(error), cursors: batch.length }, 'received messages could not be marked');
        }
      });
    }
    return flushing;
  }

  return {
    /** @throws {CURSOR_REGRESSION} {NOT_A_PARTICIPANT} {VALIDATION_FAILED} when the dialog has no such sequence yet. */
    async acknowledge(
      scope: RequestScope,
      dialogId: string,
      upToSequence: number,
      idempotencyKey: string | null | undefined,
    ): Promise<Acknowledged> {
      requireId(dialogId, ['dialogId']);
      if (upToSequence < 0)
        throw new PlatformError('VALIDATION_FAILED', `upToSequence: expected 0 or more, got ${upToSequence}`, {
          path: ['upToSequence'],
        });
      return acks.add({
        scope,
        dialogId,
        upToSequence,
        idempotent: callOf(scope.principal, idempotencyKey, 'ackMessages', { dialogId, upToSequence }),
      });
    },

    /** Notes that a participant was handed everything up to a sequence; written in the background. */
    delivered(entry: Delivered): void {
      const known = waiting.get(entry.participantId);
      if (known && known.upto >= entry.upto) return;
      waiting.set(entry.participantId, entry);
      timer ??= setTimeout(() => void runForAll(flush), deliveredFlushMs);
    },

    async drain(): Promise<void> {
      await acks.drain();
      await flush();
    },
  };
}

export type Receipts = ReturnType<typeof createReceipts>;

function refuse(cursor: CursorState | undefined, item: Ack): PlatformError | null {
  if (!cursor || (cursor.status !== 'ACTIVE' && cursor.status !== 'LEFT')) return notAParticipant();
  if (item.upToSequence > cursor.lastSequence) {
    return new PlatformError(
      'VALIDATION_FAILED',
      `upToSequence: expected at most ${cursor.lastSequence}, the last there is, got ${item.upToSequence}`,
      { path: ['upToSequence'] },
    );
  }
  if (item.upToSequence < cursor.readUpto) {
    return new PlatformError(
      'CURSOR_REGRESSION',
      `the cursor stands at ${cursor.readUpto} and does not move back to ${item.upToSequence}`,
      { path: ['upToSequence'], details: { cursor: cursor.readUpto } },
    );
  }
  return null;
}
