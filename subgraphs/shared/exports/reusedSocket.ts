import { Socket } from 'node:net';

/** Room for what one reading takes from the kernel. */
const readBytes = 262_144;

/**
 * A socket that reads into one buffer, over and over. Node gives each reading of a socket 64 KiB of its own, of which a
 * database that sends 8 KiB at a time uses an eighth; memory of that kind counts towards V8's next full collection, which costs
 * tens of milliseconds in a process of some size. Bytes are taken, and copied, while `take` runs.
 */
export class ReusedSocket extends Socket {
  #take: ((chunk: Buffer) => boolean) | null = null;

  constructor() {
    super({
      onread: {
        buffer: Buffer.allocUnsafeSlow(readBytes),
        callback: (bytes: number, buffer: Uint8Array) =>
          this.#read(Buffer.from(buffer.buffer, buffer.byteOffset, bytes)),
      },
    } as unknown as ConstructorParameters<typeof Socket>[0]);
  }

  /** Gives what arrives to one function in place of the listeners of `data`; null gives it back to them. False: no more until `resume`. */
  divert(take: ((chunk: Buffer) => boolean) | null): void {
    this.#take = take;
  }

  #read(chunk: Buffer): boolean {
    if (this.#take !== null) return this.#take(chunk);
    // Whoever listens may keep what it hears.
    this.emit('data', Buffer.from(chunk));
    return true;
  }
}
