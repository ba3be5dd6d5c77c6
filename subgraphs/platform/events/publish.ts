import type { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponses,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { eventInputs } from './inputs.ts';
import type { PublishedData } from './rows.ts';

/** What became of one event: its id, and whether its key had been used for the same before. */
export interface PublishedEvent {
  readonly eventId: string;
  readonly streamId: string;
  readonly sequence: number;
  readonly timestamp: string;
  readonly repeated: boolean;
}

type Stored = Omit<PublishedEvent, 'repeated'>;

/** Events of callers, in the platform's own log: ordered by their key, each key of idempotency once. */
export function createPublishing({ sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>) {
  function callOf(scope: RequestScope, input: z.output<typeof eventInputs>[number]): IdempotentCall | null {
    const { idempotencyKey: key, ...rest } = input;
    const { tenantId, subject } = scope.principal;
    return key == null ? null : { tenantId, subject, key, operation: 'publishEvent', input: rest };
  }

  /** @throws {VALIDATION_FAILED} {IDEMPOTENCY_MISMATCH} */
  return async function publish(
    scope: RequestScope,
    given: unknown,
    path: readonly (string | number)[],
  ): Promise<readonly PublishedEvent[]> {
    const inputs = parseInput(eventInputs, given, path);
    const calls = inputs.map((input) => callOf(scope, input));
    const keys = calls.flatMap((call) => (call === null ? [] : [call.key]));
    if (new Set(keys).size < keys.length)
      throw new PlatformError('VALIDATION_FAILED', 'expected each idempotency key once', { path });
    const { tenantId, subject } = scope.principal;
    const known = async () => {
      const found = await findIdempotentResponses(sql, 'platform', calls);
      const mismatch = found.find((entry) => entry instanceof PlatformError);
      if (mismatch) throw mismatch;
      return found as readonly ({ readonly response: unknown } | undefined)[];
    };
    const attempt = async (): Promise<readonly PublishedEvent[]> => {
      const earlier = await known();
      const fresh = inputs.flatMap((input, at) => (earlier[at] === undefined ? [{ input, at }] : []));
      const planned = fresh.map(({ input, at }) => {
        const { orderingKey = null } = input;
        const streamId = orderingKey === null ? newId() : derivedId(`event ${tenantId} ${orderingKey}`);
        const data: PublishedData = {
          payload: input.payload,
          orderingKey,
          correlationId: input.correlationId ?? null,
          headers: input.headers ?? null,
          expiresAt: input.ttlMs == null ? null : new Date(Date.now() + input.ttlMs).toISOString(),
          category: input.category ?? 'CUSTOM_EVENT',
          priority: input.priority ?? 'NORMAL',
          targetModules: [...new Set(input.targetModules ?? [])],
          replyTo: input.replyTo ?? null,
        };
        return {
          at,
          change: { streamId, type: input.type, data: data as unknown as Record<string, unknown>, tags: [] },
        };
      });
      let events: readonly EventRow[] = [];
      if (planned.length > 0) {
        events = (await transactionRetry.execute(() =>
          sql.begin(async (tx) => {
            const changes = planned.map(
              ({ change }): Change => ({
                tenantId,
                actor: subject,
                traceparent: scope.traceparent,
                events: [change],
              }),
            );
            const rows = await appendChange(tx, 'platform', changes);
            // What a repeat is told needs the sequence, which is known only now; same transaction.
            const records = planned.flatMap(({ at }, index): Change[] => {
              const record = idempotencyRecord(calls[at]!, storedOf(rows[index]!));
              return record === undefined ? [] : [{ tenantId, actor: subject, events: [], idempotency: record }];
            });
            if (records.length > 0) await appendChange(tx, 'platform', records);
            return rows;
          }),
        )) as readonly EventRow[];
        await publisher.published(events, scope);
      }
      const byIndex = new Map(planned.map(({ at }, index) => [at, storedOf(events[index]!)]));
      return inputs.map((_input, at): PublishedEvent => {
        const own = byIndex.get(at);
        return own ? { ...own, repeated: false } : { ...(earlier[at]!.response as Stored), repeated: true };
      });
    };
    try {
      return await attempt();
    } catch (error) {
      if (isIdempotencyRace(error)) return attempt();
      throw error;
    }
  };
}

function storedOf({ eventId, streamId, sequence, createdAt }: EventRow): Stored {
  return { eventId, streamId, sequence, timestamp: createdAt };
}
