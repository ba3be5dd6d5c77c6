/**
 * Bytes of an export on their way: bare COPY to a client that drops them, the same through our reader, from a Fastify
 * server to a client in a process of its own, and from the platform as it is started. 100,000 rows of the audit (30 MB), all in
 * turn, so that a noisy machine meets them alike; wall time and CPU of the process that reads from PostgreSQL.
 * `node perf/probes/exportStream.ts [rounds]`
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import Fastify from 'fastify';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { openCopyConnection } from '#shared/exports/copyStream.ts';
import { createSql } from '#shared/sql.ts';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { migrate } from '../../prisma/migrate.ts';
import { readProcessCpuMs } from '../processCpu.ts';
import { profilingEnvironment } from '../profiling.ts';
import { seedAudit } from '../seeds/batch.ts';
import { perfTenant } from '../seeds/context.ts';
import { startServerProcess } from '../serverProcess.ts';

const rounds = Number(process.argv[2] ?? 10);
const rows = 100_000;
const text = 'COPY (SELECT * FROM context.audit) TO STDOUT';

async function drop(stream: Readable): Promise<number> {
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(stream, 'end');
  return bytes;
}

if (process.send !== undefined) {
  process.on('message', async ({ url, token }: { url: string; token: string }) => {
    const asked = get(url, { headers: { authorization: `Bearer ${token}` } });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`);
    process.send!(await drop(answer));
  });
} else {
  await using postgres = await startTemporaryPostgres();
  await migrate(postgres.url);
  const sql = createSql(postgres.url, { max: 1, applicationName: 'probe', statementTimeoutMs: 60_000 });
  const open = async () => {
    const connection = await openCopyConnection({ url: postgres.url, terminate: async () => {} });
    return connection.copy(text);
  };
  const app = Fastify();
  app.get('/rows', async (_request, reply) => {
    const { stream, rowCount } = await open();
    reply.trailer('x-rows', (_reply, _payload, done) => done(null, String(rowCount())));
    return reply.type('text/plain').send(stream);
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/rows`;
  const client = fork(import.meta.filename);
  const dataDir = await mkdtemp(join(tmpdir(), 'export-'));
  const server = await startServerProcess({
    databaseUrl: postgres.url,
    dataDir,
    logFile: join(dataDir, 'log'),
    env: profilingEnvironment(),
  });
  // Behind the start, which makes the partitions that they lie in.
  await seedAudit(sql, rows, () => {});
  await sql`VACUUM ANALYZE context.audit`;
  const token = await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] });
  const fetchAll = async (from: string): Promise<number> => {
    client.send({ url: from, token });
    const [bytes] = await once(client, 'message');
    return bytes as number;
  };
  const bare = async (statement: string): Promise<number> => {
    const own = new pg.Client({ connectionString: postgres.url });
    await own.connect();
    const bytes = await drop(own.query(copyTo(statement)));
    await own.end();
    return bytes;
  };
  const exported = (format: string) => () => fetchAll(`${server.origin}/v1/export/context/audit?format=${format}`);
  const ways: Record<string, () => Promise<number>> = {
    'bare COPY': () => bare(text),
    'our reader': async () => drop((await open()).stream),
    'over HTTP': () => fetchAll(url),
    'the platform': exported('copy'),
    'bare COPY, binary': () => bare(`${text} (FORMAT binary)`),
    'the platform, binary': exported('binary'),
  };
  const found = new Map(Object.keys(ways).map((way) => [way, { ms: [] as number[], cpu: [] as number[], bytes: 0 }]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [way, run] of Object.entries(ways)) {
      const pid = way.startsWith('the platform') ? server.pid : process.pid;
      const [began, cpu] = [performance.now(), readProcessCpuMs(pid) ?? 0];
      const bytes = await run();
      const of = found.get(way)!;
      of.bytes = bytes;
      of.ms.push(performance.now() - began);
      of.cpu.push((readProcessCpuMs(pid) ?? 0) - cpu);
    }
  }
  const middle = (list: number[]) => list.sort((one, other) => one - other)[Math.floor(list.length / 2)]!;
  const rateOf = ({ ms, bytes }: { ms: number[]; bytes: number }) => bytes / middle(ms);
  const bareOf = (way: string) => found.get(way.endsWith('binary') ? 'bare COPY, binary' : 'bare COPY')!;
  console.table(
    [...found].map(([way, { ms, cpu, bytes }]) => ({
      way,
      MB: Number((bytes / 1e6).toFixed(1)),
      'ms (median)': Math.round(middle(ms)),
      'ms (best)': Math.round(Math.min(...ms)),
      'CPU ms (median)': Math.round(middle(cpu)),
      'GB/min': Number(((bytes / 1e9) * (60_000 / middle(ms))).toFixed(2)),
      'of bare %': Math.round((100 * rateOf({ ms, bytes })) / rateOf(bareOf(way))),
    })),
  );
  client.kill();
  await server.stop();
  await rm(dataDir, { recursive: true });
  await app.close();
  await sql.end();
}
