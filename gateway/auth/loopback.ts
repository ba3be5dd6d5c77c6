import { BlockList, isIP } from 'node:net';

/** Where a connection comes from. */
export interface Peer {
  readonly address: string;
  readonly loopback: boolean;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** True for 127.0.0.0/8 and ::1, also as IPv4-mapped IPv6. Anything that is no address is not loopback. */
export function isLoopbackAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Describes the socket's own peer; forwarded headers must not be passed here, since anyone can write them. */
export function describePeer(remoteAddress: string | undefined): Peer {
  return { address: remoteAddress ?? '', loopback: remoteAddress !== undefined && isLoopbackAddress(remoteAddress) };
}
