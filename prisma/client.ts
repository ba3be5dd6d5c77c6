import { PrismaPg } from '@prisma/adapter-pg';
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
  return new PrismaClient({ adapter, transactionOptions: { maxWait: 5_000, timeout: 10_000 } });
}
