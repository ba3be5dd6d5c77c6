import { connect } from 'node:net';
import { FrameCutter, maskedFrame, noCode } from './webSocketFrames.ts';
import { createHandshake, type HandshakeOptions } from './webSocketHandshake.ts';

export interface WebSocketOptions extends Omit<HandshakeOptions, 'url'> {
  /** `ws:` only: a load has no need of TLS. */
  readonly url: string;
  /** A text message: `bytes` from `start` to `end`, which are good until it returns. */
  onText(bytes: Buffer, start: number, end: number): void;
  /** Once, also when the socket was never opened; 1006 without a close frame, with what ended it where that is known. */
  onClose(code: number, error: Error | undefined): void;
}

export interface WebSocketClient {
  send(text: string): void;
  /** Ends it without a word. */
  terminate(): void;
}

/** Bytes of one read at most. */
const readBytes = 65_536;
/** RFC 6455, 7.1.5: the connection ended without a close frame. */
const abnormal = 1006;

/**
 * Opens WebSockets that cost next to nothing to read: all share one buffer, and frames are handed on where they lie in it.
 * A general client makes several objects of each message, which together took more CPU than the server that sent it.
 */
export function createWebSocketOpener(): (options: WebSocketOptions) => Promise<WebSocketClient> {
  const buffer = Buffer.allocUnsafeSlow(readBytes);

  return ({ url, protocol, headers, onText, onClose }) =>
    new Promise((resolve, reject) => {
      const target = new URL(url);
      if (target.protocol !== 'ws:') throw new Error(`expected a ws: address, got ${url}`);
      const handshake = createHandshake({ url: target, protocol, ...(headers && { headers }) });
      let answer: Buffer | null = Buffer.alloc(0);
      let code = abnormal;
      let failure: Error | undefined;
      const cutter = new FrameCutter({
        onText,
        onPing: (payload) => void socket.write(maskedFrame('pong', payload)),
        onClose(received) {
          code = received;
          const payload = received === noCode ? Buffer.alloc(0) : Buffer.of(received >>> 8, received & 0xff);
          socket.end(maskedFrame('close', payload));
        },
      });

      function shake(bytes: Buffer): void {
        answer = Buffer.concat([answer ?? bytes, bytes]);
        const headBytes = handshake.read(answer);
        if (headBytes === null) return;
        const first = answer;
        answer = null;
        resolve({
          send: (text) => void socket.write(maskedFrame('text', Buffer.from(text))),
          terminate: () => void socket.destroy(),
        });
        // Whoever opened it is told first that it is open.
        if (headBytes < first.length) queueMicrotask(() => take(first, headBytes, first.length));
      }

      function take(bytes: Buffer, start: number, end: number): void {
        try {
          if (answer === null) cutter.take(bytes, start, end);
          else shake(bytes.subarray(start, end));
        } catch (error) {
          socket.destroy(error instanceof Error ? error : new Error(String(error)));
        }
      }

      const socket = connect({
        host: target.hostname,
        port: Number(target.port || 80),
        noDelay: true,
        onread: {
          buffer,
          callback(length: number): boolean {
            take(buffer, 0, length);
            return true;
          },
        },
      });
      socket.on('connect', () => socket.write(handshake.request));
      socket.on('error', (error) => {
        failure = error;
        reject(error);
      });
      socket.on('close', () => {
        reject(new Error(`the socket was closed with ${code} before it was open`));
        onClose(code, failure);
      });
      // What is read goes to `onread`; the end is told to a stream that flows.
      socket.resume();
    });
}
