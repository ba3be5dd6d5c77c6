import { lookup as resolve } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';

type Family = 'ipv4' | 'ipv6';
type Network = readonly [address: string, prefix: number];

/** Networks that are not the public internet (IANA special-purpose registries), those that carry IPv4 in IPv6 included. */
const specialNetworks: readonly Network[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 32],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

const familyOf = (address: string): Family => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** One list a family: a single one would take an IPv4 address for its form in IPv6. */
function listsOf(networks: readonly Network[]): Readonly<Record<Family, BlockList>> {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const [address, prefix] of networks) lists[familyOf(address)].addSubnet(address, prefix, familyOf(address));
  return lists;
}

function toNetwork(text: string): Network {
  const [address, prefix] = text.split('/') as [string, string?];
  return [address, prefix === undefined ? (isIP(address) === 6 ? 128 : 32) : Number(prefix)];
}

/** Whether an address lies in one of the networks; what is no address lies in none. */
export function createAddressList(networks: readonly string[]): (address: string) => boolean {
  const lists = listsOf(networks.map(toNetwork));
  return (address) => isIP(address) !== 0 && lists[familyOf(address)].check(address, familyOf(address));
}

export type AddressGuard = ReturnType<typeof createAddressGuard>;

/**
 * Tells addresses that webhooks may lead to from others: public ones, and the networks given. A name is looked at again by
 * each connection, which is made to the very addresses that were looked at: names change what they lead to.
 */
export function createAddressGuard(networks: readonly string[] = []) {
  const special = listsOf(specialNetworks);
  const isOpened = createAddressList(networks);

  function isAllowed(address: string): boolean {
    if (isIP(address) === 0) return false;
    const family = familyOf(address);
    return isOpened(address) || !special[family].check(address, family);
  }

  const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$/g, '');

  return {
    isAllowed,

    /** Why nothing is sent to a host that is an address; null for names, which are looked at when they are resolved. */
    findAddressProblem(url: string): string | null {
      const host = hostOf(url);
      return isIP(host) === 0 || isAllowed(host) ? null : `expected a public address, ${host} is none`;
    },

    /** Why nothing is sent to a URL at present; null where it may be. */
    async findHostProblem(url: string): Promise<string | null> {
      const host = hostOf(url);
      if (isIP(host) !== 0) return isAllowed(host) ? null : 'expected a public address';
      const found = await lookup(host, { all: true }).catch(() => null);
      // Names of this machine and its neighbours lead where the resolver says, or nowhere.
      if (found?.length && found.every(({ address }) => isAllowed(address))) return null;
      if (/(^|\.)(localhost|local|internal|home\.arpa)\.?$/i.test(host)) return 'expected a public host';
      return found?.length ? 'expected a host with public addresses alone' : 'the host is not found';
    },

    /** `lookup` of a socket. */
    lookup: ((hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        const [first] = addresses ?? [];
        if (error || first === undefined) return callback(error ?? new Error('the host is not found'), '', 4);
        const foreign = addresses.find(({ address }) => !isAllowed(address));
        if (foreign) return callback(new Error(`expected a public address, ${foreign.address} is none`), '', 4);
        if (options.all) return callback(null, addresses);
        return callback(null, first.address, first.family);
      });
    }) as LookupFunction,
  };
}
