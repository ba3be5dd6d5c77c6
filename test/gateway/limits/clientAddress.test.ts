import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { addressKey, clientAddress, createProxyTrust } from '../../../gateway/limits/clientAddress.ts';

const requestOf = (remoteAddress: string, forwarded?: string) =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as unknown as IncomingMessage;

describe('the address of a client', () => {
  const trust = createProxyTrust(['10.0.0.0/8', '192.0.2.7', '2001:db8:ffff::/48']);
  it.each([
    ['nobody is believed who is no proxy', '203.0.113.5', '198.51.100.1', '203.0.113.5'],
    ['a proxy is', '10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['also mapped into IPv6', '::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['what a client wrote itself is not', '10.1.2.3', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['proxies behind proxies are passed', '2001:db8:ffff::1', '198.51.100.1, 192.0.2.7,10.9.9.9', '198.51.100.1'],
    ['the farthest where all are', '10.1.2.3', '10.0.0.1, 10.0.0.2', '10.0.0.1'],
    ['what is no address is nobody trusted', '10.1.2.3', '198.51.100.1, junk', 'junk'],
    ['without the header it is the proxy', '10.1.2.3', undefined, '10.1.2.3'],
  ])('%s', (_case, socket, forwarded, expected) => {
    expect(clientAddress(requestOf(socket, forwarded), trust)).toBe(expected);
  });
});

describe('what an address is counted by', () => {
  it.each([
    ['198.51.100.1', '198.51.100.1'],
    ['::ffff:198.51.100.1', '198.51.100.1'],
    ['::FFFF:c633:6401', '198.51.100.1'],
    ['0:0:0:0:0:ffff:c633:6401', '198.51.100.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['64:ff9b::198.51.100.1', '64:ff9b:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['no:address', 'no:address'],
    ['', ''],
  ])('%s is %s', (address, key) => expect(addressKey(address)).toBe(key));
});
