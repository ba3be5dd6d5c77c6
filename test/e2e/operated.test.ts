import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostPlatform, type Platform } from '../support/platform.ts';

/** What the address of one caller may spend in ten seconds. */
const addressLimit = 400;

let platform: Platform;
let folder: string;
let mailServer: SMTPServer;
let configService: Server;
let token: string;
const mails: { to: string[]; user: unknown; text: string }[] = [];
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  mailServer = new SMTPServer({
    ...{ allowInsecureAuth: true, disabledCommands: ['STARTTLS'] },
    onAuth: ({ username, password }, _session, done) =>
      password === 's3cret' ? done(null, { user: username }) : done(new Error('who?')),
    onData(stream, { envelope, user }, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        mails.push({
          to: envelope.rcptTo.map(({ address }) => address),
          ...{ user, text: Buffer.concat(chunks).toString() },
        });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => mailServer.listen(0, '127.0.0.1', resolve));
  configService = createServer((_request, response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ SUBSCRIPTIONS_PER_CONNECTION: 7 })),
  );
  await new Promise<void>((resolve) => configService.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'mplp-operated-'));
  await mkdir(join(folder, 'config'));
  await writeFile(join(folder, 'config/default.json'), JSON.stringify({ SUBSCRIPTIONS_PER_SUBJECT: 70 }));
  await writeFile(join(folder, 'smtp'), `smtp://mplp:s3cret@127.0.0.1:${portOf(mailServer.server)}\n`);
  await writeFile(join(folder, 'internal'), 'a secret of at least thirty-two characters\n');
  platform = await hostPlatform({
    env: {
      SMTP_URL_FILE: join(folder, 'smtp'),
      MAIL_FROM: 'graph@example.org',
      INTERNAL_SECRET_FILE: join(folder, 'internal'),
      CONFIG_DIR: join(folder, 'config'),
      CONFIG_SERVICE_URL: `http://127.0.0.1:${portOf(configService)}/`,
      TRUST_PROXY: '127.0.0.1',
      RATE_LIMIT_ADDRESS: String(addressLimit),
      OPERATOR_TENANT: 'operators',
    },
  });
  token = await platform.token({ tenant: 'operators', subject: 'olga', roles: ['admin'] });
});
afterAll(async () => {
  await platform?.close();
  configService?.close();
  await new Promise<void>((resolve) => mailServer.close(() => resolve()));
  await rm(folder, { recursive: true, force: true });
});

let callers = 0;
/** Each from an address of its own behind the proxy: what one of them spends is not the others'. */
const ask = async (document: string, variables = {}, from = `203.0.113.${++callers}`) =>
  platform.query<Record<string, never>>(document, variables, { token, headers: { 'x-forwarded-for': from } });

it('takes variables from its files and from a service of them', async () => {
  const { data, errors } = await ask('{ platformVariables { key value source } }');
  expect(errors).toEqual([]);
  const variables = data!['platformVariables'] as unknown as { key: string }[];
  const of = (key: string) => variables.find((variable) => variable.key === key);
  expect(of('SUBSCRIPTIONS_PER_SUBJECT')).toMatchObject({ value: 70, source: 'FILE' });
  expect(of('SUBSCRIPTIONS_PER_CONNECTION')).toMatchObject({ value: 7, source: 'SERVICE' });
});

it('mails what is wrong to whom it concerns, with the secret of a file', async () => {
  const channel = { name: 'ops-mail', kind: 'MAIL', target: 'ops@example.org' };
  const rule = { name: 'grave', minSeverity: 'HIGH', channels: [channel.name] };
  const error = { code: 'DISK_FULL', message: 'no room on the disk', module: 'walk', severity: 'CRITICAL' };
  for (const [field, type, input] of [
    ['putNotificationChannel', 'PlatformNotificationChannelInput', channel],
    ['createNotificationRule', 'PlatformErrorNotificationRuleInput', rule],
    ['captureError', 'PlatformErrorInput', error],
  ] as const) {
    const answer = await ask(
      `mutation ($input: ${type}!) { ${field}(input: $input) { userErrors { code message } } }`,
      {
        input,
      },
    );
    expect([answer.errors, answer.data]).toEqual([[], { [field]: { userErrors: [] } }]);
  }
  await expect.poll(() => mails.length, { timeout: 20_000, interval: 100 }).toBe(1);
  expect(mails[0]).toMatchObject({ to: ['ops@example.org'], user: 'mplp' });
  expect(mails[0]!.text).toContain('DISK_FULL');
  expect(mails[0]!.text).toMatch(/^From: .*graph@example\.org/m);
});

it('takes callers for who they are behind its proxy', async () => {
  const statuses = new Set<number>();
  const page = '{ contexts(first: 100) { nodes { title } } }';
  for (let n = 0; n < 20 && !statuses.has(429); n += 1) statuses.add((await ask(page, {}, '198.51.100.1')).status);
  expect([...statuses]).toEqual([200, 429]);
  expect((await ask('{ me { subject } }', {}, '198.51.100.2')).status).toBe(200);
});
