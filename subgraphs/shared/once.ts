import type { SubgraphName } from '../names.ts';
import type { RequestScope } from './context.ts';
import type { EventRow } from './events.ts';
import { findIdempotentResponse, type IdempotentCall, idempotencyRecord, isIdempotencyRace } from './idempotency.ts';
import { appendChange, type Change } from './outbox.ts';
import { transactionRetry } from './retry.ts';
import type { SqlTransaction } from './sql.ts';
import type { ModuleRuntime } from './subgraph.ts';
import { idempotencyKey, parseInput } from './validation.ts';

export interface Written<Row> {
  readonly row: Row;
  /** What a repeat of the key is told by; kept with the first of the changes. */
  readonly response: unknown;
  /** None where nothing had to change. */
  readonly changes: readonly Omit<Change, 'tenantId' | 'actor' | 'traceparent' | 'idempotency'>[];
}

export interface OnceOptions<Row> {
  readonly call: IdempotentCall | null;
  readonly write: (tx: SqlTransaction) => Promise<Written<Row>>;
  /** What a call with the same key is answered after the first. */
  readonly repeat: (response: unknown) => Promise<Row>;
}

export type Once = <Row>(scope: RequestScope, options: OnceOptions<Row>) => Promise<Row>;

/**
 * Runs a change of a module in one transaction with its events, once for all calls that have its key. What PostgreSQL asks
 * to be tried again is: `write` may be called several times, of which one counts.
 */
export function createOnce(module: SubgraphName, { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>): Once {
  return async <Row>(scope: RequestScope, { call, write, repeat }: OnceOptions<Row>): Promise<Row> => {
    const { tenantId, subject } = scope.principal;
    const before = async (): Promise<{ readonly row: Row } | null> => {
      const earlier = await findIdempotentResponse(sql, module, call);
      return earlier ? { row: await repeat(earlier.response) } : null;
    };
    const known = await before();
    if (known) return known.row;
    let events: readonly EventRow[] = [];
    try {
      const row = (await transactionRetry.execute(() =>
        sql.begin(async (tx) => {
          events = [];
          const written = await write(tx);
          const changes = written.changes.map(
            (change, at): Change => ({
              ...change,
              tenantId,
              actor: subject,
              traceparent: scope.traceparent,
              idempotency: at === 0 ? idempotencyRecord(call, written.response) : undefined,
            }),
          );
          if (changes.length > 0) events = await appendChange(tx, module, changes);
          return written.row;
        }),
      )) as Row;
      await publisher.published(events, scope);
      return row;
    } catch (error) {
      const first = isIdempotencyRace(error) ? await before() : null;
      if (first) return first.row;
      throw error;
    }
  };
}

/** The call a key stands for; null without a key. @throws {VALIDATION_FAILED} */
export function callOf(
  { principal: { tenantId, subject } }: RequestScope,
  key: string | null | undefined,
  operation: string,
  input: unknown,
): IdempotentCall | null {
  if (key == null) return null;
  return { tenantId, subject, key: parseInput(idempotencyKey, key, ['idempotencyKey']), operation, input };
}
