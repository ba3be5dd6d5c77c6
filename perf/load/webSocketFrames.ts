import { randomFillSync } from 'node:crypto';

const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

export type ClientOpcode = 'text' | 'close' | 'pong';

/** What a server may say in one message, bytes; more is taken for a broken length. */
const maxMessageBytes = 64 * 1024 * 1024;
const maxControlBytes = 125;
/** RFC 6455, 7.1.5: a close frame without a code. */
export const noCode = 1005;

export interface FrameListener {
  /** A text message: `bytes` from `start` to `end`, which are good until it returns. */
  onText(bytes: Buffer, start: number, end: number): void;
  onPing(payload: Buffer): void;
  onClose(code: number): void;
}

/** A frame as clients have to send it: final and masked with a key of its own (RFC 6455, 5.3). */
export function maskedFrame(opcode: ClientOpcode, payload: Buffer): Buffer {
  const { length } = payload;
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const keyAt = 2 + lengthBytes;
  const frame = Buffer.allocUnsafe(keyAt + 4 + length);
  frame[0] = 0x80 | opcodes[opcode];
  frame[1] = 0x80 | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) frame.writeUInt16BE(length, 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  randomFillSync(frame, keyAt, 4);
  for (let at = 0; at < length; at += 1) frame[keyAt + 4 + at] = payload[at]! ^ frame[keyAt + (at & 3)]!;
  return frame;
}

/**
 * Cuts the frames of one server out of its bytes (RFC 6455, 5.2), however they are split over reads. A frame that came
 * whole is handed on where it lies; only what has not come to its end is copied.
 */
export class FrameCutter {
  readonly #listener: FrameListener;
  /** What came of a frame that has not come to its end. */
  #rest: Buffer | null = null;
  #restLength = 0;
  /** Parts of a message that the server sends in several frames. */
  #parts: Buffer[] | null = null;
  #partBytes = 0;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /**
   * Takes the bytes of `buffer` from `start` to `end`, which may change after it returns.
   * @throws {Error} when they are no frames that a server may send
   */
  take(buffer: Buffer, start: number, end: number): void {
    if (this.#restLength === 0) {
      const upTo = this.#cut(buffer, start, end);
      if (upTo < end) this.#keep(buffer, upTo, end);
      return;
    }
    this.#keep(buffer, start, end);
    const rest = this.#rest!;
    const length = this.#restLength;
    const upTo = this.#cut(rest, 0, length);
    rest.copyWithin(0, upTo, length);
    this.#restLength = length - upTo;
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    const needed = this.#restLength + end - start;
    if (this.#rest === null || this.#rest.length < needed) {
      const larger = Buffer.allocUnsafeSlow(Math.max(4_096, needed * 2));
      this.#rest?.copy(larger, 0, 0, this.#restLength);
      this.#rest = larger;
    }
    buffer.copy(this.#rest, this.#restLength, start, end);
    this.#restLength = needed;
  }

  /** Hands on all whole frames; answers where the first that is not whole begins. */
  #cut(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (end - at >= 2) {
      let payloadAt = at + 2;
      let length = bytes[at + 1]!;
      if (length > 127) throw new Error('expected the frames of a server to be unmasked');
      if (length === 126) {
        if (end - at < 4) return at;
        length = bytes.readUInt16BE(at + 2);
        payloadAt = at + 4;
      } else if (length === 127) {
        if (end - at < 10) return at;
        length = bytes.readUInt32BE(at + 2) * 0x1_0000_0000 + bytes.readUInt32BE(at + 6);
        payloadAt = at + 10;
      }
      if (length > maxMessageBytes)
        throw new Error(`expected a frame of at most ${maxMessageBytes} bytes, got ${length}`);
      const next = payloadAt + length;
      if (next > end) return at;
      this.#hear(bytes[at]!, bytes, payloadAt, next);
      at = next;
    }
    return at;
  }

  #hear(head: number, bytes: Buffer, start: number, end: number): void {
    const isFinal = head >= 0x80;
    if (head === (0x80 | opcodes.text) && this.#parts === null) {
      this.#listener.onText(bytes, start, end);
      return;
    }
    if ((head & 0x70) !== 0) throw new Error('expected no extension, got a frame with reserved bits');
    const opcode = head & 0x0f;
    switch (opcode) {
      case opcodes.text:
        if (this.#parts !== null) throw new Error('expected the next part of a message, got another message');
        this.#parts = [];
        this.#addPart(isFinal, bytes, start, end);
        return;
      case opcodes.continuation:
        if (this.#parts === null) throw new Error('expected a message, got the next part of one');
        this.#addPart(isFinal, bytes, start, end);
        return;
      case opcodes.close:
      case opcodes.ping:
      case opcodes.pong:
        if (!isFinal || end - start > maxControlBytes)
          throw new Error('expected a control frame to be small and whole');
        if (opcode === opcodes.close) this.#listener.onClose(end - start < 2 ? noCode : bytes.readUInt16BE(start));
        if (opcode === opcodes.ping) this.#listener.onPing(Buffer.from(bytes.subarray(start, end)));
        return;
      default:
        throw new Error(`expected text and control frames, got opcode ${opcode}`);
    }
  }

  #addPart(isFinal: boolean, bytes: Buffer, start: number, end: number): void {
    const parts = this.#parts!;
    parts.push(Buffer.from(bytes.subarray(start, end)));
    this.#partBytes += end - start;
    if (this.#partBytes > maxMessageBytes) throw new Error(`expected a message of at most ${maxMessageBytes} bytes`);
    if (!isFinal) return;
    this.#parts = null;
    this.#partBytes = 0;
    const message = Buffer.concat(parts);
    this.#listener.onText(message, 0, message.length);
  }
}
