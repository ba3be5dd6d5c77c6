/** A process that serves one peer: started by `startPeerProcess`, never by hand. */
import type { FromPeer, ToPeer } from './peerProcess.ts';
import type { StartPeer } from './peerServer.ts';

function tell(message: FromPeer): void {
  process.send?.(message);
}

process.once('message', async ({ module, setup }: ToPeer) => {
  try {
    const { start } = (await import(module)) as { start: StartPeer };
    const running = await start(setup);
    // The parent ends the process by disconnecting.
    process.once('disconnect', () => void running.close().finally(() => process.exit(0)));
    tell({ type: 'listening', port: running.port });
  } catch (error) {
    tell({ type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
