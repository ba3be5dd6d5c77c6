import { Transform } from 'node:stream';

const [quote, lineFeed, carriageReturn] = [0x22, 0x0a, 0x0d];

/**
 * CSV of PostgreSQL as RFC 4180 has it: its lines end in a line feed, which becomes CRLF wherever it stands outside of
 * quotes. A quote within a quoted field is doubled, so that it ends one and begins the next.
 */
export function createCsvLines(): Transform {
  let quoted = false;
  return new Transform({
    highWaterMark: 262_144,
    transform(chunk: Buffer, _encoding, done) {
      const made = Buffer.allocUnsafe(chunk.length * 2);
      let length = 0;
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at]!;
        if (byte === quote) quoted = !quoted;
        else if (byte === lineFeed && !quoted) made[length++] = carriageReturn;
        made[length++] = byte;
      }
      done(null, made.subarray(0, length));
    },
  });
}
