import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSmtpTransport } from '../../../subgraphs/platform/notifications/mail.ts';

interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly user: unknown;
  readonly text: string;
}

const received: Received[] = [];
let server: SMTPServer;
let refusal: number | null = null;
let url: string;
beforeAll(async () => {
  server = new SMTPServer({
    authOptional: false,
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    onAuth: ({ username, password }, _session, done) =>
      username === 'mplp' && password === 'p@ss' ? done(null, { user: username }) : done(new Error('who?')),
    onRcptTo(_address, _session, done) {
      if (refusal === null) return done();
      done(Object.assign(new Error('no'), { responseCode: refusal }));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          user: session.user,
          text: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `smtp://mplp:p%40ss@127.0.0.1:${(server.server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));

const mail = { to: 'ops@example.org', subject: 'Disk nearly full', text: '{ "free": 0.04 }' };
const send = (given = mail, at = url) => createSmtpTransport({ url: at, from: 'graph@example.org' }).send(given);

it('hands mail to the server under its sender', async () => {
  await send();
  const [first] = received;
  expect(first).toMatchObject({ from: 'graph@example.org', to: ['ops@example.org'], user: 'mplp' });
  expect(first!.text).toContain('Subject: Disk nearly full');
  expect(first!.text).toContain(mail.text);
});

it('adds neither heads nor recipients that a subject would smuggle in', async () => {
  await send({ ...mail, subject: 'a\r\nBcc: eve@example.org' });
  const last = received.at(-1)!;
  expect(last.to).toEqual(['ops@example.org']);
  expect(last.text).not.toMatch(/^Bcc:/m);
});

it('tells what is refused for good from what may be tried again', async () => {
  refusal = 550;
  await expect(send()).rejects.toMatchObject({ code: 'VALIDATION_FAILED', retryable: false });
  refusal = 451;
  await expect(send()).rejects.not.toMatchObject({ code: 'VALIDATION_FAILED' });
  refusal = null;
  const closed = `smtp://127.0.0.1:1`;
  await expect(send(mail, closed)).rejects.toThrow('ECONNREFUSED');
});
