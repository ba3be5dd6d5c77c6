import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { headerText } from '../requestHeaders.ts';

/** Whether an address is that of a proxy whose `x-forwarded-for` is believed. */
export type ProxyTrust = (address: string) => boolean;

/** @param proxies addresses and networks such as `10.0.0.0/8`; IPv4 ones hold for IPv4-mapped peers, too. */
export function createProxyTrust(proxies: readonly string[]): ProxyTrust {
  const trusted = new BlockList();
  for (const proxy of proxies) {
    const [host = '', prefix] = proxy.split('/');
    const family = isIP(host) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) trusted.addAddress(host, family);
    else trusted.addSubnet(host, Number(prefix), family);
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && trusted.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}

/** Of the client: the nearest address on the way here that is no trusted proxy, or the farthest where all are. */
export function clientAddress(request: IncomingMessage, isTrusted: ProxyTrust): string | undefined {
  let address = request.socket.remoteAddress;
  const forwarded = headerText(request.headers['x-forwarded-for'])?.split(',') ?? [];
  while (address !== undefined && isTrusted(address) && forwarded.length > 0) address = forwarded.pop()!.trim();
  return address;
}

/**
 * What an address is counted by. Whoever has one address of IPv6 has the 2^64 of its network, so that is counted; an
 * IPv4 address counts the same where it comes mapped into IPv6.
 */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const groups = groupsOf(address);
  if (groups === null) return address;
  const [high, low] = [groups[6]!, groups[7]!];
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0))
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}

/** The eight numbers of an IPv6 address; null where it is none. */
function groupsOf(address: string): readonly number[] | null {
  const [plain = ''] = address.split('%');
  if (isIP(plain) !== 6) return null;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(plain);
  const pair = (one: number, two: number) => (Number(dotted![one]) * 256 + Number(dotted![two])).toString(16);
  const hex = dotted === null ? plain : `${dotted[1]}${pair(2, 3)}:${pair(4, 5)}`;
  const [before, after] = hex.split('::').map((part) => part.split(':').filter(Boolean));
  const given = [...before!, ...(after ?? [])];
  const zeros = Array<string>(after === undefined ? 0 : 8 - given.length).fill('0');
  return [...before!, ...zeros, ...(after ?? [])].map((group) => Number.parseInt(group, 16));
}
