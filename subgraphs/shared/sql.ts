import postgres from 'postgres';

/** Pooled, pipelining PostgreSQL client for everything that is hot. Prisma serves the rest; one mutation uses one of them. */
export type Sql = postgres.Sql<{ bigint: number }>;
export type SqlTransaction = postgres.TransactionSql<{ bigint: number }>;

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
  return postgres(url, {
    max: options.max ?? 8,
    prepare: options.prepare ?? true,
    connect_timeout: 10,
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
    },
  });
}
