import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folder = new URL('./packages/', import.meta.url);

/** Installs what the lockfile of `perf/peers/packages` names, unless that very list is installed. @throws {Error} with what npm said */
export async function installPeers(): Promise<void> {
  const wanted = hash('sha256', readFileSync(new URL('package-lock.json', folder)));
  const marker = new URL('node_modules/.installed', folder);
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return;
  // npm under this Node: under an older one it picks older packages.
  const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  try {
    await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
      cwd: fileURLToPath(folder),
      env: { ...process.env, PATH: path },
    });
  } catch (error) {
    const { stderr } = error as { readonly stderr?: string };
    throw new Error(`the peers could not be installed: ${stderr ?? String(error)}`);
  }
  writeFileSync(marker, wanted);
}

/** Versions of what is compared, of the peers and of the project's own Apollo packages. */
export function readVersions(): Readonly<Record<string, string>> {
  const read = (url: URL): Record<string, string> =>
    (JSON.parse(readFileSync(url, 'utf8')) as { dependencies: Record<string, string> }).dependencies;
  const own = read(new URL('../../package.json', import.meta.url));
  const apollo = ['@apollo/gateway', '@apollo/server', 'fastify', 'graphql'];
  return {
    ...Object.fromEntries(apollo.map((name) => [name, own[name] ?? 'unknown'])),
    ...Object.fromEntries(
      Object.entries(read(new URL('package.json', folder))).map(([name, version]) => [
        name === 'graphql' ? 'graphql of Hive Gateway and Mercurius' : name,
        version,
      ]),
    ),
  };
}
