import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGraphRig, principal } from './rig.ts';

type Rig = Awaited<ReturnType<typeof createGraphRig>>;
const ann = principal('a', 'ann');
const bob = principal('a', 'bob');
const foreigner = principal('b', 'ann');
const one = 'query($id: ID!) { context(id: $id) { id name owner { name } } }';

describe('fetches through the cache', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await createGraphRig();
  });
  afterEach(async () => {
    await rig.close();
  });
  const count = (subgraph: string) => rig.fetches.filter((fetch) => fetch.subgraph === subgraph).length;

  it('asks the subgraph once, for everyone of the tenant, and again after an invalidation', async () => {
    const first = await rig.ask(one, ann, { id: 'c1' });
    expect(await rig.ask(one, bob, { id: 'c1' })).toEqual(first);
    expect(count('context')).toBe(1);
    rig.world.names.set('a/c1', 'new');
    await rig.cache.invalidate(['a/Context:c1']);
    expect((await rig.ask(one, ann, { id: 'c1' })).data).toMatchObject({ context: { name: 'new' } });
  });

  it('never gives one tenant what another has read, also not by a tag', async () => {
    await rig.ask(one, ann, { id: 'c1' });
    const { data } = await rig.ask(one, foreigner, { id: 'c1' });
    expect(data).toMatchObject({ context: { name: 'name of b/c1' } });
    expect(count('context')).toBe(2);
    await rig.cache.invalidate(['b/Context:c1']);
    await rig.ask(one, ann, { id: 'c1' });
    expect(count('context')).toBe(2);
    expect((await rig.ask(one, principal('a/c1|t', 'x'), { id: 'c1' })).data).toEqual({ context: null });
  });

  it('sends who lacks a permission on to the subgraph, which refuses', async () => {
    await rig.ask(one, ann, { id: 'c1' });
    await rig.ask(one, principal('a', 'eve', ['dialog:read']), { id: 'c1' });
    expect(count('context')).toBe(2);
  });

  it('keeps what depends on the role per permission set, and what depends on the subject not at all', async () => {
    const reader = principal('a', 'carl', ['context:read']);
    await rig.ask('{ contextsOfRole { name } }', ann);
    await rig.ask('{ contextsOfRole { name } }', bob);
    expect(count('context')).toBe(1);
    await rig.ask('{ contextsOfRole { name } }', reader);
    expect(count('context')).toBe(2);
    await rig.ask('{ mine { name } }', ann);
    await rig.ask('{ mine { name } }', ann);
    expect(count('context')).toBe(4);
  });

  it('keeps neither errors, nor what has no age, nor what nobody tagged, nor mutations', async () => {
    rig.world.failing = true;
    expect((await rig.ask('{ broken }', ann)).errors?.[0]?.message).toBe('broken');
    rig.world.failing = false;
    expect((await rig.ask('{ broken }', ann)).data).toEqual({ broken: 'whole' });
    expect(count('context')).toBe(2);
    const [clock, later] = [await rig.ask('{ clock }', ann), await rig.ask('{ clock }', ann)];
    expect(clock.data).not.toEqual(later.data);
    await rig.ask('{ untagged }', ann);
    await rig.ask('{ untagged }', ann);
    expect(count('context')).toBe(6);
    const rename = 'mutation { rename(id: "c1", name: "z") { name } }';
    await rig.ask(rename, ann);
    await rig.ask(rename, ann);
    expect(count('context')).toBe(8);
  });

  it('fetches only the entities that are missing, in order', async () => {
    const both = '{ contextsOfRole { id name dialogs { title } } }';
    const first = await rig.ask(both, ann);
    expect(first.data).toMatchObject({
      contextsOfRole: [{ id: 'c1', dialogs: [{ title: 'title of a/d1' }, {}] }, { id: 'c2' }],
    });
    expect(count('dialog')).toBe(1);
    expect((await rig.ask(both, bob)).data).toEqual(first.data);
    expect(count('dialog')).toBe(1);

    await rig.cache.invalidate(['a/Context:c2']);
    expect((await rig.ask(both, ann)).data).toEqual(first.data);
    expect(rig.fetches.at(-1)).toEqual({
      subgraph: 'dialog',
      variables: { representations: [{ __typename: 'Context', id: 'c2' }] },
    });
  });

  it('moves the error of a missing entity to where the gateway expects it, and keeps none of that fetch', async () => {
    await rig.ask('{ context(id: "c1") { risky } }', ann);
    rig.world.failing = true;
    const list = '{ contextsOfRole { id risky } }';
    const { data, errors } = await rig.ask(list, ann);
    expect(data).toEqual({
      contextsOfRole: [
        { id: 'c1', risky: 'risk of c1' },
        { id: 'c2', risky: null },
      ],
    });
    expect(errors).toMatchObject([{ message: 'c2 fails', path: ['contextsOfRole', 1, 'risky'] }]);
    expect(rig.fetches.at(-1)?.variables).toEqual({ representations: [{ __typename: 'Context', id: 'c2' }] });
    rig.world.failing = false;
    expect(await rig.ask(list, ann)).toEqual({
      data: {
        contextsOfRole: [
          { id: 'c1', risky: 'risk of c1' },
          { id: 'c2', risky: 'risk of c2' },
        ],
      },
    });
  });

  it('does not let what the gateway merges into an answer reach the cache', async () => {
    await rig.ask('{ context(id: "c1") { id name dialogs { title context { name } } } }', ann);
    await rig.ask('{ context(id: "c1") { id name dialogs { title context { name } } } }', ann);
    const before = rig.fetches.length;
    const { data } = await rig.ask('{ context(id: "c1") { id name dialogs { title context { name } } } }', ann);
    expect(rig.fetches.length).toBe(before);
    const kept = JSON.stringify(data);
    (data['context'] as Record<string, unknown>)['name'] = 'changed by hand';
    expect(
      JSON.stringify((await rig.ask('{ context(id: "c1") { id name dialogs { title context { name } } } }', ann)).data),
    ).toBe(kept);
  });

  it('shares one fetch between requests that come together', async () => {
    await rig.close();
    rig = await createGraphRig({ delayMs: 20 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => rig.ask(one, ann, { id: 'c1' })));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(count('context')).toBe(1);
  });

  it('lets no waiter have the error of another request', async () => {
    await rig.close();
    rig = await createGraphRig({ delayMs: 20 });
    rig.world.failing = true;
    const asking = [rig.ask('{ broken }', ann), rig.ask('{ broken }', bob)];
    setTimeout(() => {
      rig.world.failing = false;
    }, 10);
    const [mine, other] = await Promise.all(asking);
    expect(mine?.errors).toHaveLength(1);
    expect(other).toEqual({ data: { broken: 'whole' } });
  });

  it('remembers for a while that there is no such entity, until one is made', async () => {
    expect((await rig.ask(one, ann, { id: 'c9' })).data).toEqual({ context: null });
    await rig.ask(one, ann, { id: 'c9' });
    expect(count('context')).toBe(1);
    rig.world.names.set('a/c9', 'made');
    await rig.cache.invalidate(['a/Context:c9']);
    expect((await rig.ask(one, ann, { id: 'c9' })).data).toMatchObject({ context: { name: 'made' } });
  });

  it('takes variables as equal whatever the order of their keys', async () => {
    const query = 'query($id: ID!, $other: ID!) { a: context(id: $id) { name } b: context(id: $other) { name } }';
    await rig.ask(query, ann, { id: 'c1', other: 'c2' });
    await rig.ask(query, ann, { other: 'c2', id: 'c1' });
    await rig.ask(query, ann, { id: 'c2', other: 'c1' });
    expect(count('context')).toBe(2);
  });
});

describe('subject scope, kept per subject', () => {
  it('never shares it', async () => {
    const rig = await createGraphRig({ subjectScope: 'key' });
    const unread = '{ dialog(id: "d1") { unread } }';
    expect((await rig.ask(unread, ann)).data).toEqual({ dialog: { unread: 3 } });
    expect((await rig.ask(unread, principal('a', 'dorothy'))).data).toEqual({ dialog: { unread: 7 } });
    expect((await rig.ask(unread, ann)).data).toEqual({ dialog: { unread: 3 } });
    expect(rig.fetches).toHaveLength(2);
    await rig.close();
  });
});
