import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalBus } from '#shared/bus.ts';
import { createConsistencyToken, readConsistencyToken } from '#shared/cache/consistencyToken.ts';
import type { EventRow } from '#shared/events.ts';
import {
  createConsistency,
  invalidateByEvents,
  invalidateWritten,
} from '../../../gateway/execution/responseCache/index.ts';
import { createGraphRig, principal } from './rig.ts';

type Rig = Awaited<ReturnType<typeof createGraphRig>>;
const ann = principal('a', 'ann');
const bob = principal('a', 'bob');
const hot = '{ context(id: "c1") { id name dialogs { title } } }';

const event = (eventId: string, tenantId: string, tags: string[]): EventRow => ({
  tenantId,
  module: 'context',
  streamId: 'c1',
  sequence: 1,
  eventId,
  type: 'context.updated',
  actor: 'ann',
  data: {},
  tags,
  createdAt: new Date().toISOString(),
});

let rig: Rig;
beforeEach(async () => {
  rig = await createGraphRig();
});
afterEach(async () => {
  await rig.close();
});

describe('whole responses', () => {
  it('keeps only what is asked for again, and answers it without executing', async () => {
    const hits = [];
    for (let i = 0; i < 4; i++) hits.push(await rig.serve(hot, i % 2 ? ann : bob));
    expect(hits.map((served) => served.hit)).toEqual(['miss', 'miss', 'l1', 'l1']);
    expect(new Set(hits.map((served) => JSON.stringify(served.data))).size).toBe(1);
  });

  it.each(['a/Context:c1', 'a/Context:c1:dialogs', 'a/Dialog:d2'])(
    'drops it by the tag %s of any fetch it made',
    async (tag) => {
      for (let i = 0; i < 3; i++) await rig.serve(hot, ann);
      rig.world.names.set('a/c1', 'new');
      rig.world.titles.set('a/d2', 'new');
      await rig.cache.invalidate([tag]);
      const { hit, data } = await rig.serve(hot, ann);
      expect(hit).toBe('miss');
      expect(JSON.stringify(data)).toContain('new');
    },
  );

  it('carries the tags also when all its fetches came from the cache', async () => {
    await rig.ask(hot, ann);
    const before = rig.fetches.length;
    for (let i = 0; i < 3; i++) await rig.serve(hot, ann);
    expect(rig.fetches.length).toBe(before);
    await rig.cache.invalidate(['a/Dialog:d2']);
    expect((await rig.serve(hot, ann)).hit).toBe('miss');
  });

  it('separates tenants, permission sets and subjects', async () => {
    for (let i = 0; i < 3; i++) await rig.serve(hot, ann);
    for (let i = 0; i < 3; i++)
      expect((await rig.serve(hot, principal('b'))).data).toMatchObject({ context: { name: 'name of b/c1' } });
    const reader = principal('a', 'carl', ['context:read']);
    const byRole = '{ contextsOfRole { name } }';
    for (let i = 0; i < 3; i++) await rig.serve(byRole, ann);
    expect((await rig.serve(byRole, reader)).hit).toBe('miss');
    for (let i = 0; i < 4; i++) expect((await rig.serve('{ mine { name } }', ann)).hit).toBe('miss');
    // Whoever lacks the permission is not answered from what others may read.
    expect((await rig.serve(hot, principal('a', 'eve', []))).hit).toBe('miss');
  });

  it('keeps neither errors nor what holds an untagged part', async () => {
    rig.world.failing = true;
    for (let i = 0; i < 4; i++) expect((await rig.serve('{ broken }', ann)).hit).toBe('miss');
    for (let i = 0; i < 4; i++) expect((await rig.serve('{ plain context(id: "c1") { name } }', ann)).hit).toBe('miss');
  });

  it('shares one execution between identical requests', async () => {
    await rig.close();
    rig = await createGraphRig({ delayMs: 20 });
    await rig.serve('{ broken }', ann);
    await rig.cache.invalidate(['a/Broken:1']);
    const before = rig.fetches.length;
    const served = await Promise.all(Array.from({ length: 20 }, () => rig.serve('{ broken }', ann)));
    expect(rig.fetches.length).toBe(before + 1);
    expect(served.every(({ data }) => data['broken'] === 'whole')).toBe(true);
  });
});

