import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAddressGuard } from '#shared/addressGuard.ts';
import { type Json, type PlatformRig, somebody } from '../observeRig.ts';
import { alertCalls, errors, openAlertRig } from './alertRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openAlertRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const { evaluate, gauge, createRule, above } = alertCalls(() => rig);

describe('notifications', () => {
  it('go out by webhook and log, are tried again after a failure, and told with their attempts', async () => {
    const received: Json[] = [];
    let answers = [500, 200];
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        received.push({ ...JSON.parse(body), header: request.headers['x-notification-id'] });
        response.writeHead(answers.shift() ?? 200).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const who = somebody();
    const put = (input: object): Promise<Json> =>
      rig.ask(
        who,
        `mutation ($input: PlatformNotificationChannelInput!) { putNotificationChannel(input: $input) { channel { name kind target enabled version } ${errors} } }`,
        { input },
      );
    expect((await put({ name: 'hook', kind: 'WEBHOOK', target: `http://127.0.0.1:${port}/hook` })).userErrors).toEqual(
      [],
    );
    await put({ name: 'log', kind: 'LOG' });
    await put({ name: 'mail', kind: 'MAIL', target: 'ops@example.org' });
    await put({ name: 'off', kind: 'LOG', enabled: false });
    await createRule(who, {
      name: 'full',
      conditions: [above('queue', 10)],
      channels: ['hook', 'log', 'mail', 'off', 'gone'],
    });
    await gauge(who.tenantId, 'queue', 11, Date.now());
    await evaluate(Date.now());
    const jobs =
      await rig.sql`SELECT payload FROM graphile_worker._private_jobs WHERE payload::text LIKE ${`%${who.tenantId}%`}`;
    expect(jobs).toHaveLength(3);
    const run = async () => {
      const results = await Promise.allSettled(jobs.map(({ payload }) => rig.job('notify', payload)));
      return results.filter(({ status }) => status === 'rejected').length;
    };
    expect(await run()).toBe(1);
    const list = (): Promise<Json[]> =>
      rig.ask(who, '{ notifications { channel status attempts lastError subject sentAt } }');
    const statusOf = async () =>
      (await list()).map(({ channel, status, attempts }) => [channel, status, attempts]).toSorted();
    expect(await statusOf()).toEqual([
      ['hook', 'FAILED', 1],
      ['log', 'SENT', 1],
      ['mail', 'FAILED', 1],
    ]);
    expect(await run()).toBe(0);
    expect(await statusOf()).toEqual([
      ['hook', 'SENT', 2],
      ['log', 'SENT', 1],
      ['mail', 'FAILED', 2],
    ]);
    expect((await list()).find(({ channel }) => channel === 'mail').lastError).toBe('no mail transport is configured');
    expect(received[1]).toMatchObject({
      subject: 'WARNING: full',
      rule: 'full',
      metric: 'queue',
      value: 11,
      threshold: 10,
      change: 'fired',
      header: received[0].id,
    });
    answers = [302];
    await rig.sql`UPDATE platform.notification SET status = 'WAITING' WHERE tenant_id = ${who.tenantId} AND channel = 'hook'`;
    expect(await run()).toBe(1);
    expect(received).toHaveLength(3);
    expect((await rig.ask(who, `mutation { deleteNotificationChannel(name: "hook") { name ${errors} } }`)).name).toBe(
      'hook',
    );
    expect((await rig.ask(who, '{ notificationChannels { name } }')).map(({ name }: Json) => name)).toEqual([
      'log',
      'mail',
      'off',
    ]);
    server.close();
  });

  it('never go to addresses that are not public, neither by address nor by name', async () => {
    const who = somebody();
    const put = (target: string): Promise<Json> =>
      rig.ask(
        who,
        `mutation ($input: PlatformNotificationChannelInput!) { putNotificationChannel(input: $input) { ${errors} } }`,
        { input: { name: 'hook', kind: 'WEBHOOK', target } },
      );
    for (const target of [
      'http://10.0.0.1/',
      'http://169.254.169.254/latest',
      'http://[::1]/',
      'http://[::ffff:10.0.0.1]/',
      'http://0x7f.1.1.1/',
      'http://192.168.1.1',
      'ftp://example.org',
      'http://me:pw@example.org/',
      'no url',
    ])
      expect([target, (await put(target)).userErrors[0]?.code]).toEqual([target, 'VALIDATION_FAILED']);
    expect((await put('https://hooks.example.org/x')).userErrors).toEqual([]);
    const guard = createAddressGuard(['10.1.0.0/16']);
    expect(
      [
        '8.8.8.8',
        '10.1.2.3',
        '10.2.0.1',
        '::ffff:127.0.0.1',
        '2606:4700::1',
        'fd00::1',
        '224.0.0.1',
        '172.31.0.1',
        '172.32.0.1',
      ].map(guard.isAllowed),
    ).toEqual([true, true, false, false, true, false, false, false, true]);
    const looked = await new Promise((resolve) =>
      guard.lookup('localhost', { all: true }, (error) => resolve(error?.message)),
    );
    expect(looked).toMatch(/expected a public address/);
  });
});
