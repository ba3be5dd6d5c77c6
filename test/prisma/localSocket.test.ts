import { rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSql } from '#shared/sql.ts';
import { findLocalSocket } from '../../prisma/embedded/localSocket.ts';
import { type EmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';

let server: EmbeddedPostgres;
beforeAll(async () => {
  server = await startTemporaryPostgres({ volatile: true });
});
afterAll(() => server.stop());

/** Null over a socket of the file system. */
async function clientAddress(): Promise<unknown> {
  const sql = createSql(server.url, { applicationName: 'socket-test', max: 1 });
  const [row] = await sql`SELECT inet_client_addr() AS address`;
  await sql.end();
  return row!['address'];
}

test('the embedded server is spoken to over its socket, by its ordinary URL', async () => {
  expect(findLocalSocket(server.url)).toContain(`.s.PGSQL.${server.port}`);
  expect(await clientAddress()).toBeNull();
});

test('other servers, and one whose socket is gone, over TCP', async () => {
  expect(findLocalSocket(server.url.replace('127.0.0.1', 'database.example'))).toBeNull();
  expect(findLocalSocket(server.url.replace(String(server.port), '1'))).toBeNull();
  const path = findLocalSocket(server.url)!;
  await rm(path);
  await writeFile(path, '');
  expect(findLocalSocket(server.url)).toBeNull();
  expect(await clientAddress()).not.toBeNull();
});
