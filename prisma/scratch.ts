import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export interface ScratchDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  /** Cuts whoever is connected and deletes the database. */
  drop(): Promise<void>;
}

export interface ScratchOptions {
  /** Database to copy; it must have no connections. */
  readonly template?: string;
  /** Start of the name, letters, digits and `_`. @default mplp_scratch */
  readonly prefix?: string;
}

/** Makes a database of its own beside the one the URL names; its role must be allowed to create databases. */
export async function createScratchDatabase(adminUrl: string, options: ScratchOptions = {}): Promise<ScratchDatabase> {
  const name = `${options.prefix ?? 'mplp_scratch'}_${randomBytes(6).toString('hex')}`;
  const copy =
    options.template === undefined
      ? 'TEMPLATE template0'
      : `TEMPLATE ${pg.escapeIdentifier(options.template)} STRATEGY FILE_COPY`;
  await runAdmin(adminUrl, `CREATE DATABASE ${pg.escapeIdentifier(name)} ${copy}`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  const drop = () => runAdmin(adminUrl, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  return { name, url: url.href, drop, [Symbol.asyncDispose]: drop };
}

/** Runs one administrative statement on a connection of its own; waits while a template or a database to drop is in use. */
export async function runAdmin(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await client.query('SET statement_timeout = 0');
    for (let attempt = 1; ; attempt += 1) {
      try {
        await client.query(statement);
        return;
      } catch (error) {
        const code = error instanceof pg.DatabaseError ? error.code : undefined;
        // Object in use; or an autovacuum worker is in the database, which only a superuser may end.
        const passing = code === '55006' || (code === '42501' && /terminate process/.test(String(error)));
        if (!passing || attempt === 10) throw error;
        await sleep(100 * attempt);
      }
    }
  } finally {
    await client.end();
  }
}
