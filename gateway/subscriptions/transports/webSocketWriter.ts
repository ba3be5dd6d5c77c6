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
  const heads: Buffer[] = [];
  const payloads: Payload[] = [];
  let pendingBytes = 0;

  const writer = {
    next(head: Buffer, payload: Payload): void {
      if (heads.length === 0) flusher.schedule(writer);
      heads.push(head);
      payloads.push(payload);
      pendingBytes += textFrameBytes(head.length + payload.bytes.length + nextTail.length);
    },

    /** Sends what waits; whoever writes through `ws` calls this first, so that messages keep their order. */
    flush(): void {
      if (heads.length === 0) return;
      if (webSocket.readyState === webSocket.OPEN && socket.writable) {
        const bytes = Buffer.allocUnsafe(pendingBytes);
        let offset = 0;
        for (let index = 0; index < heads.length; index++) {
          const head = heads[index];
          const payload = payloads[index];
          if (head === undefined || payload === undefined) continue;
          offset = writeTextFrameHead(bytes, offset, head.length + payload.bytes.length + nextTail.length);
          offset += head.copy(bytes, offset);
          offset += payload.bytes.copy(bytes, offset);
          offset += nextTail.copy(bytes, offset);
        }
        socket.write(bytes);
      }
      heads.length = 0;
      payloads.length = 0;
      pendingBytes = 0;
    },

    get bufferedBytes(): number {
      return pendingBytes + socket.writableLength;
    },
  };
  return writer;
}

export type WebSocketWriter = ReturnType<typeof createWebSocketWriter>;
