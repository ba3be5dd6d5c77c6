import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { createStandbyReader } from '#shared/metrics/standbys.ts';
import { createSql } from '#shared/sql.ts';
import { startEmbeddedPostgres } from '../../../prisma/embedded.ts';

const settings = { shared_buffers: '16MB', max_wal_size: '256MB', min_wal_size: '80MB' };

/** Makes the copy of a stopped server's folder one that follows it. */
async function makeStandby(folder: string): Promise<void> {
  const stateFile = join(folder, 'postgres.json');
  const state = JSON.parse(await readFile(stateFile, 'utf8')) as { directory: string };
  await writeFile(stateFile, JSON.stringify({ ...state, dataDir: folder, port: 0 }), { mode: 0o600 });
  const directory = join(folder, state.directory);
  const signal = join(directory, 'standby.signal');
  await writeFile(signal, '');
  const { uid, gid } = await stat(join(directory, 'PG_VERSION'));
  await chown(signal, uid, gid);
}

it('a standby is behind by what it has not replayed, by bytes and age, also while its replay stands still', async () => {
  await using own = new AsyncDisposableStack();
  const parent = await mkdtemp(join(tmpdir(), 'mplp-standby-'));
  own.defer(() => rm(parent, { recursive: true, force: true }));
  // The server's account has to pass through.
  await chmod(parent, 0o711);
  const [first, second] = [join(parent, 'first'), join(parent, 'second')];
  await (await startEmbeddedPostgres({ dataDir: first, settings })).stop();
  await promisify(execFile)('cp', ['-a', first, second]);
  await makeStandby(second);
  const primary = await startEmbeddedPostgres({ dataDir: first, settings });
  own.defer(() => primary.remove());
  const { password, port } = new URL(primary.superuserUrl);
  const standby = await startEmbeddedPostgres({
    dataDir: second,
    settings: {
      ...settings,
      primary_conninfo: `host=127.0.0.1 port=${port} user=postgres password=${password} application_name=copy`,
    },
  });
  own.defer(() => standby.remove());
  const open = (url: string) => {
    const sql = createSql(url, { applicationName: 'standby-test', max: 1 });
    own.defer(() => sql.end({ timeout: 5 }));
    return sql;
  };
  const [sql, there, limited] = [open(primary.superuserUrl), open(standby.superuserUrl), open(primary.url)];
  const read = createStandbyReader(sql);

  const caughtUp = [{ standby: 'copy 127.0.0.1/32', bytes: 0, seconds: 0 }];
  await expect.poll(read, { timeout: 20_000 }).toEqual(caughtUp);
  // The server tells its standbys to members of pg_monitor alone, and a standby has none of its own.
  expect(await createStandbyReader(limited)()).toEqual([]);
  expect(await createStandbyReader(there)()).toEqual([]);

  await there`SELECT pg_wal_replay_pause()`;
  await sql`CREATE TABLE written (id int)`;
  const behind = async () => (await read())[0]!;
  expect((await behind()).bytes).toBeGreaterThan(0);
  const before = (await behind()).seconds;
  await expect.poll(async () => (await behind()).seconds, { timeout: 10_000 }).toBeGreaterThan(before + 0.2);

  await there`SELECT pg_wal_replay_resume()`;
  await expect.poll(read, { timeout: 20_000 }).toEqual(caughtUp);
  await standby.stop();
  await expect.poll(read, { timeout: 20_000 }).toEqual([]);
});
