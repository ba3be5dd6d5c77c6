import { startBare } from './bare.ts';
import type { StartFanOut } from './fanOutServer.ts';

/** `ws` as its documentation broadcasts: each message to each socket. */
export const start: StartFanOut = () =>
  startBare((members, messages) => {
    for (const message of messages) for (const { webSocket } of members) webSocket.send(message, { binary: false });
  });
