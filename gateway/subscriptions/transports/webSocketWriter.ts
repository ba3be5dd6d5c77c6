import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Payload } from '../payload.ts';
import type { TickFlusher } from '../tick.ts';
import { textFrameBytes, writeTextFrameHead } from './webSocketFrame.ts';

const nextTail = Buffer.from('}');

/** The start of every `next` message of one operation. */
export function nextHead(operationId: string): Buffer {
  return Buffer.from(`{"id":${JSON.stringify(operationId)},"type":"next","payload":`);
}

/**
 * Writes result messages past `ws` straight to its TCP socket, all of one turn in one buffer. Whole frames between whole
 * frames are safe because the server compresses nothing, so that `ws` never holds half a message back.
 */
export function createWebSocketWriter(webSocket: WebSocket, socket: Duplex, flusher: TickFlusher) {
  // One frame is the usual case: an array only for more, since emptying one gives its memory back each time.
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let pendingBytes = 0;
  /** The socket holds more than its high-water mark, as its last `write` said. */
  let isCongested = false;

  const writer = {
    next(head: Buffer, payload: Payload): void {
      const frame = frameNext(head, payload.bytes);
      pendingBytes += frame.length;
      if (first === undefined) {
        first = frame;
        flusher.schedule(writer);
      } else if (more === undefined) more = [frame];
      else more.push(frame);
    },

    /** Sends what waits; whoever writes through `ws` calls this first, so that messages keep their order. */
    flush(): void {
      if (first === undefined) return;
      const bytes = more === undefined ? first : Buffer.concat([first, ...more], pendingBytes);
      first = undefined;
      more = undefined;
      pendingBytes = 0;
      if (webSocket.readyState === webSocket.OPEN && socket.writable) isCongested = !socket.write(bytes);
    },

    /** Looks again at the socket after somebody else wrote to it. */
    refresh(): void {
      isCongested = socket.writableNeedDrain;
    },

    /** What waits here and in the socket; below the socket's high-water mark its part counts as none. */
    get bufferedBytes(): number {
      return isCongested ? pendingBytes + socket.writableLength : pendingBytes;
    },
  };
  return writer;
}

export type WebSocketWriter = ReturnType<typeof createWebSocketWriter>;

function frameNext(head: Buffer, payload: Buffer): Buffer {
  const length = head.length + payload.length + nextTail.length;
  const frame = Buffer.allocUnsafe(textFrameBytes(length));
  let offset = writeTextFrameHead(frame, 0, length);
  offset += head.copy(frame, offset);
  offset += payload.copy(frame, offset);
  nextTail.copy(frame, offset);
  return frame;
}
