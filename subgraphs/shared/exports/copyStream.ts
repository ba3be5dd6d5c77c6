import { once } from 'node:events';
import type { Readable } from 'node:stream';
import pg from 'pg';
import { CopyOut } from './copyOut.ts';
import { ReusedSocket } from './reusedSocket.ts';

/** What the columns of a statement are: name and oid of the type. */
export interface DescribedColumn {
  readonly name: string;
  readonly typeId: number;
}

/** A connection of its own for one COPY: what it reads begins at once and ends with its reader. */
export interface CopyConnection {
  describe(select: string): Promise<readonly DescribedColumn[]>;
  /** How many rows the planner expects. */
  estimate(select: string): Promise<number>;
  /**
   * The bytes of COPY TO STDOUT as the server sends them, no faster than they are read. The statement ends with the stream,
   * whether it is read to its end or destroyed.
   * @throws {Error} what the server says before the first byte
   */
  copy(text: string): Promise<RunningCopy>;
  /** Ends what runs. */
  close(): Promise<void>;
}

export interface RunningCopy {
  readonly stream: Readable;
  /** Rows that were sent; known once the stream has ended. */
  rowCount(): number;
}

// Rows come by an index from the first on: sorted ones would come after all of them were read, and lie on its disk.
const settings = [
  'SET default_transaction_read_only = on',
  "SET timezone = 'UTC'",
  "SET datestyle = 'ISO'",
  'SET enable_sort = off',
  'SET jit = off',
].join('; ');

export interface CopyConnectionOptions {
  readonly url: string;
  /** Ends a backend by its process id: one that waits for its reader hears nothing else. */
  readonly terminate: (pid: number) => Promise<void>;
}

export async function openCopyConnection({ url, terminate }: CopyConnectionOptions): Promise<CopyConnection> {
  const common = { connectionString: url, application_name: 'mplp-export', connectionTimeoutMillis: 10_000 };
  const stock = new pg.Client(common);
  // Under TLS it is the layer above that reads from the socket.
  const client = stock.ssl ? stock : new pg.Client({ ...common, stream: () => new ReusedSocket() });
  let running: CopyOut | null = null;
  let closing: Promise<void> | null = null;
  client.on('error', (error) => running?.destroy(error));
  await client.connect();
  const pid = (client as unknown as { readonly processID: number | null }).processID;

  async function end(): Promise<void> {
    if (running !== null && !running.readableEnded) {
      if (pid !== null) await terminate(pid).catch(() => {});
      (
        client as unknown as { readonly connection: { readonly stream: { destroy(): void } } }
      ).connection.stream.destroy();
    }
    await client.end().catch(() => {});
  }
  const close = () => {
    closing ??= end();
    return closing;
  };

  try {
    await client.query(settings);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async describe(select) {
      const { fields } = await client.query(`SELECT * FROM (${select}) described LIMIT 0`);
      return fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID }));
    },
    async estimate(select) {
      const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
        `EXPLAIN (FORMAT JSON) ${select}`,
      );
      return rows[0]!['QUERY PLAN'][0].Plan['Plan Rows'];
    },
    async copy(text) {
      const stream = client.query(new CopyOut(text, 262_144));
      running = stream;
      stream.on('error', () => stream.destroy());
      stream.once('close', () => void close());
      // The first bytes, the end of none, or what the server refuses.
      await once(stream, 'readable');
      return { stream, rowCount: () => stream.rowCount };
    },
    close,
  };
}
