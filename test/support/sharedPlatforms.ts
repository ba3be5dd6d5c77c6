import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createScratchDatabase } from '../../prisma/scratch.ts';
import { isMode, type Mode, type OwnPlatform, startPlatform } from './platform.ts';

export interface SharedPlatforms extends AsyncDisposable {
  /** Answers `GET /<mode>` with the address of that platform. */
  readonly url: string;
}

/**
 * Offers the run's workers one platform of each mode, started when the first of them asks: a start is four seconds of a
 * core, of a distributed platform ten and more.
 */
export async function offerSharedPlatforms(
  adminUrl: string,
  database: { readonly template: string; readonly prefix: string },
): Promise<SharedPlatforms> {
  await using own = new AsyncDisposableStack();
  const started = new Map<Mode, Promise<OwnPlatform>>();
  async function start(mode: Mode): Promise<OwnPlatform> {
    const { url } = await createScratchDatabase(adminUrl, database);
    return startPlatform({ mode, databaseUrl: url });
  }
  const server = createServer((request, response) => {
    const mode = decodeURIComponent(request.url!.slice(1));
    if (!isMode(mode)) return void response.writeHead(404).end();
    const platform = started.get(mode) ?? start(mode);
    started.set(mode, platform);
    platform.then(
      ({ url, databaseUrl, dataDir }) => response.end(JSON.stringify({ url, databaseUrl, dataDir })),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  own.defer(async () => {
    server.close();
    server.closeAllConnections();
    for (const platform of await Promise.allSettled(started.values()))
      if (platform.status === 'fulfilled') await platform.value.close();
  });
  const running = own.move();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
