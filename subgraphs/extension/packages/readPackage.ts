import { PlatformError } from '#shared/errors.ts';
import { PackageProblem } from './limits.ts';
import { readTar } from './tar.ts';
import { readZip } from './zip.ts';

export const packageFormats = ['ZIP', 'TAR', 'NPM'] as const;
export type PackageFormat = (typeof packageFormats)[number];
/** Base64 of it fits into a request. */
export const maxPackageBytes = 716_800;

/** A package taken apart. */
export interface ReadPackage {
  readonly manifest: unknown;
  /** Of the entry point that the manifest names. */
  readonly bundle: string;
}

const path = ['input', 'release', 'package'];
const invalid = (message: string) => new PlatformError('PACKAGE_INVALID', message, { path });

/**
 * Takes a package apart in memory: its manifest (`manifest.json`, or `mplp` of an npm package's `package.json`) and the one file
 * that this names as its entry point. Nothing of it is unpacked to disk, resolved or run.
 * @throws {PACKAGE_INVALID}
 */
export function readPackage(format: PackageFormat, content: Buffer): ReadPackage {
  const files = withoutRoot(read(format, content));
  const manifest = manifestOf(format, files);
  const entry = (manifest as { readonly entry_point?: unknown } | null)?.entry_point;
  if (typeof entry !== 'string') throw invalid('the manifest names no entry_point');
  const code = files.get(entry.replace(/^\.\//, ''));
  if (code === undefined) throw invalid(`the package has no file ${entry.slice(0, 200)}, its entry_point`);
  return { manifest, bundle: textOf(entry, code) };
}

function read(format: PackageFormat, content: Buffer): ReadonlyMap<string, Buffer> {
  try {
    return format === 'ZIP' ? readZip(content) : readTar(content);
  } catch (error) {
    if (error instanceof PackageProblem) throw invalid(error.message);
    throw error;
  }
}

/** Without the one folder that everything lies in: npm has `package/`, archives of repositories have their name. */
function withoutRoot(files: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  const roots = new Set([...files.keys()].map((name) => (name.includes('/') ? name.slice(0, name.indexOf('/')) : '')));
  const [root] = roots;
  if (roots.size !== 1 || root === '' || root === undefined) return files;
  return new Map([...files].map(([name, content]) => [name.slice(root.length + 1), content]));
}

function manifestOf(format: PackageFormat, files: ReadonlyMap<string, Buffer>): unknown {
  if (format === 'NPM') {
    const described = files.get('package.json');
    if (described === undefined) throw invalid('an npm package has a package.json');
    const { mplp } = jsonOf('package.json', described) as { readonly mplp?: unknown };
    if (mplp !== undefined) return mplp;
  }
  const manifest = files.get('manifest.json');
  if (manifest === undefined)
    throw invalid(
      format === 'NPM' ? 'expected mplp in package.json, or a manifest.json' : 'the package has no manifest.json',
    );
  return jsonOf('manifest.json', manifest);
}

function textOf(name: string, content: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    throw invalid(`${name} is no UTF-8`);
  }
}

function jsonOf(name: string, content: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(textOf(name, content));
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (error instanceof PlatformError) throw error;
  }
  throw invalid(`${name} is no JSON object`);
}
