import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createHttpPool, type HttpAnswer, type HttpPool } from '../../perf/load/httpPool.ts';

const opened: { server: Server; pool: HttpPool }[] = [];

afterEach(() => {
  for (const { server, pool } of opened.splice(0)) {
    pool.close();
    server.close();
  }
});

/** A pool against a server that answers each request by what `reply` writes. */
async function openPool(reply: (socket: Socket) => void): Promise<HttpPool> {
  const server = createServer((socket) => {
    socket.on('data', () => reply(socket));
    socket.on('error', () => {});
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : 0);
    });
  });
  const pool = createHttpPool({ host: '127.0.0.1', port, connections: 1, timeoutMs: 2_000 });
  opened.push({ server, pool });
  await pool.open();
  return pool;
}

function ask(pool: HttpPool): Promise<HttpAnswer | string | null> {
  return new Promise((resolve) => pool.send('GET / HTTP/1.1\r\n\r\n', (answer, failure) => resolve(answer ?? failure)));
}

const whole = [
  'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a":é}',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n":é}\r\n0\r\n\r\n',
];

test.each(whole)('an answer cut at any byte is put together: %j', async (text) => {
  const bytes = Buffer.from(text);
  let cut = 1;
  const pool = await openPool((socket) => {
    const at = cut;
    socket.write(bytes.subarray(0, at));
    setTimeout(() => socket.write(bytes.subarray(at)), 2);
  });
  for (; cut < bytes.length; cut += 1) expect(await ask(pool)).toEqual({ status: 200, body: '{"a":é}' });
});

test('what is not HTTP is BAD_HTTP and costs its connection only', async () => {
  let first = true;
  const pool = await openPool((socket) => {
    socket.write(first ? 'hello\r\n\r\n' : 'HTTP/1.1 204 No Content\r\n\r\n');
    first = false;
  });
  expect(await ask(pool)).toBe('BAD_HTTP');
  expect(await ask(pool)).toEqual({ status: 204, body: '' });
});

test('a connection that ends in the middle of an answer fails that request', async () => {
  const pool = await openPool((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'));
  expect(await ask(pool)).toBe('CLOSED');
});

test('requests wait in order for the one connection', async () => {
  let number = 0;
  const pool = await openPool((socket) => {
    number += 1;
    const body = String(number);
    setTimeout(() => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`), 1);
  });
  const answers = Promise.all(Array.from({ length: 20 }, () => ask(pool)));
  expect(pool.waiting).toBe(19);
  expect((await answers).map((answer) => (answer as HttpAnswer).body)).toEqual(
    Array.from({ length: 20 }, (_, index) => String(index + 1)),
  );
});
