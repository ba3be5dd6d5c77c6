import type { Sql as PostgresSql, TransactionSql } from 'postgres';
import { findLocalSocket } from '../../prisma/embedded/localSocket.ts';
import { currentCancellation } from './cancellation.ts';
import postgres, { reconnectPause } from './postgresDriver.ts';
import { createStatementEnder, type StatementEnder } from './statementEnder.ts';
import { sampledTrace, withTraceComment } from './tracing.ts';

/** Pooled, pipelining PostgreSQL client for everything that is hot. Prisma serves the rest; one mutation uses one of them. */
export type Sql = PostgresSql<{ bigint: number }>;
export type SqlTransaction = TransactionSql<{ bigint: number }>;

export interface SqlOptions {
  /** Connections at most. @default 8 */
  readonly max?: number;
  readonly applicationName: string;
  /** Milliseconds after which the server cancels a statement. @default 10_000 */
  readonly statementTimeoutMs?: number;
  /** False behind a transaction-mode pooler older than PgBouncer 1.21. @default true */
  readonly prepare?: boolean;
}

export function createSql(url: string, options: SqlOptions): Sql {
  const path = findLocalSocket(url);
  const ender = createStatementEnder(url, `${options.applicationName}-end`);
  const client = traced(
    postgres(url, {
      ...(path === null ? {} : { path }),
      max: options.max ?? 8,
      prepare: options.prepare ?? true,
      connect_timeout: 10,
      backoff: reconnectPause,
      // Connections are cheap to keep and dear to open: only a broken one is replaced.
      idle_timeout: 0,
      max_lifetime: null,
      onnotice: () => {},
      types: {
        // Sequences and counters stay far below 2^53; a string would leak into GraphQL.
        bigint: {
          to: 20,
          from: [20],
          parse: (text: string) => Number(text),
          serialize: (value: number) => String(value),
        },
      },
      connection: {
        application_name: options.applicationName,
        statement_timeout: options.statementTimeoutMs ?? 10_000,
        // Left to itself the server plans keys handed over as arrays anew at each call, since a plan for one key looks
        // cheaper than one for the ten it assumes: 433 against 67 us of its CPU for two rows by key.
        plan_cache_mode: 'force_generic_plan',
      },
    }),
    ender,
  );
  const end = client.end.bind(client);
  return Object.assign(client, {
    async end(how?: { timeout?: number }) {
      await Promise.all([end(how), ender.close()]);
    },
  });
}

/**
 * Statements sent with `unsafe` carry the sampled trace they run under, all others stay prepared; those of a query end
 * with it when it is given up.
 */
function traced<Client extends Sql | SqlTransaction>(client: Client, ender: StatementEnder): Client {
  const unsafe = client.unsafe.bind(client);
  const sent: typeof client.unsafe = (statement, parameters, options) => {
    const trace = sampledTrace();
    return trace === undefined
      ? unsafe(statement, parameters, prepared(parameters, options))
      : unsafe(withTraceComment(statement, trace), parameters, { ...options, prepare: false });
  };
  const tracedUnsafe: typeof client.unsafe = (statement, parameters, options) => {
    const cancellation = currentCancellation();
    if (cancellation === undefined) return sent(statement, parameters, options) as never;
    cancellation.throwIfCancelled();
    const query = sent(statement, parameters, options);
    const endable = ender.follow(query);
    cancellation.watch({ cancel: () => endable.end() });
    return query as never;
  };
  const patched: Record<string, unknown> = { unsafe: tracedUnsafe };
  if ('begin' in client) {
    const begin = client.begin.bind(client) as (...arguments_: unknown[]) => Promise<unknown>;
    patched['begin'] = (...arguments_: unknown[]) => {
      const work = arguments_.pop() as (tx: SqlTransaction) => unknown;
      return begin(...arguments_, (tx: SqlTransaction) =>
        work(sampledTrace() === undefined && currentCancellation() === undefined ? tx : traced(tx, ender)),
      );
    };
  }
  return Object.assign(client, patched);
}

/** The driver sends what has no parameters as a simple query, which the server parses and plans at each call, unless told not to. */
function prepared(
  parameters: Parameters<Sql['unsafe']>[1],
  options: Parameters<Sql['unsafe']>[2],
): Parameters<Sql['unsafe']>[2] {
  if (options?.prepare !== true || (parameters?.length ?? 0) > 0) return options;
  return { ...options, simple: false } as typeof options;
}
