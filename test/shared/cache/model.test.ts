import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TaggedCache } from '#shared/cache.ts';
import { type RedisServer, startRedisServer } from './redisServer.ts';
import { createSharedCache, until } from './rig.ts';

/**
 * Two instances, one Redis, a database of versioned rows. Clients write and read in any interleaving, with loads and
 * messages that take their time; a client that has written reads with its token (the invalidation applied before its
 * read). Values are the versions of the rows they were built from.
 */
const rowCount = 4;

type Step =
  | { kind: 'write'; rows: number[]; at: 0 | 1; messageMs: number }
  | { kind: 'read'; rows: number[]; at: 0 | 1; loadMs: number; readMs: number; composed: boolean }
  | { kind: 'wait'; ms: number }
  | { kind: 'killRedis' }
  | { kind: 'restartRedis' };

const rows = fc.uniqueArray(fc.nat(rowCount - 1), { minLength: 1, maxLength: 2 }).map((list) => list.sort());
const at = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), rows, at, messageMs: fc.nat(6) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      rows,
      at,
      loadMs: fc.nat(4),
      readMs: fc.nat(3),
      composed: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(4) }) },
);
const faults: fc.Arbitrary<Step> = fc.oneof(
  { weight: 16, arbitrary: step },
  { weight: 1, arbitrary: fc.constant({ kind: 'killRedis' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restartRedis' as const }) },
);

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(async () => server.close());

interface World {
  readonly versions: number[];
  /** Per instance and row: the version whose invalidation has been applied there. */
  readonly known: [number[], number[]];
  readonly problems: string[];
  redisUp: boolean;
}

/** Reads rows through the cache, as one value or composed of one cached value per row, and judges what came. */
async function read(world: World, cache: TaggedCache, step: Extract<Step, { kind: 'read' }>): Promise<void> {
  const least = [...world.known[step.at]];
  const load = async (wanted: readonly number[]) => {
    await delay(step.readMs);
    const found = wanted.map((row) => world.versions[row]!);
    await delay(step.loadMs);
    return { value: JSON.stringify(found), tags: wanted.map((row) => `Row:${row}`) };
  };
  const { value } = await cache.getOrLoad(`${step.composed ? 'composed' : 'plain'}:${step.rows}`, {
    ttlMs: 60_000,
    load: async () => {
      if (!step.composed) return load(step.rows);
      const found = await Promise.all(
        step.rows.map((row) => cache.getOrLoad(`plain:${row}`, { ttlMs: 60_000, load: () => load([row]) })),
      );
      const stamps = found.map((part) => part.stamp);
      return {
        value: JSON.stringify(found.flatMap((part) => JSON.parse(String(part.value)))),
        tags: found.flatMap((part) => part.tags),
        stamp: stamps.includes(null) ? null : Math.min(...stamps.map(Number)),
      };
    },
  });
  (JSON.parse(String(value)) as number[]).forEach((version, index) => {
    const row = step.rows[index]!;
    if (version < least[row]!) {
      world.problems.push(
        `instance ${step.at} answered row ${row} in version ${version} after ${least[row]} was known there`,
      );
    }
  });
}

async function run(steps: readonly Step[], caches: readonly [TaggedCache, TaggedCache]): Promise<World> {
  const world: World = {
    versions: Array(rowCount).fill(0),
    known: [Array(rowCount).fill(0), Array(rowCount).fill(0)],
    problems: [],
    redisUp: true,
  };
  const running: Promise<void>[] = [];
  const learn = (instance: 0 | 1, versions: ReadonlyMap<number, number>) => {
    for (const [row, version] of versions) world.known[instance][row] = Math.max(world.known[instance][row]!, version);
  };
  for (const [index, step] of steps.entries()) {
    if (step.kind === 'read') running.push(read(world, caches[step.at], step));
    else if (step.kind === 'wait') await delay(step.ms);
    else if (step.kind === 'write') {
      const written = new Map(step.rows.map((row) => [row, ++world.versions[row]!]));
      const event = { id: `${index}-${Math.random()}`, tags: step.rows.map((row) => `Row:${row}`) };
      void caches[step.at].invalidateEvents([event]);
      learn(step.at, written);
      const other = step.at === 0 ? 1 : 0;
      running.push(
        delay(step.messageMs).then(() => {
          void caches[other].invalidateEvents([event]);
          learn(other, written);
        }),
      );
    } else if (step.kind === 'killRedis' && world.redisUp) {
      await server.kill();
      world.redisUp = false;
    } else if (step.kind === 'restartRedis' && !world.redisUp) {
      await server.restart();
      world.redisUp = true;
    }
  }
  await Promise.all(running);
  if (!world.redisUp) await server.restart();
  // At rest, with all messages delivered, nobody may hold anything old, in memory or in Redis.
  for (const cache of caches) await until(() => cache.stats().l2.usable);
  for (const instance of [0, 1] as const) {
    for (const composed of [false, true]) {
      for (let row = 0; row < rowCount; row++) {
        await read(world, caches[instance], {
          kind: 'read',
          rows: [row],
          at: instance,
          loadMs: 0,
          readMs: 0,
          composed,
        });
      }
    }
  }
  return world;
}

async function holds(steps: readonly Step[]): Promise<void> {
  const prefix = `run${Math.random()}:`;
  const caches = [
    await createSharedCache(server.url, { prefix }),
    await createSharedCache(server.url, { prefix }),
  ] as const;
  try {
    expect((await run(steps, caches)).problems).toEqual([]);
  } finally {
    await Promise.all(caches.map((cache) => cache.close()));
  }
}

it('answers nothing older than what its instance has heard of, whatever the interleaving', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), holds), {
    numRuns: 150,
    endOnFailure: true,
  });
});

it('nor when Redis is killed and restarted on the way', async () => {
  await fc.assert(fc.asyncProperty(fc.array(faults, { minLength: 20, maxLength: 80 }), holds), {
    numRuns: 25,
    endOnFailure: true,
  });
});
