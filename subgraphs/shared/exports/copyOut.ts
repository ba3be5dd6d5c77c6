import { Readable } from 'node:stream';
import type { Connection, Submittable } from 'pg';
import { ReusedSocket } from './reusedSocket.ts';

const [copyData, copyOutResponse, notice, notification, parameterStatus] = [0x64, 0x48, 0x4e, 0x41, 0x53];
/** Kind and length of a message. */
const headBytes = 5;
const empty = Buffer.alloc(0);
/** Memory that data are gathered in, what is passed on of it at once, and how long less than that is held back. */
const slabBytes = 262_144;
const pieceBytes = 65_536;
const holdMs = 2;

interface Socket extends Readable {
  readonly destroyed: boolean;
}

/**
 * COPY TO STDOUT as a stream, after `pg-copy-streams` (MIT): the socket is taken from the driver while the copy lasts, read
 * no faster than the stream is, and given back with what follows. That one ends when the data does; this one when the
 * server has said how many rows it was (PostgreSQL documentation, "Message Formats": CopyData). A row is a message and the
 * server sends 8 KiB at a time: what is passed on is gathered from them, so that its reader is woken a few times a megabyte.
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
  #slab: Buffer = empty;
  /** Data in the slab: where what has not been passed on begins and ends. */
  #begin = 0;
  #end = 0;
  #holding: NodeJS.Timeout | undefined;

  constructor(text: string, highWaterMark: number) {
    super({ highWaterMark });
    this.#text = text;
  }

  submit(connection: Connection): void {
    const own = connection as unknown as { readonly stream: Socket; query(text: string): void };
    const { stream } = own;
    this.#connection = own;
    const [handler] = stream.listeners('data') as ((chunk: Buffer) => void)[];
    if (!handler || stream.listenerCount('data') !== 1) throw new Error('expected a driver that reads by one listener');
    this.#handler = handler;
    if (stream instanceof ReusedSocket) stream.divert((chunk) => this.#take(chunk));
    else {
      stream.removeListener('data', handler);
      stream.on('data', this.#onData);
    }
    own.query(this.#text);
  }

  override _read(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#connection?.stream.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#holding);
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.#take(chunk)) this.#connection?.stream.pause();
  };

  /** Gathers the data of a piece; the first message that is not of the copy ends it. False when no more is wanted. */
  #take(piece: Buffer): boolean {
    // The head may lie in memory that the next reading takes.
    const chunk = this.#head.length === 0 ? piece : Buffer.concat([this.#head, piece]);
    this.#head = empty;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const end = Math.min(chunk.length, at + this.#left);
        if (this.#isData) this.#gather(chunk, at, end);
        this.#left -= end - at;
        at = end;
        continue;
      }
      if (chunk.length - at < headBytes) {
        this.#head = Buffer.from(chunk.subarray(at));
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
        this.#pass();
        this.#giveBack(Buffer.from(chunk.subarray(at)));
        return true;
      }
      this.#left = chunk.readUInt32BE(at + 1) - 4;
      at += headBytes;
    }
    if (this.#end - this.#begin >= pieceBytes) this.#pass();
    else if (this.#end > this.#begin) this.#holding ??= setTimeout(() => this.#pass(), holdMs);
    return this.#isWanted;
  }

  #gather(chunk: Buffer, from: number, to: number): void {
    for (let at = from; at < to; ) {
      if (this.#end === this.#slab.length) {
        this.#pass();
        this.#slab = Buffer.allocUnsafeSlow(slabBytes);
        [this.#begin, this.#end] = [0, 0];
      }
      const copied = chunk.copy(this.#slab, this.#end, at, to);
      this.#end += copied;
      at += copied;
    }
  }

  #pass(): void {
    clearTimeout(this.#holding);
    this.#holding = undefined;
    if (this.#end === this.#begin) return;
    const piece = this.#slab.subarray(this.#begin, this.#end);
    this.#begin = this.#end;
    this.#isWanted = this.push(piece);
  }

  #giveBack(rest: Buffer): void {
    const { stream } = this.#connection!;
    const handler = this.#handler!;
    this.#connection = null;
    if (stream instanceof ReusedSocket) stream.divert(null);
    else {
      stream.removeListener('data', this.#onData);
      stream.addListener('data', handler);
    }
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
