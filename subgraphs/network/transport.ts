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
  const found = isIP(host) === 0 ? await lookup(host, { all: true }).catch(() => []) : [{ address: host }];
  const [first] = found;
  // Whether a name exists is told to nobody: it might be one of a network of the operator's own.
  if (first === undefined || !found.every(({ address }) => isAllowed(address))) throw new ForeignAddress();
  const started = performance.now();
  const { address } = first;
  const error = await new Promise<string | null>((resolve) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket: Socket = isSecure
      ? connectSecurely({ host: address, port, timeout: timeoutMs, ...name })
      : connect({ host: address, port, timeout: timeoutMs });
    const timer = setTimeout(() => end('no answer in time'), timeoutMs);
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
