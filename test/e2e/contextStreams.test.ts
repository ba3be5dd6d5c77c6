import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

interface StateChange {
  sharedStateChanges: { cursor: string; sequence: number; type: string; version: number; changedKeys: string[] };
}

const stateChanges = `subscription ($id: ID!, $after: String) {
  sharedStateChanges(contextId: $id, after: $after) { cursor sequence type version changedKeys changes }
}`;

describe.each(modes)('streams of a context, %s', (mode) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
  });
  afterAll(async () => {
    await platform.close();
  });

  async function create(): Promise<string> {
    const answer = await platform.query<{ createContext: { context: { id: string } } }>(
      'mutation { createContext(input: { title: "start", root: { domain: "d", environment: "e" } }) { context { id } } }',
    );
    return answer.data!.createContext.context.id;
  }

  async function write(contextId: string, key: string, input: Readonly<Record<string, unknown>>): Promise<string[]> {
    const answer = await platform.query<{ updateSharedState: { userErrors: { code: string }[] } }>(
      'mutation ($input: UpdateSharedStateInput!) { updateSharedState(input: $input) { userErrors { code } } }',
      { input: { contextId, changes: [{ key: `variables.${key}`, value: key }], ...input } },
    );
    return answer.data!.updateSharedState.userErrors.map(({ code }) => code);
  }

  it('tells of refused writers, at once and to who resumes', async () => {
    const id = await create();
    expect(await write(id, 'a', { baseVersion: 0 })).toEqual([]);
    const live = subscribe<StateChange>({ url: platform.url, query: stateChanges, variables: { id } });
    const told = (payloads: readonly StateChange[]) =>
      payloads.map(({ sharedStateChanges: one }) => [one.sequence, one.type, one.version, one.changedKeys]);
    // The first event it hears shows that it listens.
    let version = 1;
    const listening = expect.poll(async () => {
      if (live.payloads.length > 0) return true;
      expect(await write(id, 'b', { baseVersion: version++ })).toEqual([]);
      return false;
    });
    await listening.toBe(true);
    const first = live.payloads[0]!.sharedStateChanges;
    const head = live.payloads.at(-1)!.sharedStateChanges;

    expect(await write(id, 'a', { baseVersion: 0, policy: 'REJECT' })).toEqual(['SYNC_CONFLICT']);
    await live.until((payloads) => payloads.at(-1)!.sharedStateChanges.type === 'context.state.conflict');
    expect(await write(id, 'c', { baseVersion: version })).toEqual([]);
    await live.until((payloads) => payloads.at(-1)!.sharedStateChanges.changedKeys.includes('variables.c'));
    const conflict = live.payloads.at(-2)!.sharedStateChanges;
    expect(told(live.payloads.slice(-2))).toEqual([
      [version + 2, 'context.state.conflict', version, ['variables.a']],
      [version + 3, 'context.state.sync', version + 1, ['variables.c']],
    ]);
    expect(head.sequence).toBeLessThan(conflict.sequence);

    // Behind an event before it, it comes again; behind itself, only what follows.
    for (const [after, from] of [
      [first.cursor, 1],
      [conflict.cursor, live.payloads.length - 1],
    ] as const) {
      const resumed = subscribe<StateChange>({ url: platform.url, query: stateChanges, variables: { id, after } });
      await resumed.until((payloads) => payloads.length >= live.payloads.length - from);
      expect(resumed.payloads).toEqual(live.payloads.slice(from));
      await resumed.close();
    }
    expect(live.errors).toEqual([]);
    await live.close();
  });
});
