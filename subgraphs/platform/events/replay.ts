import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { Once } from '#shared/once.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { isWanted, writeDeliveries } from './fanOut.ts';
import { patterns } from './inputs.ts';
import { type createEventReading, type LoggedEvent, noPlaces, type Places, passed } from './log.ts';
import { requireSubscription } from './subscriptions.ts';

const pageSize = 500;
/** Events one call reads. */
const maxEvents = 10_000;

const replayInput = z
  .object({ from: z.date(), to: z.date(), patterns, streamId: z.uuid().nullish() })
  .refine(({ from, to }) => from < to, { message: 'expected from before to', path: ['to'] });

export interface Replay {
  readonly replayId: string;
  readonly deliveries: number;
  /** Where to begin the next call, where this one ended before its range did. */
  readonly nextFrom: string | null;
}

/**
 * Delivers kept events again, oldest first, to one subscription and as its patterns say, or fewer of them. Exactly once leaves out what the
 * consumer has processed.
 */
export function createReplay(reading: ReturnType<typeof createEventReading>, once: Once, wake: () => void) {
  async function unprocessed(
    tx: SqlTransaction,
    tenantId: string,
    consumer: string,
    events: readonly LoggedEvent[],
  ): Promise<readonly LoggedEvent[]> {
    const rows = await tx<{ event_id: string }[]>`
      SELECT event_id FROM platform.event_inbox
      WHERE tenant_id = ${tenantId} AND consumer = ${consumer} AND event_id = ANY(${events.map(({ eventId }) => eventId)}::uuid[])`;
    const known = new Set(rows.map((row) => row.event_id));
    return events.filter(({ eventId }) => !known.has(eventId));
  }

  /** @throws {VALIDATION_FAILED} {NOT_FOUND} */
  return async function replay(
    scope: RequestScope,
    subscriptionId: string,
    given: {
      readonly from: Date;
      readonly to: Date;
      readonly patterns: readonly string[] | null;
      readonly streamId: string | null;
    },
    call: IdempotentCall | null,
  ): Promise<Replay> {
    const range = parseInput(replayInput, given, []);
    const { tenantId } = scope.principal;
    const told = await once<Replay>(scope, {
      call,
      repeat: async (response) => response as Replay,
      async write(tx) {
        const subscription = await requireSubscription(tx, tenantId, subscriptionId);
        const replayId = newId();
        let [places, read, deliveries]: [Places, number, number] = [noPlaces, 0, 0];
        let nextFrom: string | null = null;
        for (;;) {
          const filter = { ...range, patterns: range.patterns ?? (subscription.patterns as string[]) };
          const page = await reading.read(tenantId, { filter, places, limit: pageSize, order: 'oldest first' });
          if (page.length === 0) break;
          places = passed(places, page).at(-1)!;
          read += page.length;
          const wanted = page.filter((event) => isWanted(subscription, event));
          const fresh =
            subscription.deliveryMode === 'exactly_once'
              ? await unprocessed(tx, tenantId, subscriptionId, wanted)
              : wanted;
          deliveries += await writeDeliveries(
            tx,
            fresh.map((event) => ({ subscription, event })),
            replayId,
          );
          if (page.length < pageSize) break;
          if (read < maxEvents) continue;
          nextFrom = page.at(-1)!.createdAt;
          break;
        }
        const row = { replayId, deliveries, nextFrom };
        const audit = [
          { action: 'event.replayed', resource: 'EventSubscription', resourceId: subscriptionId, detail: { ...row } },
        ];
        return { row, response: row, changes: [{ events: [], audit }] };
      },
    });
    wake();
    return told;
  };
}