describe('invalidation', () => {
  it('follows the events on the bus, once, in their tenant', async () => {
    const bus = createLocalBus((error) => {
      throw error;
    });
    const stop = invalidateByEvents(bus, rig.cache);
    for (let i = 0; i < 3; i++) await rig.serve(hot, ann);
    bus.publish([event('e1', 'b', ['Context:c1'])]);
    expect((await rig.serve(hot, ann)).hit).toBe('l1');
    bus.publish([event('e2', 'a', ['Context:c1'])]);
    expect((await rig.serve(hot, ann)).hit).toBe('miss');
    await invalidateWritten(rig.cache, 'a', [{ eventId: 'e2', tags: ['Context:c1'] }]);
    expect((await rig.serve(hot, ann)).hit).toBe('l1');
    const { tenantId, module, streamId, type, actor, data, createdAt } = event('e3', 'a', []);
    bus.publish([{ tenantId, module, streamId, type, actor, data, createdAt }]);
    expect((await rig.serve(hot, ann)).hit).toBe('l1');
    stop();
  });

  it('is caught up by the client that wrote: a token is applied once, in the tenant of who sends it', async () => {
    const consistency = createConsistency(rig.cache);
    const token = createConsistencyToken([{ eventId: 'e9', tags: ['Context:c1'] }]);
    for (let i = 0; i < 3; i++) await rig.serve(hot, ann);
    expect(await consistency.apply(token, 'b')).toBe(false);
    expect((await rig.serve(hot, ann)).hit).toBe('l1');
    await consistency.apply(token, 'a');
    expect((await rig.serve(hot, ann)).hit).toBe('miss');
    await consistency.apply(token, 'a');
    expect((await rig.serve(hot, ann)).hit).toBe('l1');
    // The event itself still counts: the client might have named other tags.
    await rig.cache.invalidateEvents([{ id: 'e9', tags: ['a/Context:c1'] }]);
    expect((await rig.serve(hot, ann)).hit).toBe('miss');
    // And once it is known, no token needs to be applied for it.
    await rig.serve(hot, ann);
    await consistency.apply(createConsistencyToken([{ eventId: 'e9', tags: ['Context:c1', 'Context:c2'] }]), 'a');
    expect((await rig.serve(hot, ann)).hit).toBe('l1');
  });

  it('says read past the cache when there was too much to name', async () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ eventId: `e${i}`, tags: [`Context:${i}`] }));
    const token = createConsistencyToken(many);
    expect(token.length).toBeLessThan(100);
    expect(await createConsistency(rig.cache).apply(token, 'a')).toBe(true);
    expect(await createConsistency(rig.cache).apply(createConsistencyToken(many, Date.now() - 120_000), 'a')).toBe(
      false,
    );
  });

  it.each([
    ['', 'not base64url'],
    ['@@@', 'not base64url'],
    ['AAAA', 'not readable'],
    [Buffer.from('{}').toString('base64url'), 'not readable'],
    [Buffer.from('[2,1]').toString('base64url'), 'unknown version'],
    [Buffer.from('[1,"x"]').toString('base64url'), 'names no time'],
    [Buffer.from('[1,1,{}]').toString('base64url'), 'names no changes'],
    [Buffer.from('[1,1,[[]]]').toString('base64url'), 'malformed'],
    [Buffer.from('[1,1,[["e",5]]]').toString('base64url'), 'malformed'],
    [Buffer.from(JSON.stringify([1, 1, [['e', 'x'.repeat(300)]]])).toString('base64url'), 'malformed'],
    [Buffer.from(JSON.stringify([1, 1, [['e', ...Array(200).fill('t')]]])).toString('base64url'), 'more than 128 tags'],
    ['A'.repeat(9_000), '9000 characters'],
  ])('refuses a token that is none: %#', async (token, reason) => {
    expect(() => readConsistencyToken(token)).toThrowError(
      expect.objectContaining({ code: 'BAD_USER_INPUT', message: expect.stringContaining(reason) }),
    );
    await expect(createConsistency(rig.cache).apply(token, 'a')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  });
});
