import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';

/** Who the server runs as: PostgreSQL refuses root. */
export interface Account {
  readonly name: string;
  /** Options for spawn; empty when the server runs as the current user. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

/**
 * The current user, or for root an account without rights: the owner of an existing data folder, else `postgres`, else
 * `nobody`, which every Debian has. initdb wants an account that has a name, so a free uid alone would not do.
 * @throws {Error} when root finds no such account.
 */
export async function chooseAccount(ownerUid: number | null): Promise<Account> {
  if (process.getuid?.() !== 0) return { name: userInfo().username, identity: {} };
  const account = pickAccount(await readFile('/etc/passwd', 'utf8').catch(() => ''), ownerUid);
  if (account === null) {
    throw new Error(
      'PostgreSQL does not run as root and /etc/passwd names no other account: add one, or set DATABASE_URL.',
    );
  }
  return account;
}

/** The account for the server among the lines of a passwd file; null when it names root only. */
export function pickAccount(passwd: string, ownerUid: number | null): Account | null {
  const entries = passwd.split('\n').flatMap((line) => {
    const [name = '', , uid, gid] = line.split(':');
    const entry = { name, uid: Number(uid), gid: Number(gid) };
    return name !== '' && entry.uid > 0 && entry.gid > 0 ? [entry] : [];
  });
  const chosen =
    entries.find((entry) => entry.uid === ownerUid) ??
    entries.find((entry) => entry.name === 'postgres') ??
    entries.find((entry) => entry.name === 'nobody') ??
    entries[0];
  return chosen === undefined ? null : { name: chosen.name, identity: { uid: chosen.uid, gid: chosen.gid } };
}
