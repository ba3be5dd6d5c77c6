import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { newId, requireId } from '#shared/ids.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import { defineRecord } from '#shared/record.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { callOf } from '../commands.ts';
import * as inputs from '../inputs.ts';
import { trustLevelOf } from '../manifest/permissions.ts';
import { fingerprintOf, isSignedBy, readPublicKey } from '../manifest/signature.ts';
import type { ExtensionPublisherKeyRow } from '../rows.ts';
import type { Db } from '../store.ts';

const record = defineRecord<ExtensionPublisherKeyRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['publisher_id', 'publisherId', 'text'],
  ['name', 'name', 'text'],
  ['email', 'email', 'text'],
  ['website', 'website', 'text'],
  ['public_key', 'publicKey', 'text'],
  ['fingerprint', 'fingerprint', 'text'],
  ['trust_level', 'trustLevel', 'int'],
  ['revoked_at', 'revokedAt', 'timestamptz'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['created_by', 'createdBy', 'text'],
]);
const columns = record.select('k');
export const keysTag = 'publisherKeys';
/** Keys of a tenant at most: each is tried where a signature names none. */
const maxKeys = 200;

/** What a signature is worth. */
export interface Trust {
  readonly key: ExtensionPublisherKeyRow | null;
  readonly trustLevel: number;
}

/** What was signed: the digest of a bundle, or of the package that it came in. */
export interface Signed {
  readonly digest: Uint8Array;
  readonly signature: string | null;
  readonly keyId: string | null;
}

