import { gunzipSync } from 'node:zlib';
import { createCollector, limits, PackageProblem, requireName } from './limits.ts';

const block = 512;
const newline = 0x0a;

/** Files of a tar archive (POSIX.1-2001: ustar, names of pax), compressed by gzip or not; no links. @throws {PackageProblem} */
export function readTar(packed: Buffer): ReadonlyMap<string, Buffer> {
  const bytes = isGzip(packed) ? expand(packed) : packed;
  const collector = createCollector();
  let longName: string | null = null;
  for (let at = 0; at + block <= bytes.length; ) {
    const header = bytes.subarray(at, at + block);
    if (header.every((byte) => byte === 0)) return collector.files();
    requireSum(header);
    const size = octal(header, 124, 12);
    const type = String.fromCharCode(header[156]!);
    const data = bytes.subarray(at + block, at + block + size);
    if (data.length < size) throw new PackageProblem('the archive ends too early');
    at += block + Math.ceil(size / block) * block;
    if (type === 'x') {
      longName = pathOf(data);
      continue;
    }
    // Folders hold nothing.
    if (type === '5') continue;
    if (type === 'g') {
      if (pathOf(data) !== null) throw new PackageProblem('expected a name for each file, not one for all');
      continue;
    }
    if (type !== '0' && type !== '\0') throw new PackageProblem(`expected files and folders alone, got type "${type}"`);
    const prefix = textOf(header, 345, 155);
    const name = longName ?? (prefix === '' ? textOf(header, 0, 100) : `${prefix}/${textOf(header, 0, 100)}`);
    longName = null;
    collector.add(requireName(name.replace(/^\.\//, '')), data);
  }
  throw new PackageProblem('expected a tar archive with its end');
}

const isGzip = (bytes: Buffer) => bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;

function expand(packed: Buffer): Buffer {
  try {
    // Headers and the room that blocks leave, beside the files.
    return gunzipSync(packed, { maxOutputLength: limits.bytes + (limits.files + 2) * 4 * block });
  } catch {
    throw new PackageProblem('the compression is broken, or what is in it larger than a package may be');
  }
}

const textOf = (header: Buffer, from: number, length: number) =>
  header.toString('utf8', from, from + length).replace(/\0.*$/s, '');

function octal(header: Buffer, from: number, length: number): number {
  const text = textOf(header, from, length).trim();
  if (!/^[0-7]*$/.test(text)) throw new PackageProblem('a header of the archive is broken');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function requireSum(header: Buffer): void {
  // The sum counts its own place as spaces.
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (sum !== octal(header, 148, 8)) throw new PackageProblem('expected a tar archive');
}

/**
 * `path` of pax records, each `length key=value\n` with the length in bytes of all of it.
 * @throws {PackageProblem} for records that are broken, or that give the data another size than the header has
 */
function pathOf(data: Buffer): string | null {
  let found: string | null = null;
  for (let at = 0; at < data.length; ) {
    const [, length, key] = /^(\d{1,9}) ([^=]+)=/.exec(data.toString('latin1', at, at + 300)) ?? [];
    if (length === undefined || key === undefined) throw new PackageProblem('a header of the archive is broken');
    const record = data.subarray(at, at + Number(length));
    const valueAt = length.length + key.length + 2;
    if (record.length < Number(length) || record.at(-1) !== newline || valueAt >= record.length)
      throw new PackageProblem('a header of the archive is broken');
    // Another size would move every header behind it: what others read from the archive would be something else.
    if (key === 'size' || key.startsWith('GNU.sparse'))
      throw new PackageProblem(`expected files as their headers have them, got "${key}" in another`);
    if (key === 'path') found = record.toString('utf8', valueAt, record.length - 1);
    at += record.length;
  }
  return found;
}
