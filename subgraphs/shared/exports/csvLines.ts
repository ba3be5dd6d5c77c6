import { Transform } from 'node:stream';

const [quote, lineFeed] = [0x22, 0x0a];
const lineEnd = Buffer.from('\r\n');

/**
 * CSV of PostgreSQL as RFC 4180 has it: its lines end in a line feed, which becomes CRLF wherever it stands outside of
 * quotes. A quote within a quoted field is doubled, so that it ends one and begins the next.
 */
export function createCsvLines(): Transform {
  let quoted = false;
  return new Transform({
    highWaterMark: 262_144,
    transform(chunk: Buffer, _encoding, done) {
      const parts: Buffer[] = [];
      let begin = 0;
      let at = 0;
      for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, end + 1)) {
        for (; at < end; at += 1) if (chunk[at] === quote) quoted = !quoted;
        if (quoted) continue;
        parts.push(chunk.subarray(begin, end), lineEnd);
        begin = end + 1;
      }
      for (; at < chunk.length; at += 1) if (chunk[at] === quote) quoted = !quoted;
      parts.push(chunk.subarray(begin));
      done(null, Buffer.concat(parts));
    },
  });
}
