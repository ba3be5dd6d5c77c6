import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createScratchDatabase } from '../../prisma/scratch.ts';
import { isMode, type Mode, type OwnPlatform, startPlatform } from './platform.ts';

export interface SharedPlatforms extends AsyncDisposable {
  /** Answers `GET /<mode>?by=<test file>` with the address of that platform; `DELETE` of the same gives it back. */
  readonly url: string;
}

/** An idle platform of each mode takes a quarter of a core; a start of both, twelve seconds of one. */
const idleMs = 15_000;

/** One platform, there as long as somebody uses it and a while longer. */
interface Shared {
  readonly platform: Promise<OwnPlatform>;
  /** Test files that have it. */
  readonly users: string[];
  closing?: NodeJS.Timeout;
}

/**
 * Offers the run's workers one platform of each mode, started when the first of them asks: a start is four seconds of a
 * core, of a distributed platform ten. Files that share stand together in the order of files.
 */
export async function offerSharedPlatforms(
  adminUrl: string,
  database: { readonly template: string; readonly prefix: string },
): Promise<SharedPlatforms> {
  await using own = new AsyncDisposableStack();
  const shared = new Map<Mode, Shared>();
  const ended: Promise<void>[] = [];
  async function start(mode: Mode): Promise<OwnPlatform> {
    const { url } = await createScratchDatabase(adminUrl, database);
    return startPlatform({ mode, databaseUrl: url });
  }
  const close = ({ platform }: Shared) =>
    platform.then(
      (running) => running.close(),
      () => {},
    );
  function take(mode: Mode, user: string): Shared {
    const known = shared.get(mode) ?? { platform: start(mode), users: [] };
    shared.set(mode, known);
    known.users.push(user);
    clearTimeout(known.closing);
    return known;
  }
  function giveBack(mode: Mode, user: string): void {
    const known = shared.get(mode);
    const at = known?.users.indexOf(user) ?? -1;
    if (known === undefined || at === -1) return;
    known.users.splice(at, 1);
    if (known.users.length > 0) return;
    known.closing = setTimeout(() => {
      shared.delete(mode);
      ended.push(close(known));
    }, idleMs);
  }
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://shared');
    const mode = decodeURIComponent(pathname.slice(1));
    const user = searchParams.get('by');
    if (!isMode(mode) || user === null) return void response.writeHead(404).end();
    if (request.method === 'DELETE') {
      giveBack(mode, user);
      return void response.writeHead(204).end();
    }
    take(mode, user).platform.then(
      ({ url, databaseUrl, dataDir }) => response.end(JSON.stringify({ url, databaseUrl, dataDir })),
      (error: unknown) => {
        // Who got none has none to give back.
        giveBack(mode, user);
        response.writeHead(500).end(String(error));
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  own.defer(async () => {
    server.close();
    server.closeAllConnections();
    for (const { closing } of shared.values()) clearTimeout(closing);
    const kept = new Set([...shared.values()].flatMap(({ users }) => users));
    await Promise.allSettled([...ended, ...[...shared.values()].map(close)]);
    // It ran for nobody all the time, which slows every other file.
    if (kept.size > 0) throw new Error(`a shared platform was not given back by ${[...kept].join(', ')}`);
  });
  const running = own.move();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
