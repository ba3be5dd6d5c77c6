import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';

export interface ReachTarget {
  readonly host: string;
  readonly port: number;
  /** With TLS the handshake is part of the way, its certificate checked. */
  readonly isSecure: boolean;
}

export interface Reached {
  readonly reachable: boolean;
  /** Address that was reached for. */
  readonly address: string;
  /** Until the connection stood, or until it was given up; ms. */
  readonly elapsedMs: number;
  readonly error: string | null;
}

/** The host leads to none of the addresses that may be reached for. */
export class ForeignAddress extends Error {}

/**
 * Opens a connection and closes it at once, no byte of content sent. It is made to the very address that was looked at: a name
 * may lead elsewhere a moment later.
 * @throws {ForeignAddress} where the host is no permitted address, or a name that leads to any other
 */
export async function reach(
  { host, port, isSecure }: ReachTarget,
  { isAllowed, timeoutMs }: { readonly isAllowed: (address: string) => boolean; readonly timeoutMs: number },
): Promise<Reached> {
  const givenUpAt = performance.now() + timeoutMs;
  const found = isIP(host) === 0 ? await resolveWithin(host, timeoutMs) : [{ address: host }];
  const [first] = found;
  // Whether a name exists is told to nobody: it might be one of a network of the operator's own.
  if (first === undefined || !found.every(({ address }) => isAllowed(address))) throw new ForeignAddress();
  const started = performance.now();
  const { address } = first;
  const leftMs = Math.max(1, givenUpAt - started);
  const error = await new Promise<string | null>((resolve) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket: Socket = isSecure
      ? connectSecurely({ host: address, port, timeout: leftMs, ...name })
      : connect({ host: address, port, timeout: leftMs });
    const timer = setTimeout(() => end('no answer in time'), leftMs);
    const end = (problem: string | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(problem);
    };
    socket.once(isSecure ? 'secureConnect' : 'connect', () => end(null));
    // The code alone: a message may name what else the machine knows.
    socket.on('error', (failure: NodeJS.ErrnoException) => end(failure.code ?? 'the connection failed'));
  });
  return { reachable: error === null, address, elapsedMs: Math.round(performance.now() - started), error };
}

/** Addresses of a name; none where it has none, or where they were not told in time. */
async function resolveWithin(host: string, timeoutMs: number): Promise<readonly { readonly address: string }[]> {
  const late = Promise.withResolvers<[]>();
  const timer = setTimeout(() => late.resolve([]), timeoutMs);
  // A lookup cannot be called off; what it brings late is nobody's.
  const found = lookup(host, { all: true }).catch(() => []);
  return Promise.race([found, late.promise]).finally(() => clearTimeout(timer));
}
