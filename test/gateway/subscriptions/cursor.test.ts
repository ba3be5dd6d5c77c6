import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from '#shared/cursor.ts';

describe('cursor', () => {
  it('comes back as it went, for its own stream only', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), fc.nat({ max: 2 ** 31 - 1 }), (stream, other, sequence) => {
        const cursor = encodeCursor(stream, sequence);
        expect(cursor).toMatch(/^[\w-]{30}$/);
        expect(decodeCursor(cursor, stream)).toBe(sequence);
        expect(decodeCursor(cursor, stream.toUpperCase())).toBe(sequence);
        if (other !== stream) expect(() => decodeCursor(cursor, other)).toThrow('belongs to another stream');
      }),
    );
    expect(
      decodeCursor(
        encodeCursor('00000000-0000-4000-8000-000000000000', 2 ** 48 - 1),
        '00000000-0000-4000-8000-000000000000',
      ),
    ).toBe(2 ** 48 - 1);
  });

  it('is base64url of the id and six bytes of the sequence', () => {
    const streams = Array.from({ length: 3 }, () => randomUUID());
    const sequences = fc.oneof(
      fc.nat({ max: 300 }),
      fc.maxSafeNat().map((sequence) => sequence % 2 ** 48),
    );
    fc.assert(
      fc.property(fc.constantFrom(...streams), sequences, (stream, sequence) => {
        const bytes = Buffer.alloc(22);
        bytes.write(stream.replaceAll('-', ''), 'hex');
        bytes.writeUIntBE(sequence, 16, 6);
        expect(encodeCursor(stream, sequence)).toBe(bytes.toString('base64url'));
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses every other spelling', () => {
    const stream = randomUUID();
    const cursor = encodeCursor(stream, 7);
    for (const bad of [
      '',
      'x',
      `${cursor}=`,
      `${cursor}A`,
      cursor.slice(0, -1),
      ` ${cursor}`,
      cursor.replace(/.$/, '*'),
      'ä'.repeat(30),
    ]) {
      expect(() => decodeCursor(bad, stream)).toThrow('not one this service gave out');
    }
  });

  it('is made of a UUID and a sequence', () => {
    expect(() => encodeCursor('dialog-1', 1)).toThrow(TypeError);
    expect(() => encodeCursor(randomUUID(), -1)).toThrow(RangeError);
    expect(() => encodeCursor(randomUUID(), 1.5)).toThrow(RangeError);
  });
});
