import { once } from 'node:events';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CopyOut } from '#shared/exports/copyOut.ts';
import { ReusedSocket } from '#shared/exports/reusedSocket.ts';
import { createTestDatabase } from '../../support/database.ts';

const sockets = { 'one buffer': () => new ReusedSocket(), 'the driver’s own': undefined };

describe.each(Object.entries(sockets))('COPY as a stream, read by %s', (_name, stream) => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url, ...(stream === undefined ? {} : { stream }) });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  async function copied(select: string, pauseMs = 0): Promise<{ text: string; pieces: number; rows: number }> {
    const copy = client.query(new CopyOut(`COPY (${select}) TO STDOUT`, 65_536));
    const pieces: Buffer[] = [];
    for await (const piece of copy) {
      pieces.push(piece as Buffer);
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return { text: Buffer.concat(pieces).toString(), pieces: pieces.length, rows: copy.rowCount };
  }

  it.each([
    ['no rows', 'SELECT 1 WHERE false', 0],
    ['short rows', "SELECT n, 'x' FROM generate_series(1, 100000) n", 100_000],
    ['rows larger than what is read at once', "SELECT n, repeat('ä', 400000 + n) FROM generate_series(1, 5) n", 5],
  ])('%s, to the last byte, and the connection goes on', async (_what, select, rows) => {
    const { text, rows: counted } = await copied(select);
    const lines = await client.query<{ line: string }>({ text: select, rowMode: 'array' } as never);
    expect(counted).toBe(rows);
    expect(text).toBe((lines.rows as unknown as unknown[][]).map((row) => `${row.join('\t')}\n`).join(''));
  });

  it('is not read faster than its reader, and comes in pieces larger than the server’s', async () => {
    const select = "SELECT repeat('x', 999) FROM generate_series(1, 4000) n";
    const copy = client.query(new CopyOut(`COPY (${select}) TO STDOUT`, 65_536));
    await once(copy, 'readable');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(copy.readableLength).toBeLessThan(1_000_000);
    let bytes = 0;
    for await (const piece of copy) bytes += (piece as Buffer).length;
    expect([bytes, copy.rowCount]).toEqual([4_000_000, 4_000]);
    expect((await copied(select, 1)).pieces).toBeLessThan(4_000_000 / 32_768);
  });

  it('fails as the server says, before the first row and behind it', async () => {
    await expect(copied('SELECT nothing')).rejects.toThrow('column "nothing" does not exist');
    await expect(copied('SELECT 1 / (50000 - n) FROM generate_series(1, 100000) n')).rejects.toThrow(
      'division by zero',
    );
    expect((await copied('SELECT 7')).text).toBe('7\n');
  });
});
