import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(process.cwd(), '..', 'shared', 'data', 'networks');

/** Networks of the Topology Zoo and of SNDlib that lie beside the project; null where they are absent. */
export function networkFiles(kind: 'topology-zoo' | 'sndlib'): readonly string[] | null {
  const from = join(folder, kind);
  return existsSync(from) ? readdirSync(from).sort() : null;
}

export function readNetworkFile(kind: 'topology-zoo' | 'sndlib', file: string): string {
  return readFileSync(join(folder, kind, file), 'utf8');
}
