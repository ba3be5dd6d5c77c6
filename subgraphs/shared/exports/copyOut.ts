import { Readable } from 'node:stream';
import type { Connection, Submittable } from 'pg';

const [copyData, copyOutResponse, notice, notification, parameterStatus] = [0x64, 0x48, 0x4e, 0x41, 0x53];
/** Kind and length of a message. */
const headBytes = 5;
const empty = Buffer.alloc(0);

interface Socket extends Readable {
  readonly destroyed: boolean;
}

/**
 * COPY TO STDOUT as a stream, after `pg-copy-streams` (MIT): the socket is taken from the driver while the copy lasts, read
 * no faster than the stream is, and given back with what follows. That one ends when the data does; this one when the
 * server has said how many rows it was (PostgreSQL documentation, "Message Formats": CopyData).
 */
export class CopyOut extends Readable implements Submittable {
  rowCount = 0;
  readonly #text: string;
  #connection: { readonly stream: Socket; query(text: string): void } | null = null;
  #handler: ((chunk: Buffer) => void) | null = null;
  /** Bytes of a head that has not come whole. */
  #head: Buffer = empty;
  /** Bytes of the message under way that are still to come, and whether they are data. */
  #left = 0;
  #isData = false;
  #isWanted = false;
  #isReading = false;

  constructor(text: string, highWaterMark: number) {
    super({ highWaterMark });
    this.#text = text;
  }

  submit(connection: Connection): void {
    const own = connection as unknown as { readonly stream: Socket; query(text: string): void };
    this.#connection = own;
    const [handler] = own.stream.listeners('data') as ((chunk: Buffer) => void)[];
    if (!handler || own.stream.listenerCount('data') !== 1)
      throw new Error('expected a driver that reads by one listener');
    this.#handler = handler;
    own.stream.removeListener('data', handler);
    own.stream.pause();
    own.stream.on('readable', this.#onReadable);
    own.query(this.#text);
  }

  override _read(): void {
    this.#isWanted = true;
    this.#forward();
  }

  readonly #onReadable = (): void => this.#forward();

  #forward(): void {
    if (this.#isReading || this.#connection === null) return;
    this.#isReading = true;
    while (this.#isWanted && this.#connection !== null) {
      const chunk = this.#connection.stream.read() as Buffer | null;
      if (chunk === null) break;
      this.#take(chunk);
    }
    this.#isReading = false;
  }

  /** Passes on the data of a piece; the first message that is not of the copy ends it. */
  #take(piece: Buffer): void {
    const chunk = this.#head.length === 0 ? piece : Buffer.concat([this.#head, piece]);
    this.#head = empty;
    const made = Buffer.allocUnsafeSlow(chunk.length);
    let [at, length] = [0, 0];
    let rest: Buffer | null = null;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const end = Math.min(chunk.length, at + this.#left);
        if (this.#isData) length += chunk.copy(made, length, at, end);
        this.#left -= end - at;
        at = end;
        continue;
      }
      if (chunk.length - at < headBytes) {
        this.#head = chunk.subarray(at);
        break;
      }
      const kind = chunk[at]!;
      this.#isData = kind === copyData;
      const isOfCopy =
        this.#isData ||
        kind === copyOutResponse ||
        kind === notice ||
        kind === notification ||
        kind === parameterStatus;
      if (!isOfCopy) {
        rest = chunk.subarray(at);
        break;
      }
      this.#left = chunk.readUInt32BE(at + 1) - 4;
      at += headBytes;
    }
    if (length > 0) this.#isWanted = this.push(made.subarray(0, length));
    if (rest === null) return;
    this.#giveBack(rest);
  }

  #giveBack(rest: Buffer): void {
    const { stream } = this.#connection!;
    const handler = this.#handler!;
    this.#connection = null;
    stream.removeListener('readable', this.#onReadable);
    stream.addListener('data', handler);
    handler(rest);
    process.nextTick(() => stream.resume());
  }

  handleError(error: Error): void {
    this.destroy(error);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.rowCount = Number(/^COPY (\d+)/.exec(text)?.[1] ?? 0);
    this.push(null);
  }

  handleReadyForQuery(): void {}
}
