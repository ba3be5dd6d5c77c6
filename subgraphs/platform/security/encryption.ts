import { createHash } from 'node:crypto';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { ciphertext, plaintext, sealContext } from './inputs.ts';
import { type Keyring, versionOf } from './keyring.ts';
import { resealSecrets } from './resealing.ts';
import { type DataKeyRow, dataKeyColumns } from './rows.ts';

const apiPurpose = (context: string | null | undefined) => `api/${context ?? ''}`;

export interface EncryptionOptions {
  readonly sql: Sql;
  readonly once: Once;
  readonly keyring: Keyring;
  readonly logger: Pick<Logger, 'info' | 'error'>;
  /** Age at which a data key is replaced, days. */
  readonly dataKeyDays: number;
}

/** Field encryption for callers, and the data keys behind it. */
export function createEncryption({ sql, once, keyring, logger, dataKeyDays }: EncryptionOptions) {
  async function find(db: Sql | SqlTransaction, tenantId: string, version: number): Promise<DataKeyRow> {
    const [row] = (await db.unsafe(
      `SELECT ${dataKeyColumns} FROM platform.data_key k WHERE k.tenant_id = $1 AND k.version = $2`,
      [tenantId, version],
    )) as unknown as DataKeyRow[];
    return row!;
  }

  return {
    keys: async ({ principal }: RequestScope) =>
      [
        ...(await sql.unsafe(
          `SELECT ${dataKeyColumns} FROM platform.data_key k WHERE k.tenant_id = $1 ORDER BY k.version DESC`,
          [principal.tenantId],
        )),
      ] as unknown as DataKeyRow[],

    /** @throws {VALIDATION_FAILED} {UNAVAILABLE} */
    async encrypt({ principal }: RequestScope, given: string, context: string | null | undefined) {
      const text = parseInput(plaintext, given, ['plaintext']);
      const purpose = apiPurpose(parseInput(sealContext, context, ['context']));
      const sealed = await keyring.seal({ tenantId: principal.tenantId, purpose }, text);
      return { ciphertext: sealed, keyVersion: versionOf(sealed) };
    },

    /**
     * The audit says who opened what before it is told, and who tried to; the sealed text by its SHA-256.
     * @throws {VALIDATION_FAILED} {UNAVAILABLE}
     */
    async decrypt(scope: RequestScope, given: string, context: string | null | undefined) {
      const text = parseInput(ciphertext, given, ['ciphertext']);
      const purpose = apiPurpose(parseInput(sealContext, context, ['context']));
      const keyVersion = versionOf(text);
      const note = (action: string) =>
        once<null>(scope, {
          call: null,
          repeat: async () => null,
          write: async () => ({
            row: null,
            response: {},
            changes: [
              {
                events: [],
                audit: [
                  {
                    action,
                    resource: 'PlatformSealedText',
                    resourceId: createHash('sha256').update(text).digest('hex'),
                    detail: { context: context ?? null, keyVersion },
                  },
                ],
              },
            ],
          }),
        });
      let opened: string;
      try {
        opened = await keyring.open({ tenantId: scope.principal.tenantId, purpose }, text);
      } catch (error) {
        await note('encryption.text.refused');
        throw error;
      }
      await note('encryption.text.opened');
      return { plaintext: opened, keyVersion };
    },

    /** @throws {VERSION_CONFLICT} {UNAVAILABLE} */
    async rotate(
      scope: RequestScope,
      {
        expectedVersion,
        idempotencyKey,
      }: {
        readonly expectedVersion?: number | null | undefined;
        readonly idempotencyKey?: string | null | undefined;
      },
    ): Promise<DataKeyRow> {
      const { tenantId, subject } = scope.principal;
      const row = await once<DataKeyRow>(scope, {
        call: callOf(scope, idempotencyKey, 'rotateEncryptionKey', { expectedVersion: expectedVersion ?? null }),
        repeat: (response) => find(sql, tenantId, (response as { version: number }).version),
        async write(tx) {
          await keyring.lock(tx, tenantId);
          requireVersion(expectedVersion, (await keyring.readNewest(tx, tenantId)) ?? 0);
          const version = await keyring.add(tx, tenantId, subject);
          return {
            row: await find(tx, tenantId, version),
            response: { version },
            changes: [
              {
                events: [
                  {
                    streamId: derivedId(`data keys ${tenantId}`),
                    type: 'encryption.key.rotated',
                    data: { version },
                    tags: [],
                  },
                ],
                audit: [
                  { action: 'encryption.key.rotated', resource: 'PlatformEncryptionKey', resourceId: String(version) },
                ],
                jobs: [{ task: 'platform.resealSecrets', payload: { tenantId }, key: `reseal ${tenantId}` }],
              },
            ],
          };
        },
      });
      keyring.forgetNewest(tenantId);
      return row;
    },

    /** Seals anew what a tenant's earlier keys sealed, and what is not sealed yet. */
    async reseal(payload: unknown): Promise<void> {
      const { tenantId } = payload as { readonly tenantId: string };
      const count = await resealSecrets({ sql, keyring }, tenantId);
      if (count > 0) logger.info({ tenantId, count }, 'secrets are sealed by the newest data key');
    },

    /** Once a day: data keys go under the active master key, old ones are replaced, and what is open is sealed. */
    async maintain(): Promise<void> {
      if (!keyring.isUsable()) return;
      const rewrapped = await keyring.rewrap();
      if (rewrapped > 0) logger.info({ rewrapped }, 'data keys are wrapped by the active master key');
      const old = (await sql.unsafe(
        `SELECT tenant_id AS "tenantId" FROM platform.data_key
         WHERE retired_at IS NULL AND created_at < now() - $1::int * interval '1 day'`,
        [dataKeyDays],
      )) as unknown as { tenantId: string }[];
      for (const { tenantId } of old) {
        await sql.begin(async (tx) => {
          await keyring.lock(tx, tenantId);
          await keyring.add(tx, tenantId, 'platform');
        });
        keyring.forgetNewest(tenantId);
      }
      const tenants = (await sql.unsafe(
        `SELECT DISTINCT tenant_id AS "tenantId" FROM (
           SELECT tenant_id FROM platform.event_subscription WHERE secret IS NOT NULL
           UNION ALL SELECT tenant_id FROM platform.config_version WHERE secret AND value IS NOT NULL) AS kept`,
      )) as unknown as { tenantId: string }[];
      for (const { tenantId } of tenants) await this.reseal({ tenantId });
    },
  };
}

export type Encryption = ReturnType<typeof createEncryption>;
