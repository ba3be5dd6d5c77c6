/** What a package may hold: the code of one release, its manifest, and what goes with them. */
export const limits = Object.freeze({ files: 200, bytes: 4_194_304 });

/** What keeps bytes from being a package. */
export class PackageProblem extends Error {}

/** @throws {PackageProblem} for a name that leads elsewhere: it would mean another file to whoever unpacks it */
export function requireName(name: string): string {
  const parts = name.split('/');
  if (name === '' || name.startsWith('/') || /[\\\0]/.test(name) || parts.includes('..') || parts.includes('.'))
    throw new PackageProblem(`expected a path within the package, got "${name.slice(0, 100)}"`);
  return name;
}

/** Collects files within the limits, each name once: two of a name are one thing to this reader and another to the next. */
export function createCollector() {
  const files = new Map<string, Buffer>();
  let bytes = 0;
  return {
    /** Bytes that may still come. */
    left: () => limits.bytes - bytes,
    add(name: string, content: Buffer): void {
      if (files.has(name)) throw new PackageProblem(`expected each file once, got "${name}" twice`);
      bytes += content.length;
      if (bytes > limits.bytes) throw new PackageProblem(`expected at most ${limits.bytes} bytes unpacked`);
      if (files.size >= limits.files) throw new PackageProblem(`expected at most ${limits.files} files`);
      files.set(name, content);
    },
    files: (): ReadonlyMap<string, Buffer> => files,
  };
}
