import { PrismaPg } from '@prisma/adapter-pg';
import { sampledTrace } from '#shared/tracing.ts';
import { PrismaClient } from './generated/client.ts';

export interface PrismaOptions {
  /** @default 5 */
  readonly max?: number;
  readonly applicationName: string;
}

/** Opens Prisma over its own small pool; the hot paths use postgres.js (`#shared/sql.ts`). */
export function createPrisma(url: string, options: PrismaOptions): PrismaClient {
  const adapter = new PrismaPg({
    connectionString: url,
    max: options.max ?? 5,
    application_name: options.applicationName,
    // Without it the adapter waits for ever for a connection.
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    statement_timeout: 10_000,
  });
  return new PrismaClient({
    adapter,
    comments: [traceComment],
    transactionOptions: { maxWait: 5_000, timeout: 10_000 },
  });
}

/** Prisma's statements carry the sampled trace they run under. */
function traceComment(): Record<string, string> {
  const trace = sampledTrace();
  return trace === undefined ? {} : { traceparent: trace };
}
