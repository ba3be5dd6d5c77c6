import type { Server } from 'node:http';

export interface ClosableApp {
  readonly server: Server;
  close(): Promise<unknown>;
}

/**
 * Stops listening, lets running requests finish and closes their connections as they fall idle: a kept-alive one that
 * was busy when the close began would otherwise hold it for its whole keep-alive time.
 */
export async function closeServer(app: ClosableApp, deadlineMs: number): Promise<void> {
  const sweep = setInterval(() => app.server.closeIdleConnections(), 20);
  const force = setTimeout(() => app.server.closeAllConnections(), deadlineMs);
  try {
    await app.close();
  } finally {
    clearInterval(sweep);
    clearTimeout(force);
  }
}
