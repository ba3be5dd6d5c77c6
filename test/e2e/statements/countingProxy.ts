import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface CountingProxy extends AsyncDisposable {
  /** The database's URL through this proxy. */
  readonly url: string;
  /** Texts of the statements executed since the last call, in order. */
  take(): readonly string[];
}

const startupTypes = { sslRequest: 80_877_103, cancelRequest: 80_877_102 };

/**
 * Stands before a PostgreSQL server and reads what clients execute, from the frontend messages of protocol 3.0: Parse
 * and Bind say which text a portal runs, Execute and simple Query run it. It depends on no client library and no
 * setting of the server.
 */
export async function startCountingProxy(databaseUrl: string): Promise<CountingProxy> {
  const target = new URL(databaseUrl);
  let statements: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port || 5432) });
    const read = createReader((text) => statements.push(text));
    client.on('data', read);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  return {
    url: url.href,
    take() {
      const taken = statements;
      statements = [];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Follows one connection's frontend messages. */
function createReader(onStatement: (text: string) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  const prepared = new Map<string, string>();
  const portals = new Map<string, string>();
  const textAt = (body: Buffer, from: number) => {
    const end = body.indexOf(0, from);
    return { text: body.toString('utf8', from, end), next: end + 1 };
  };
  const onMessage = (type: string, body: Buffer) => {
    const first = textAt(body, 0);
    if (type === 'P') prepared.set(first.text, textAt(body, first.next).text);
    else if (type === 'B') portals.set(first.text, prepared.get(textAt(body, first.next).text) ?? '(unknown)');
    else if (type === 'E') onStatement(portals.get(first.text) ?? '(unknown)');
    else if (type === 'Q') onStatement(first.text);
  };
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const header = started ? 5 : 4;
      if (rest.length < header) return;
      const length = rest.readInt32BE(header - 4) + (started ? 1 : 0);
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      if (started) onMessage(String.fromCharCode(message[0]!), message.subarray(5));
      else
        started =
          message.readInt32BE(4) !== startupTypes.sslRequest && message.readInt32BE(4) !== startupTypes.cancelRequest;
    }
  };
}
