import { PlatformError } from '../errors.ts';

/** What one committed change made stale. */
export interface WrittenChange {
  readonly eventId: string;
  readonly tags: readonly string[];
}

/** What a client's token says it has written. Nobody vouches for it: it may cause misses, never more. */
export interface ConsistencyClaim {
  readonly issuedAtMs: number;
  readonly changes: readonly WrittenChange[];
  /** True when there was too much to name: the request has to read past the cache. */
  readonly everything: boolean;
}

/** Header that carries the token, from the client and on to subgraphs of other processes. */
export const consistencyHeader = 'x-mplp-consistency';

const version = 1;
const maxTokenLength = 8_192;
const maxTags = 128;
const maxNameLength = 256;

/**
 * Names what a mutation wrote, for its author to send back with the next read to whatever instance answers it.
 * One that would name more than 128 tags says only that there was much.
 */
export function createConsistencyToken(changes: readonly WrittenChange[], nowMs: number = Date.now()): string {
  const named = changes.map(({ eventId, tags }) => [eventId, ...tags]);
  const token = encode([version, nowMs, named]);
  const tags = changes.reduce((sum, change) => sum + change.tags.length, 0);
  return tags > maxTags || token.length > maxTokenLength ? encode([version, nowMs]) : token;
}

/** @throws {BAD_USER_INPUT} when the text is not a token of ours or over its bounds. */
export function readConsistencyToken(token: string): ConsistencyClaim {
  if (token.length > maxTokenLength)
    throw refused(`it has ${token.length} characters; at most ${maxTokenLength} are allowed`);
  if (!/^[\w-]+$/.test(token)) throw refused('it is not base64url');
  const [found, issuedAtMs, named] = decode(token);
  if (found !== version) throw refused('it is of an unknown version');
  if (typeof issuedAtMs !== 'number' || !Number.isSafeInteger(issuedAtMs)) throw refused('it names no time');
  if (named === undefined) return { issuedAtMs, changes: [], everything: true };
  if (!Array.isArray(named)) throw refused('it names no changes');
  const changes = named.map(toChange);
  const tags = changes.reduce((sum, change) => sum + change.tags.length, 0);
  if (tags > maxTags || changes.length > maxTags) throw refused(`it names more than ${maxTags} tags`);
  return { issuedAtMs, changes, everything: false };
}

function toChange(entry: unknown): WrittenChange {
  if (!Array.isArray(entry) || entry.length === 0 || !entry.every(isName)) throw refused('a change in it is malformed');
  const [eventId, ...tags] = entry as [string, ...string[]];
  return { eventId, tags };
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= maxNameLength;
}

function encode(content: unknown): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

function decode(token: string): unknown[] {
  try {
    const content: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (Array.isArray(content)) return content;
  } catch {
    // Answered below like everything else that is not a token.
  }
  throw refused('its content is not readable');
}

function refused(reason: string): PlatformError {
  return new PlatformError('BAD_USER_INPUT', `the consistency token is not usable: ${reason}`);
}
