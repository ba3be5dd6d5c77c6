import { isUtf8 } from 'node:buffer';
import type { FastifyRequest } from 'fastify';
import { Kind, parse } from 'graphql';
import { PlatformError } from '#shared/errors.ts';
import { parseJson } from '#shared/json.ts';
import type { TrustedDocuments } from '#shared/trustedDocuments.ts';
import { resolveTrusted } from './documents/requestedDocument.ts';

export interface BodyRules {
  readonly maxBodyBytes: number;
  /** Root fields whose operations may carry a body over `maxBodyBytes`. */
  readonly bulkFields: ReadonlySet<string>;
  readonly trusted: TrustedDocuments;
}

type Done = (error: Error | null, body?: unknown) => void;

/** Reads a JSON body: UTF-8 as it came, never repaired, and no larger than its operation may be. */
export function createBodyParser(rules: BodyRules): (request: FastifyRequest, body: Buffer, done: Done) => void {
  return (request, body, done) => {
    try {
      done(null, parseBody(request, body, rules));
    } catch (error) {
      done(error instanceof Error ? error : new PlatformError('BAD_REQUEST', 'the body is not JSON'));
    }
  };
}

function parseBody({ headers }: FastifyRequest, body: Buffer, rules: BodyRules): unknown {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new PlatformError('BAD_REQUEST', `expected a body without content-encoding, got "${encoding}"`);
  if (/charset\s*=\s*"?(?!utf-?8\b)/i.test(headers['content-type'] ?? ''))
    throw new PlatformError('BAD_REQUEST', 'expected a body in UTF-8');
  // Decoded leniently, bad bytes would be stored as U+FFFD: text that nobody sent.
  if (!isUtf8(body)) throw new PlatformError('BAD_REQUEST', 'the body is not UTF-8');
  const parsed = resolveTrusted(readJson(body.toString('utf8')), rules.trusted);
  if (body.length > rules.maxBodyBytes && !isBulk(parsed, rules)) {
    throw new PlatformError(
      'BODY_TOO_LARGE',
      `expected a body of at most ${rules.maxBodyBytes} bytes, got ${body.length}`,
    );
  }
  return parsed;
}

function readJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new PlatformError(
      'BAD_REQUEST',
      `the body is not JSON: ${error instanceof Error ? error.message : 'malformed'}`,
    );
  }
}

function isBulk(parsed: unknown, { maxBodyBytes, bulkFields }: BodyRules): boolean {
  const query = typeof parsed === 'object' && parsed !== null && 'query' in parsed ? parsed.query : null;
  return typeof query === 'string' && query.length <= maxBodyBytes && isBulkDocument(query, bulkFields);
}

/** True when every operation asks for bulk fields alone. A fragment at the root could hide others: it is none. */
function isBulkDocument(source: string, bulkFields: ReadonlySet<string>): boolean {
  try {
    return parse(source, { maxTokens: 1_000, noLocation: true }).definitions.every(
      (node) =>
        node.kind !== Kind.OPERATION_DEFINITION ||
        node.selectionSet.selections.every(
          (selection) => selection.kind === Kind.FIELD && bulkFields.has(selection.name.value),
        ),
    );
  } catch {
    return false;
  }
}
