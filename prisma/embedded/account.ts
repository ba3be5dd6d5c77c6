import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';

/** Who the server runs as: PostgreSQL refuses root. */
export interface Account {
  readonly name: string;
  /** Options for spawn; empty when the server runs as the current user. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The current user, or for root an account without rights: the owner of an existing data folder, else `postgres`, else
 * `nobody`, which every Debian has. initdb wants an account that has a name, so a free uid alone would not do.
 * @throws {Error} when root finds no such account.
 */
export async function chooseAccount(ownerUid: number | null): Promise<Account> {
  if (process.getuid?.() !== 0) return { name: userInfo().username, identity: {} };
  const entries = await readPasswd();
  const byOwner = ownerUid === null || ownerUid === 0 ? undefined : entries.find((entry) => entry.uid === ownerUid);
  const chosen =
    byOwner ??
    entries.find((entry) => entry.name === 'postgres') ??
    entries.find((entry) => entry.name === 'nobody') ??
    entries.find((entry) => entry.uid > 0);
  if (chosen === undefined) {
    throw new Error(
      'PostgreSQL does not run as root and /etc/passwd names no other account: add one, or set DATABASE_URL.',
    );
  }
  return { name: chosen.name, identity: { uid: chosen.uid, gid: chosen.gid } };
}

async function readPasswd(): Promise<PasswdEntry[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    const entry = { name: name ?? '', uid: Number(uid), gid: Number(gid) };
    return entry.name !== '' && entry.uid > 0 && entry.gid > 0 ? [entry] : [];
  });
}
