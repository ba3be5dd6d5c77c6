import { expect, test } from 'vitest';
import { FrameCutter, maskedFrame } from '../../perf/load/webSocketFrames.ts';

interface Heard {
  readonly texts: string[];
  readonly pings: string[];
  readonly closes: number[];
}

/** A frame as a server sends it (RFC 6455, 5.2). */
function frame(content: string | Buffer, { opcode = 1, fin = true } = {}): Buffer {
  const payload = Buffer.from(content);
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** What is heard of `bytes` that come in reads of those lengths, each in the buffer of the one before. */
function hear(bytes: Buffer, readLengths: readonly number[]): Heard {
  const heard: Heard = { texts: [], pings: [], closes: [] };
  const cutter = new FrameCutter({
    onText: (buffer, start, end) => void heard.texts.push(buffer.toString('utf8', start, end)),
    onPing: (payload) => void heard.pings.push(payload.toString()),
    onClose: (code) => void heard.closes.push(code),
  });
  const buffer = Buffer.alloc(Math.max(...readLengths));
  let at = 0;
  for (const length of readLengths) {
    buffer.fill(0xff);
    bytes.copy(buffer, 0, at, at + length);
    cutter.take(buffer, 0, length);
    at += length;
  }
  return heard;
}

const several = Buffer.concat([
  frame('short'),
  frame('müde '.repeat(40)),
  frame('', { opcode: 9 }),
  frame('a', { fin: false }),
  frame('?', { opcode: 9 }),
  frame('b', { opcode: 0, fin: false }),
  frame('c', { opcode: 0 }),
  frame(''),
  frame(Buffer.from([0x10, 0xc2]), { opcode: 8 }),
]);
const heardOfSeveral: Heard = {
  texts: ['short', 'müde '.repeat(40), 'abc', ''],
  pings: ['', '?'],
  closes: [0x10c2],
};

test('many frames of one read are cut apart', () => {
  expect(hear(several, [several.length])).toEqual(heardOfSeveral);
});

test('frames split at any byte, and at each, come whole', () => {
  for (let at = 1; at < several.length; at += 1)
    expect(hear(several, [at, several.length - at]), `split at ${at}`).toEqual(heardOfSeveral);
  expect(
    hear(
      several,
      Array.from(several, () => 1),
    ),
  ).toEqual(heardOfSeveral);
});

test.each([125, 126, 65_535, 65_536, 200_000])(
  'a frame of %i bytes comes whole, and so does what follows it',
  (length) => {
    const text = 'x'.repeat(length);
    const bytes = Buffer.concat([frame(text), frame('after')]);
    for (const size of [1_000, 4_096, 65_536, bytes.length]) {
      const reads = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        Math.min(size, bytes.length - index * size),
      );
      expect(hear(bytes, reads).texts).toEqual([text, 'after']);
    }
  },
);

test.each([
  ['masked', maskedFrame('text', Buffer.from('x')), 'unmasked'],
  ['of a reserved opcode', Buffer.of(0x83, 0), 'got opcode 3'],
  ['binary', Buffer.of(0x82, 0), 'got opcode 2'],
  ['with reserved bits', Buffer.of(0xc1, 0), 'reserved bits'],
  ['that goes on with nothing', Buffer.of(0x80, 0), 'the next part of one'],
  ['that breaks into a message', Buffer.of(0x01, 0, 0x81, 0), 'another message'],
  ['of control, in parts', Buffer.of(0x09, 0), 'small and whole'],
  ['of control, too large', Buffer.concat([Buffer.of(0x89, 126, 0, 126), Buffer.alloc(126)]), 'small and whole'],
  ['without end', Buffer.of(0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0), 'at most'],
])('a frame %s is refused', (_what, bytes, message) => {
  expect(() => hear(bytes, [bytes.length])).toThrow(message);
});
