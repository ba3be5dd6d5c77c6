import { crc32, inflateRawSync } from 'node:zlib';
import { createCollector, PackageProblem, requireName } from './limits.ts';

const endSize = 22;
const centralSize = 46;
const localSize = 30;
const signatures = { end: 0x06054b50, central: 0x02014b50, local: 0x04034b50 } as const;

/**
 * Files of a ZIP archive by its central directory (PKWARE APPNOTE 6.3), stored or deflated; no encryption, no ZIP64, no links.
 * @throws {PackageProblem}
 */
export function readZip(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const collector = createCollector();
  const { entries, start } = readEnd(bytes);
  let at = start;
  for (let entry = 0; entry < entries; entry += 1) {
    if (at + centralSize > bytes.length || bytes.readUInt32LE(at) !== signatures.central)
      throw new PackageProblem('the directory of the archive is broken');
    const flags = bytes.readUInt16LE(at + 8);
    const method = bytes.readUInt16LE(at + 10);
    const crc = bytes.readUInt32LE(at + 16);
    const [packed, size] = [bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 24)];
    const [nameLength, extraLength, noteLength] = [28, 30, 32].map((offset) => bytes.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ];
    const mode = bytes.readUInt32LE(at + 38) >>> 16;
    const local = bytes.readUInt32LE(at + 42);
    const name = bytes.toString('utf8', at + centralSize, at + centralSize + nameLength);
    at += centralSize + nameLength + extraLength + noteLength;
    if (name.endsWith('/')) continue;
    requireName(name);
    if ((flags & 1) !== 0) throw new PackageProblem(`expected nothing encrypted, got "${name}"`);
    if ((mode & 0o170000) === 0o120000) throw new PackageProblem(`expected no links, got "${name}"`);
    if (size > collector.left()) throw new PackageProblem(`"${name}" is larger than a package may be`);
    const content = unpack(dataOf(bytes, local, packed), method, size);
    if (content.length !== size || crc32(content) !== crc) throw new PackageProblem(`"${name}" is damaged`);
    collector.add(name, content);
  }
  return collector.files();
}

/** The end record: the last there is, since a note of up to 64 KiB may follow it. */
function readEnd(bytes: Buffer): { readonly entries: number; readonly start: number } {
  const least = Math.max(0, bytes.length - endSize - 0xffff);
  for (let at = bytes.length - endSize; at >= least; at -= 1) {
    if (bytes.readUInt32LE(at) !== signatures.end) continue;
    const [entries, start] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 16)];
    if (entries === 0xffff || start === 0xffffffff) throw new PackageProblem('expected no ZIP64 archive');
    return { entries, start };
  }
  throw new PackageProblem('expected a ZIP archive');
}

function dataOf(bytes: Buffer, at: number, length: number): Buffer {
  if (at + localSize > bytes.length || bytes.readUInt32LE(at) !== signatures.local)
    throw new PackageProblem('the archive is broken');
  const start = at + localSize + bytes.readUInt16LE(at + 26) + bytes.readUInt16LE(at + 28);
  if (start + length > bytes.length) throw new PackageProblem('the archive ends too early');
  return bytes.subarray(start, start + length);
}

function unpack(data: Buffer, method: number, size: number): Buffer {
  if (method === 0) return data;
  if (method !== 8) throw new PackageProblem(`expected files stored or deflated, got method ${method}`);
  try {
    // One byte more shows that the directory has lied about the size.
    return inflateRawSync(data, { maxOutputLength: size + 1 });
  } catch {
    throw new PackageProblem('a file of the archive is damaged, or larger than its directory says');
  }
}
