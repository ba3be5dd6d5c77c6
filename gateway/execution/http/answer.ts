import { PlatformError } from '#shared/errors.ts';
import type { SubgraphResponse } from '../fetchHooks.ts';

/**
 * Reads the body of a subgraph's answer. A GraphQL body counts whatever the status says.
 * @throws {UNAVAILABLE} when there is none, {INTERNAL_ERROR} when the subgraph refuses the gateway itself (4xx).
 */
export function readAnswer(name: string, status: number, text: string): SubgraphResponse {
  const body = parseBody(text);
  if (body !== null) return body;
  if (status >= 400 && status < 500 && status !== 408 && status !== 429)
    throw new PlatformError('INTERNAL_ERROR', `subgraph ${name} refused the gateway's request with status ${status}`);
  throw new PlatformError(
    'UNAVAILABLE',
    status >= 400
      ? `subgraph ${name} answered with status ${status}`
      : `subgraph ${name} answered with something that is not GraphQL`,
  );
}

function parseBody(text: string): SubgraphResponse | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  return isAnswer(body) ? body : null;
}

function isAnswer(body: unknown): body is SubgraphResponse {
  if (!isRecord(body)) return false;
  const { data, errors, extensions } = body;
  if (data === undefined && errors === undefined) return false;
  if (data !== undefined && data !== null && !isRecord(data)) return false;
  if (extensions !== undefined && !isRecord(extensions)) return false;
  return errors === undefined || (Array.isArray(errors) && errors.every(isRecord));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
