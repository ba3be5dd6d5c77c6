import { PlatformError } from './errors.ts';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const streamBytes = 16;
const sequenceBytes = 6;
/** What six bytes hold: 2^48 - 1. */
const maxSequence = 2 ** (8 * sequenceBytes) - 1;

export function isStreamId(value: string): boolean {
  return uuidPattern.test(value);
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const digitCodes = Uint8Array.from(alphabet, (digit) => digit.charCodeAt(0));
/** What the last three bytes of a sequence can tell apart. */
const lowRange = 2 ** 24;

/** Cursors of a stream begin alike as long as the first half of the sequence is the same. */
interface CursorStart {
  readonly high: number;
  readonly text: string;
}

/** By stream id. All are forgotten when it is full: one is made anew as fast as a cursor was. */
const starts = new Map<string, CursorStart>();
const maxStarts = 10_000;

/** The place right after event `sequence` of a stream (0: before the first), as 30 characters of base64url. */
export function encodeCursor(streamId: string, sequence: number): string {
  if (!Number.isInteger(sequence) || sequence < 0 || sequence > maxSequence) {
    throw new RangeError(`A sequence is an integer from 0 to ${maxSequence}, got ${sequence}.`);
  }
  const high = Math.floor(sequence / lowRange);
  const start = starts.get(streamId);
  const { text } = start?.high === high ? start : startOf(streamId, high);
  // Of 19 bytes before it 152 bits: 25 digits and the last two bits of `high`. Then 24 bits, and four to fill up.
  const low = sequence % lowRange;
  return (
    text +
    String.fromCharCode(
      digitCodes[((high & 3) << 4) | (low >> 20)]!,
      digitCodes[(low >> 14) & 63]!,
      digitCodes[(low >> 8) & 63]!,
      digitCodes[(low >> 2) & 63]!,
      digitCodes[(low & 3) << 4]!,
    )
  );
}

function startOf(streamId: string, high: number): CursorStart {
  if (!isStreamId(streamId)) throw new TypeError(`A stream id is a UUID, got ${JSON.stringify(streamId)}.`);
  const bytes = Buffer.alloc(streamBytes + sequenceBytes);
  bytes.write(streamId.replaceAll('-', ''), 0, 'hex');
  bytes.writeUIntBE(high, streamBytes, sequenceBytes / 2);
  const start = { high, text: bytes.toString('base64url').slice(0, 25) };
  if (starts.size >= maxStarts) starts.clear();
  starts.set(streamId, start);
  return start;
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
