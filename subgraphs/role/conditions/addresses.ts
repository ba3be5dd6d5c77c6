import { BlockList, isIP } from 'node:net';
import { ConditionError, EvaluationError } from './evaluationError.ts';

/**
 * Compiles address ranges: CIDR or single addresses, IPv4 and IPv6; an IPv4 address written in IPv6 is the same.
 * The question it answers throws an EvaluationError for what is no address.
 * @throws {ConditionError} when a range cannot be read.
 */
export function compileRanges(ranges: readonly string[]): (ip: string) => boolean {
  const list = new BlockList();
  for (const range of ranges) addRange(list, range);
  return (ip) => {
    const address = withoutZone(ip);
    const family = isIP(address);
    if (family === 0) throw new EvaluationError(`expected an IP address, got ${ip.slice(0, 60)}`);
    return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
}

function addRange(list: BlockList, range: string): void {
  const [address = '', prefix, ...rest] = range.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (family === 0 || address.includes('%') || rest.length > 0 || !(length <= bits)) {
    throw new ConditionError(`expected an address or CIDR range, got ${range.slice(0, 60)}`);
  }
  list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
}

function withoutZone(ip: string): string {
  const at = ip.indexOf('%');
  return at === -1 ? ip : ip.slice(0, at);
}
