import { randomBytes } from 'node:crypto';
import { createLocalBus } from '#shared/bus.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { createOnce } from '#shared/once.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { createLogger } from '#shared/telemetry.ts';
import { createEncryption } from '../../subgraphs/platform/security/encryption.ts';
import { createKeyring } from '../../subgraphs/platform/security/keyring.ts';
import { parseMasterKeys } from '../../subgraphs/platform/security/masterKeys.ts';
import type { CreateWorkload } from '../load/workload.ts';

export interface EncryptionParams {
  readonly databaseUrl: string;
  /** Tenants, each with a data key of its own. */
  readonly keys: number;
  readonly mix: Readonly<Record<string, number>>;
}

const smallBytes = 1_024;
const largeBytes = 65_536;

/** The service behind `encrypt` and `decrypt` over a database, with the keys in memory as after the first use of each. */
export const createWorkload: CreateWorkload<EncryptionParams> = async ({ databaseUrl, keys, mix }) => {
  const sql = createSql(databaseUrl, { applicationName: 'perf-encryption', max: 4 });
  const bus = createLocalBus((error) => {
    throw error;
  });
  const masterKeys = parseMasterKeys(`perf:${randomBytes(32).toString('base64')}`);
  const encryption = createEncryption({
    sql,
    once: createOnce('platform', { sql, publisher: createPublisher(bus, null) }),
    keyring: createKeyring({ sql, masterKeys: () => masterKeys }),
    logger: createLogger('silent'),
    dataKeyDays: readConfig({}).DATA_KEY_DAYS,
  });
  const texts = [smallBytes, largeBytes].map((bytes) => randomBytes(bytes / 2).toString('hex')) as [string, string];
  const scopes = Array.from({ length: keys }, (_, at) =>
    createRequestScope({
      principal: createPrincipal({ tenantId: `tenant-${at}`, subject: 'agent-1' }),
      correlationId: 'perf',
      traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`,
    }),
  );
  const sealed = await Promise.all(
    scopes.map((scope) =>
      Promise.all(texts.map(async (text) => (await encryption.encrypt(scope, text, 'perf')).ciphertext)),
    ),
  );
  const sizeOf = (random: { integer(below: number): number }) => (random.integer(10) === 0 ? 1 : 0);
  return {
    operations: [
      {
        name: 'encrypt',
        weight: mix['encrypt']!,
        async call(random) {
          const { keyVersion } = await encryption.encrypt(scopes[random.integer(keys)]!, texts[sizeOf(random)], 'perf');
          return keyVersion === 1 || 'expected the first version of the key';
        },
      },
      {
        name: 'decrypt',
        weight: mix['decrypt']!,
        async call(random) {
          const [at, size] = [random.integer(keys), sizeOf(random)];
          const { plaintext } = await encryption.decrypt(scopes[at]!, sealed[at]![size]!, 'perf');
          return plaintext === texts[size] || 'expected what was encrypted';
        },
      },
    ],
    async close() {
      await sql.end({ timeout: 5 });
    },
  };
};
