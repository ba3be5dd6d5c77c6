import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Payload } from '../payload.ts';
import type { TickFlusher } from '../tick.ts';
import { textFrameHead } from './webSocketFrame.ts';

/** Node writes shorter strings from its stack; longer ones it copies to the heap as a buffer of its own would be. */
const maxStackBytes = 16_384;
const openState = WebSocket.OPEN;

/** The start of every `next` message of one operation, as latin1 writes its bytes. */
export function nextHead(operationId: string): string {
  return Buffer.from(`{"id":${JSON.stringify(operationId)},"type":"next","payload":`).toString('latin1');
}

/**
 * Writes result messages past `ws` straight to its TCP socket, all of one turn in one write. Whole frames between whole
 * frames are safe because the server compresses nothing, so that `ws` never holds half a message back.
 *
 * Frames are strings of one character a byte: written as latin1 they need no buffer of their own, neither its memory nor
 * the collector's work for it.
 */
export class WebSocketWriter {
  readonly #flusher: TickFlusher;
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  #pending = '';
  /** The socket holds more than its high-water mark, as its last `write` said. */
  #isCongested = false;

  constructor(webSocket: WebSocket, socket: Duplex, flusher: TickFlusher) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#flusher = flusher;
  }

  next(head: string, { latin1 }: Payload): void {
    if (this.#pending === '') this.#flusher.schedule(this);
    this.#pending += `${textFrameHead(head.length + latin1.length + 1)}${head}${latin1}}`;
  }

  /** Sends what waits; whoever writes through `ws` calls this first, so that messages keep their order. */
  flush(): void {
    const frames = this.#pending;
    if (frames === '') return;
    this.#pending = '';
    const socket = this.#socket;
    if (this.#webSocket.readyState !== openState || !socket.writable) return;
    this.#isCongested = !(frames.length > maxStackBytes
      ? socket.write(Buffer.from(frames, 'latin1'))
      : socket.write(frames, 'latin1'));
  }

  /** Looks again at the socket after somebody else wrote to it. */
  refresh(): void {
    this.#isCongested = this.#socket.writableNeedDrain;
  }

  /** What waits here and in the socket; below the socket's high-water mark its part counts as none. */
  get bufferedBytes(): number {
    return this.#isCongested ? this.#pending.length + this.#socket.writableLength : this.#pending.length;
  }
}
