import { startBare } from './bare.ts';
import type { StartFanOut } from './fanOutServer.ts';

/** An unmasked text frame (RFC 6455, 5.2) of fewer than 65,536 bytes. */
function frameOf(bytes: Buffer): Buffer {
  const head =
    bytes.length < 126 ? Buffer.of(0x81, bytes.length) : Buffer.of(0x81, 126, bytes.length >>> 8, bytes.length & 0xff);
  return Buffer.concat([head, bytes]);
}

/** The floor: the frames of one moment are made once and written to each socket at once. */
export const start: StartFanOut = () =>
  startBare((members, messages) => {
    const frames = Buffer.concat(messages.map(frameOf));
    for (const { socket } of members) socket.write(frames);
  });
