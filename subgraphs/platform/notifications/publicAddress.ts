import { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { PlatformError } from '#shared/errors.ts';

/** Ranges that lead to this machine, its neighbours or nowhere (IANA special-purpose registries). */
const closedRanges: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['192.88.99.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 96, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['3fff::', 20, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 9, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

function listOf(ranges: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix, family] of ranges) list.addSubnet(address, prefix, family);
  return list;
}

/** Tells public addresses from others; the networks given are let through all the same. */
export function createAddressGuard(networks: readonly string[] = []) {
  const closed = listOf(closedRanges);
  const opened = listOf(
    networks.map((network) => {
      const [address, prefix] = network.split('/') as [string, string?];
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      return [address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family] as const;
    }),
  );

  function isAllowed(address: string): boolean {
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    // An IPv4 address in IPv6 form leads where the IPv4 address leads; `BlockList` sees through it.
    return opened.check(address, family) || !closed.check(address, family);
  }

  const refuse = (address: string) =>
    new PlatformError('PERMISSION_DENIED', `expected a public address, ${address} is none`);

  return {
    isAllowed,

    /** Of a host that is an address; names are looked at when they are resolved. @throws {PERMISSION_DENIED} */
    requireHost(host: string): void {
      const address = host.replace(/^\[(.*)\]$/, '$1');
      if (isIP(address) !== 0 && !isAllowed(address)) throw refuse(address);
    },

    /** For sockets: what a name leads to is looked at by the look-up that the connection is made by. */
    lookup: ((hostname, options, callback) => {
      systemLookup(hostname, { ...options, all: true }, (error, addresses) => {
        if (error) return callback(error, '', 0);
        const foreign = addresses.find(({ address }) => !isAllowed(address));
        if (foreign || addresses.length === 0)
          return callback(refuse(foreign?.address ?? hostname) as NodeJS.ErrnoException, '', 0);
        if (options.all === true) return callback(null, addresses);
        return callback(null, addresses[0]!.address, addresses[0]!.family);
      });
    }) as LookupFunction,
  };
}

export type AddressGuard = ReturnType<typeof createAddressGuard>;
