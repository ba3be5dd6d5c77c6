import { PlatformError } from './errors.ts';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const streamBytes = 16;
const sequenceBytes = 6;
/** What six bytes hold: 2^48 - 1. */
const maxSequence = 2 ** (8 * sequenceBytes) - 1;

export function isStreamId(value: string): boolean {
  return uuidPattern.test(value);
}

/** The place right after event `sequence` of a stream (0: before the first), as 30 characters of base64url. */
export function encodeCursor(streamId: string, sequence: number): string {
  if (!isStreamId(streamId)) throw new TypeError(`A stream id is a UUID, got ${JSON.stringify(streamId)}.`);
  if (!Number.isInteger(sequence) || sequence < 0 || sequence > maxSequence) {
    throw new RangeError(`A sequence is an integer from 0 to ${maxSequence}, got ${sequence}.`);
  }
  const bytes = Buffer.allocUnsafe(streamBytes + sequenceBytes);
  bytes.write(streamId.replaceAll('-', ''), 0, 'hex');
  bytes.writeUIntBE(sequence, streamBytes, sequenceBytes);
  return bytes.toString('base64url');
}

/**
 * The sequence a cursor stands for.
 * @throws {PlatformError} CURSOR_INVALID when it is malformed or belongs to another stream.
 */
export function decodeCursor(cursor: string, streamId: string): number {
  const bytes = Buffer.from(cursor, 'base64url');
  // Node decodes leniently; only the canonical spelling is one of ours.
  if (bytes.length !== streamBytes + sequenceBytes || bytes.toString('base64url') !== cursor) {
    throw new PlatformError('CURSOR_INVALID', 'The cursor is not one this service gave out.', { path: ['after'] });
  }
  if (bytes.toString('hex', 0, streamBytes) !== streamId.replaceAll('-', '').toLowerCase()) {
    throw new PlatformError('CURSOR_INVALID', 'The cursor belongs to another stream.', { path: ['after'] });
  }
  return bytes.readUIntBE(streamBytes, sequenceBytes);
}
