import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type EmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';
import { hostPlatform, type OwnPlatform, type PlatformOptions, startPlatform } from '../support/platform.ts';
import { startRedis } from '../support/redis.ts';
import { subscribe } from '../support/subscribe.ts';

interface Created {
  createContext: { context: { id: string; title: string } | null; userErrors: { code: string }[] };
}

interface Updated {
  updateContext: { context: { version: number } | null; userErrors: { code: string }[] };
}

const create = `mutation ($title: String!, $key: String!) {
  createContext(input: { title: $title, root: { domain: "kill", environment: "test" }, idempotencyKey: $key }) { context { id title } userErrors { code } }
}`;
const update = `mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { context { version } userErrors { code } } }`;
const updates = `subscription ($id: ID!, $after: String) { contextUpdates(contextId: $id, after: $after) { cursor sequence type changes } }`;

interface Update {
  contextUpdates: { cursor: string; sequence: number; type: string; changes: { title?: string } };
}

function kill(platform: OwnPlatform): Promise<void> {
  return new Promise((resolve) => {
    platform.gateway.once('exit', () => resolve());
    platform.gateway.kill('SIGKILL');
  });
}

/** These tests end processes without warning, so the server syncs every commit to disk. */
describe('kill -9', () => {
  let server: EmbeddedPostgres;
  let folder: string;
  beforeAll(async () => {
    server = await startTemporaryPostgres();
    folder = await mkdtemp(join(tmpdir(), 'mplp-kill-'));
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('during 200 mutations loses nothing acknowledged and repeats nothing', async () => {
    const redisUrl = inject('redisUrl');
    const options: PlatformOptions = { databaseUrl: server.url, dataDir: folder, env: { REDIS_URL: redisUrl } };
    const first = await startPlatform(options);
    const watcher = await hostPlatform(options);
    const shared = (await first.query<Created>(create, { title: 'watched', key: 'watched' })).data!.createContext
      .context!.id;
    const watched = subscribe<Update>({ url: watcher.url, query: updates, variables: { id: shared } });
    await new Promise((resolve) => setTimeout(resolve, 500));

    const acknowledged = new Map<string, string>();
    const acknowledgedUpdates: string[] = [];
    let answered = 0;
    const killed = new Promise<void>((resolve) => {
      const check = setInterval(() => {
        if (answered < 60) return;
        clearInterval(check);
        void kill(first).then(resolve);
      }, 1);
    });
    const attempts = Array.from({ length: 200 }, async (_, index) => {
      // Spread a little, so that the kill meets batches in every phase.
      await new Promise((resolve) => setTimeout(resolve, index / 2));
      try {
        if (index % 2 === 0) {
          const answer = await first.query<Created>(create, { title: `c${index}`, key: `k${index}` });
          const context = answer.data?.createContext.context;
          if (context) acknowledged.set(`k${index}`, context.id);
        } else {
          const answer = await first.query<Updated>(update, { id: shared, title: `u${index}` });
          if (answer.data?.updateContext.context) acknowledgedUpdates.push(`u${index}`);
        }
        answered += 1;
      } catch {
        // The process is gone: whether this one was committed nobody has said.
      }
    });
    await Promise.all(attempts);
    await killed;
    expect(acknowledged.size + acknowledgedUpdates.length).toBeGreaterThanOrEqual(60);

    const second = await hostPlatform(options);
    // The same calls again: those that had been committed answer what they did, the others do it now, once.
    for (let index = 0; index < 200; index += 2) {
      const answer = await second.query<Created>(create, { title: `c${index}`, key: `k${index}` });
      const id = answer.data!.createContext.context!.id;
      const known = acknowledged.get(`k${index}`);
      if (known !== undefined) expect(id).toBe(known);
      else acknowledged.set(`k${index}`, id);
    }
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    const { rows: contexts } = await client.query<{ id: string; title: string }>(
      "SELECT id, title FROM context.context WHERE domain = 'kill' AND title LIKE 'c%'",
    );
    expect(contexts.map((row) => row.id).sort()).toEqual([...acknowledged.values()].sort());
    expect(new Set(contexts.map((row) => row.title)).size).toBe(100);
    const { rows: events } = await client.query<{ stream_id: string; sequence: string; title: string | null }>(
      "SELECT stream_id, sequence, data->'changes'->>'title' AS title FROM context.event WHERE stream_id = $1 OR type = 'context.created' ORDER BY sequence",
      [shared],
    );
    const createdOf = events.filter((row) => row.stream_id !== shared);
    expect(createdOf.map((row) => row.stream_id).sort()).toEqual([...acknowledged.values()].sort());
    const committedUpdates = events
      .filter((row) => row.stream_id === shared && row.title !== null)
      .map((row) => row.title!);
    for (const title of acknowledgedUpdates)
      expect(committedUpdates.filter((entry) => entry === title)).toHaveLength(1);
    // What was committed reaches the subscriber on the other instance, in order, once, although its publisher is dead.
    await watched.until((payloads) => payloads.length >= committedUpdates.length);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(watched.payloads.map((payload) => payload.contextUpdates.changes.title)).toEqual(committedUpdates);
    expect(watched.payloads.map((payload) => payload.contextUpdates.sequence)).toEqual(
      committedUpdates.map((_, index) => index + 2),
    );
    await client.end();
    await watched.close();
    await Promise.all([watcher.close(), second.close()]);
    // Starts of whole platforms.
  }, 240_000);

  it('of Redis mid-stream leaves no gap', async () => {
    const redis = await startRedis();
    const start = () => hostPlatform({ databaseUrl: server.url, dataDir: folder, env: { REDIS_URL: redis.url } });
    const [writer, reader] = [await start(), await start()];
    const id = (await writer.query<Created>(create, { title: 'stream', key: 'stream' })).data!.createContext.context!
      .id;
    const followed = subscribe<Update>({ url: reader.url, query: updates, variables: { id } });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const total = 90;
    for (let index = 0; index < total; index += 1) {
      if (index === 30) await redis.kill();
      if (index === 60) await redis.restart();
      const answer = await writer.query<Updated>(update, { id, title: `s${index}` });
      expect(answer.data?.updateContext.userErrors).toEqual([]);
    }
    await followed.until((payloads) => payloads.length >= total);
    expect(followed.payloads.map((payload) => payload.contextUpdates.changes.title)).toEqual(
      Array.from({ length: total }, (_, index) => `s${index}`),
    );
    expect(followed.errors).toEqual([]);
    await followed.close();
    await Promise.all([writer.close(), reader.close()]);
    await redis.stop();
  }, 240_000);
});