/** Keys whose signatures a tenant believes. */
export function createPublisherKeys({ sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>) {
  const list = async (db: Db, tenantId: string): Promise<readonly ExtensionPublisherKeyRow[]> =>
    (await db.unsafe(
      `SELECT ${columns} FROM extension.publisher_key k WHERE k.tenant_id = $1 ORDER BY k.created_at, k.id LIMIT $2`,
      [tenantId, maxKeys],
      { prepare: true },
    )) as unknown as readonly ExtensionPublisherKeyRow[];

  async function write(
    scope: RequestScope,
    {
      operation,
      key,
      input,
    }: { readonly operation: string; readonly key: string | null | undefined; readonly input: object },
    work: (tx: SqlTransaction) => Promise<ExtensionPublisherKeyRow>,
  ): Promise<ExtensionPublisherKeyRow> {
    const { tenantId, subject } = scope.principal;
    const call = callOf(scope, key, operation, input);
    const attempt = async (): Promise<ExtensionPublisherKeyRow> => {
      const known = await findIdempotentResponse(sql, 'extension', call);
      if (known) {
        const { keyId } = known.response as { keyId: string };
        return (await list(sql, tenantId)).find(({ id }) => id === keyId)!;
      }
      let events: Awaited<ReturnType<typeof appendChange>> = [];
      const row = (await sql.begin(async (tx) => {
        const stored = await work(tx);
        const { publicKey: _publicKey, ...shown } = stored;
        const told: NewEvent = {
          streamId: stored.id,
          type: `extension.key.${operation}`,
          data: { key: shown },
          tags: [keysTag],
        };
        events = await appendChange(tx, 'extension', [
          {
            tenantId,
            actor: subject,
            traceparent: scope.traceparent,
            events: [told],
            audit: [
              {
                action: told.type,
                resource: 'ExtensionPublisherKey',
                resourceId: stored.id,
                detail: { fingerprint: stored.fingerprint },
              },
            ],
            idempotency: idempotencyRecord(call, { keyId: stored.id }),
          },
        ]);
        return stored;
      })) as ExtensionPublisherKeyRow;
      await publisher.published(events, scope);
      return row;
    };
    try {
      return await attempt();
    } catch (error) {
      if (isIdempotencyRace(error)) return attempt();
      throw error;
    }
  }

  return {
    list: (scope: RequestScope) => {
      scope.readTags.add(keysTag);
      return list(sql, scope.principal.tenantId);
    },

    /** @throws {VALIDATION_FAILED} {CONFLICT} {QUOTA_EXCEEDED} */
    async register(scope: RequestScope, raw: unknown): Promise<ExtensionPublisherKeyRow> {
      const { idempotencyKey, ...input } = parseInput(inputs.registerKey, raw);
      const { tenantId, subject } = scope.principal;
      const key = readPublicKey(input.publicKey);
      if (key === null)
        throw new PlatformError(
          'VALIDATION_FAILED',
          'publicKey: expected an Ed25519 key, or an RSA key of 2,048 bits at least, as PEM',
          {
            path: ['input', 'publicKey'],
          },
        );
      const row: ExtensionPublisherKeyRow = {
        tenantId,
        id: newId(),
        publisherId: input.publisherId,
        name: input.name,
        email: input.email ?? null,
        website: input.website ?? null,
        publicKey: key.export({ type: 'spki', format: 'pem' }).toString(),
        fingerprint: fingerprintOf(key),
        trustLevel: trustLevelOf(input.trustLevel),
        revokedAt: null,
        createdAt: new Date().toISOString(),
        createdBy: subject,
      };
      return write(scope, { operation: 'registered', key: idempotencyKey, input }, async (tx) => {
        const known = await list(tx, tenantId);
        if (known.length >= maxKeys)
          throw new PlatformError('QUOTA_EXCEEDED', `a tenant has at most ${maxKeys} publisher keys`);
        if (known.some(({ fingerprint }) => fingerprint === row.fingerprint))
          throw new PlatformError('CONFLICT', 'the key is known already', { path: ['input', 'publicKey'] });
        await tx.unsafe(
          `INSERT INTO extension.publisher_key (${record.names}) SELECT ${record.from('x')} FROM json_to_recordset($1::text::json) AS x(${record.recordset})`,
          [JSON.stringify([record.toRecord(row, 0)])],
        );
        return row;
      });
    },

    /** @throws {NOT_FOUND} {INVALID_STATE} */
    async revoke(scope: RequestScope, keyId: string, idempotencyKey: string | null | undefined) {
      requireId(keyId, ['keyId']);
      const { tenantId } = scope.principal;
      return write(scope, { operation: 'revoked', key: idempotencyKey, input: { keyId } }, async (tx) => {
        const [row] = (await tx.unsafe(
          `SELECT ${columns} FROM extension.publisher_key k WHERE k.tenant_id = $1 AND k.id = $2 FOR UPDATE`,
          [tenantId, keyId],
          { prepare: true },
        )) as unknown as ExtensionPublisherKeyRow[];
        if (!row) throw new PlatformError('NOT_FOUND', 'no such publisher key', { path: ['keyId'] });
        if (row.revokedAt !== null) throw new PlatformError('INVALID_STATE', 'the key is revoked already');
        const revoked = { ...row, revokedAt: new Date().toISOString() };
        await tx.unsafe(
          'UPDATE extension.publisher_key SET revoked_at = $3::text::timestamptz WHERE tenant_id = $1 AND id = $2',
          [tenantId, keyId, revoked.revokedAt],
          { prepare: true },
        );
        return revoked;
      });
    },

    /**
     * What the signature of a digest is worth; none is worth nothing.
     * @throws {SIGNATURE_INVALID} when there is one and no key that counts has made it
     */
    async trustOf(tenantId: string, { digest, signature, keyId }: Signed): Promise<Trust> {
      if (signature === null) return { key: null, trustLevel: 0 };
      const keys = (await list(sql, tenantId)).filter(({ id }) => keyId === null || id === keyId);
      const key = keys.find(({ publicKey }) => isSignedBy(readPublicKey(publicKey)!, digest, signature));
      if (key === undefined || key.revokedAt !== null)
        throw new PlatformError(
          'SIGNATURE_INVALID',
          key === undefined ? 'no key of the tenant has made this signature' : 'the key of the signature is revoked',
          { path: ['input', 'release', 'signature'] },
        );
      return { key, trustLevel: key.trustLevel };
    },
  };
}

export type PublisherKeys = ReturnType<typeof createPublisherKeys>;
