import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen } from '../contract/walk/listen.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import {
  hostPlatform,
  type OwnPlatform,
  type Platform,
  type PlatformOptions,
  startPlatform,
} from '../support/platform.ts';
import { type ReceivedDelivery, startReceiver } from './receiver.ts';
import { type Json, until } from './rig.ts';

let database: TestDatabase;
let dataDir: string;
let killed: OwnPlatform;
let platform: Platform;
let token: string;
const options = (): PlatformOptions => ({
  databaseUrl: database.url,
  dataDir,
  env: { WEBHOOK_NETWORKS: '127.0.0.0/8,::1', EVENT_LEASE_MS: '2000' },
});
beforeAll(async () => {
  database = await createTestDatabase('partitioned');
  dataDir = await mkdtemp(join(tmpdir(), 'mplp-killed-'));
  killed = await startPlatform(options());
  platform = killed;
  token = await platform.token({ tenant: 'killed', subject: 'ann', roles: ['admin'] });
});
afterAll(async () => {
  await platform?.close();
  await database?.drop();
  await rm(dataDir, { recursive: true, force: true });
});

const ask = async (document: string, variables: Json = {}, as = token): Promise<Json> => {
  const { data, errors } = await platform.query<Json>(document, variables, { token: as });
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return data;
};

const subscribing = `mutation ($input: CreateEventSubscriptionInput!) { createEventSubscription(input: $input) { subscription { id } userErrors { code message } } }`;
const publishing = `mutation ($input: PublishEventInput!) { publishEvent(input: $input) { event { eventId } userErrors { code } } }`;

describe('a platform', () => {
  it('answers a finished export to who may have it', async () => {
    const { exportAudit } = await ask(
      `mutation { exportAudit(input: { format: NDJSON }) { file { id } userErrors { code } } }`,
    );
    const { id } = exportAudit.file;
    const { auditExport } = await until(
      () => ask(`query ($id: ID!) { auditExport(id: $id) { status downloadPath rowCount } }`, { id }),
      ({ auditExport: { status } }) => status === 'READY',
    );
    const download = async (as: string | null) =>
      fetch(`${platform.url}${auditExport.downloadPath}`, {
        headers: as === null ? {} : { authorization: `Bearer ${as}` },
      });
    const response = await download(token);
    expect([response.status, response.headers.get('content-disposition')]).toEqual([
      200,
      'attachment; filename="audit.ndjson"',
    ]);
    const text = await response.text();
    expect(Number(response.headers.get('content-length'))).toBe(Buffer.byteLength(text));
    expect(text.split('\n')).toHaveLength(auditExport.rowCount + 1);
    const member = await platform.token({ tenant: 'killed', subject: 'bob', roles: ['member'] });
    expect((await download(member)).status).toBe(403);
    const foreign = await platform.token({ tenant: 'other', subject: 'ann', roles: ['admin'] });
    expect((await download(foreign)).status).toBe(404);
  });

  it('brings pulled deliveries to a subscriber, who answers', async () => {
    const input = { name: 'pull', target: 'PULL', patterns: ['pulled.*'] };
    const { subscription } = (await ask(subscribing, { input })).createEventSubscription;
    const query = `subscription ($id: ID!) { eventReceived(subscriptionId: $id) { sequence delivery { id attempt event { payload } } } }`;
    const heard = listen(platform.url, token, { query, variables: { id: subscription.id } }, 10_000, '"n":7');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await ask(publishing, { input: { type: 'pulled.out', payload: { n: 7 } } });
    const { text } = await heard;
    const { data } = JSON.parse(/^data: (\{.*"n":7.*\})$/m.exec(text)![1]!);
    const { acknowledgeDelivery } = await ask(
      `mutation ($id: ID!) { acknowledgeDelivery(deliveryId: $id) { first delivery { status } userErrors { code } } }`,
      { id: data.eventReceived.delivery.id },
    );
    expect(acknowledgeDelivery).toMatchObject({ first: true, delivery: { status: 'ACKNOWLEDGED' } });
  });

  it('killed while it publishes, delivers and seals loses nothing and does nothing twice', async () => {
    /** What a consumer keeps beside its work: the first delivery of each inbox key does it, all others find it done. */
    const done = new Map<string, ReceivedDelivery>();
    let received = 0;
    await using receiver = await startReceiver(async ({ deliveries }) => {
      for (const delivery of deliveries) {
        received += 1;
        if (!done.has(delivery.inboxKey)) done.set(delivery.inboxKey, delivery);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
      return 200;
    });
    const input = {
      name: 'killed',
      patterns: ['order.*'],
      target: 'WEBHOOK',
      url: receiver.url,
      deliveryMode: 'EXACTLY_ONCE',
      partitions: 8,
      maxRetry: 10,
      retryDelayMs: 100,
    };
    expect((await ask(subscribing, { input })).createEventSubscription.userErrors).toEqual([]);
    const acknowledged: string[] = [];
    let running: Promise<unknown> = Promise.resolve();
    /** Each key's events one after the other; one that was not answered is sent again with its key of idempotency. */
    const publishKey = async (key: number) => {
      for (let n = 0; n < 25; ) {
        const event = { type: 'order.placed', payload: { n }, orderingKey: `k${key}`, idempotencyKey: `k${key}-${n}` };
        const answer = await ask(publishing, { input: event }).catch(() => null);
        if (answer === null) {
          await running;
          await new Promise((resolve) => setTimeout(resolve, 50));
          continue;
        }
        acknowledged.push(answer.publishEvent.event.eventId);
        n += 1;
      }
    };
    const publishers = Array.from({ length: 6 }, (_none, key) => publishKey(key));
    await until(
      async () => received,
      (count) => count > 30,
    );
    const restarted = Promise.withResolvers<void>();
    running = restarted.promise;
    const gone = new Promise((resolve) => killed.gateway.once('exit', resolve));
    killed.gateway.kill('SIGKILL');
    await gone;
    platform = await hostPlatform(options());
    restarted.resolve();
    await Promise.all(publishers);
    expect(new Set(acknowledged).size).toBe(150);
    const doneIds = () => new Set([...done.values()].map(({ event }) => event.id));
    await until(
      async () => acknowledged.filter((id) => !doneIds().has(id)).length,
      (missing) => missing === 0,
      60_000,
    );
    expect(done.size).toBe(150);
    for (const list of Map.groupBy(done.values(), ({ orderingKey }) => orderingKey).values())
      expect(list.map(({ event }) => event.payload.n)).toEqual(Array.from({ length: 25 }, (_none, n) => n));
    const { deliveries } = await until(
      () => ask('{ deliveries(status: [PENDING, SENT], first: 1) { nodes { id } } }'),
      ({ deliveries: { nodes } }) => nodes.length === 0,
      60_000,
    );
    expect(deliveries.nodes).toEqual([]);
    const { verifyAuditChain } = await until(
      () => ask('{ verifyAuditChain { valid rows unsealedRows problems { kind } } }'),
      ({ verifyAuditChain: { unsealedRows } }) => unsealedRows === 0,
    );
    expect(verifyAuditChain).toMatchObject({ valid: true, problems: [] });
  });
});
