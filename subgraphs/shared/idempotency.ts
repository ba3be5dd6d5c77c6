import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { SubgraphName } from '../names.ts';
import { PlatformError } from './errors.ts';
import type { IdempotencyRecord } from './outbox.ts';
import type { Sql } from './sql.ts';

/** SHA-256 over the canonical JSON (RFC 8785) of an input, hex. */
export function hashInput(input: unknown): string {
  return createHash('sha256')
    .update(canonicalize(input) ?? 'null')
    .digest('hex');
}

export interface IdempotentCall {
  readonly tenantId: string;
  readonly subject: string;
  readonly key: string;
  readonly operation: string;
  /** The input without the key itself. */
  readonly input: unknown;
}

interface StoredRow {
  tenant_id: string;
  subject: string;
  key: string;
  operation: string;
  request_hash: string;
  response: unknown;
}

/** What a first call answered; `undefined` when the key is new. */
export type StoredResponse = { readonly response: unknown } | undefined;

/**
 * Looks up what earlier calls with these keys answered, in the order given.
 * A key used with another operation or input yields an IDEMPOTENCY_MISMATCH error in its place.
 */
export async function findIdempotentResponses(
  sql: Sql,
  module: SubgraphName,
  calls: readonly (IdempotentCall | null)[],
): Promise<readonly (StoredResponse | PlatformError)[]> {
  const asked = calls.filter((call) => call !== null);
  if (asked.length === 0) return calls.map(() => undefined);
  const rows = (await sql.unsafe(
    `SELECT i.tenant_id, i.subject, i.key, i.operation, encode(i.request_hash, 'hex') AS request_hash, i.response
     FROM unnest($1::text[], $2::text[], $3::text[]) AS a(tenant_id, subject, key)
     JOIN ${module}.idempotency i USING (tenant_id, subject, key)`,
    [asked.map((call) => call.tenantId), asked.map((call) => call.subject), asked.map((call) => call.key)],
    { prepare: true },
  )) as unknown as StoredRow[];
  const stored = new Map(rows.map((row) => [identity(row.tenant_id, row.subject, row.key), row]));
  return calls.map((call) => {
    if (call === null) return undefined;
    const row = stored.get(identity(call.tenantId, call.subject, call.key));
    if (!row) return undefined;
    if (row.operation !== call.operation || row.request_hash !== hashInput(call.input)) {
      return new PlatformError(
        'IDEMPOTENCY_MISMATCH',
        `the idempotency key was used before for ${row.operation} with other input`,
        { path: ['idempotencyKey'] },
      );
    }
    return { response: row.response };
  });
}

/** @throws {IDEMPOTENCY_MISMATCH} when the key was used with another operation or input. */
export async function findIdempotentResponse(
  sql: Sql,
  module: SubgraphName,
  call: IdempotentCall | null,
): Promise<StoredResponse> {
  const [found] = await findIdempotentResponses(sql, module, [call]);
  if (found instanceof PlatformError) throw found;
  return found;
}

/** The record to hand to `appendChange` beside the change itself. */
export function idempotencyRecord(call: IdempotentCall | null, response: unknown): IdempotencyRecord | undefined {
  if (call === null) return undefined;
  return {
    subject: call.subject,
    key: call.key,
    operation: call.operation,
    requestHash: hashInput(call.input),
    response,
  };
}

/** True when a transaction failed because another call with the same key committed first: look the answer up again. */
export function isIdempotencyRace(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const text = JSON.stringify([
    ('constraint_name' in error && error.constraint_name) || '',
    'message' in error ? error.message : '',
    'meta' in error ? error.meta : '',
  ]);
  return text.includes('idempotency_pkey');
}

function identity(tenantId: string, subject: string, key: string): string {
  return JSON.stringify([tenantId, subject, key]);
}
