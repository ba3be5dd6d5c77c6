import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

interface StateChange {
  sharedStateChanges: { cursor: string; sequence: number; type: string; version: number; changedKeys: string[] };
}

const stateChanges = `subscription ($id: ID!, $after: String) {
  sharedStateChanges(contextId: $id, after: $after) { cursor sequence type version changedKeys changes }
}`;

interface Told {
  contextEvents: Readonly<Record<string, unknown>> & { cursor: string; sequence: number; type: string };
}

const everything = `subscription ($id: ID!, $types: [String!], $after: String) {
  contextEvents(contextId: $id, types: $types, after: $after) {
    cursor sequence type contextId timestamp actor changes reason
    context { id title status version participantCount }
    participant { id participantId agentId status notifications { email } version context { id } }
    session { id sessionId name status participantIds activeParticipantIds agentIds maxDurationMs isolationLevel startedAt endedAt durationMs version context { id } }
    sharedState { version checksum changedKeys changes }
    metadata { keys deletedKeys hiddenKeys }
  }
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
    while (live.payloads.length === 0) expect(await write(id, 'b', { baseVersion: version++ })).toEqual([]);
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

  it('tells everything of a context in one order, by type where one asks, and resumes from any cursor of it', async () => {
    const id = await create();
    const follow = (variables: object) =>
      subscribe<Told>({ url: platform.url, query: everything, variables: { id, ...variables } });
    const act = async (mutation: string): Promise<Record<string, { id: string }>> => {
      const answer = await platform.query<{ answer: Record<string, { id: string }> & { userErrors: unknown[] } }>(
        `mutation ($id: ID!) { answer: ${mutation} }`,
        { id },
      );
      expect([answer.errors, answer.data!.answer.userErrors]).toEqual([[], []]);
      return answer.data!.answer;
    };
    const live = follow({});
    let probes = 0;
    while (live.payloads.length === 0)
      await act(`updateContext(contextId: $id, patch: { title: "p${probes++}" }) { userErrors { code } }`);
    const some = follow({ types: ['context.session.*', 'context.metadata.updated'] });
    const state = subscribe<StateChange>({ url: platform.url, query: stateChanges, variables: { id } });
    // What these two hear first shows that they listen.
    for (probes = 0; some.payloads.length === 0 || state.payloads.length === 0; probes++) {
      await act('setMetadata(contextId: $id, entries: [{ key: "probe", value: 1 }]) { userErrors { code } }');
      await write(id, 'probe', { baseVersion: probes });
    }
    const told = live.payloads.length;

    await act('changeContextStatus(contextId: $id, status: SUSPENDED) { userErrors { code } }');
    await act('changeContextStatus(contextId: $id, status: ACTIVE) { userErrors { code } }');
    const { participant } = await act('joinContext(contextId: $id) { participant { id } userErrors { code } }');
    const { session } = await act(
      `createSession(input: { contextId: $id, name: "talk", participantIds: ["${participant!.id}"] }) { session { id } userErrors { code } }`,
    );
    await act(
      'setMetadata(contextId: $id, entries: [{ key: "open", value: 1 }, { key: "secret", value: 2, accessLevel: OWNER }, { key: "inside", value: 3, accessLevel: PARTICIPANTS }]) { userErrors { code } }',
    );
    await act('deleteMetadata(contextId: $id, keys: ["open", "secret"]) { userErrors { code } }');
    await write(id, 'last', { baseVersion: probes });
    await act(`endSession(contextId: $id, sessionId: "${session!.id}") { userErrors { code } }`);
    await act('leaveContext(contextId: $id) { userErrors { code } }');
    // What an event does not carry is read as it stands: of what is deleted there is nothing to read.
    await live.until((payloads) => payloads.at(-1)!.contextEvents.type === 'context.participant.left');
    await some.until((payloads) => payloads.at(-1)!.contextEvents.type === 'context.session.ended');
    await act('deleteContext(contextId: $id) { userErrors { code } }');
    await live.until((payloads) => payloads.at(-1)!.contextEvents.type === 'context.deleted');

    const events = live.payloads.map(({ contextEvents }) => contextEvents);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => events[0]!.sequence + index));
    const last = events.slice(-12);
    const parts = ['context', 'participant', 'session', 'sharedState', 'metadata'];
    expect(last.map((event) => [event.type, ...parts.filter((part) => event[part] !== null)])).toEqual([
      ['context.updated', 'context'],
      ['context.state.changed', 'context'],
      ['context.updated', 'context'],
      ['context.state.changed', 'context'],
      ['context.participant.joined', 'participant'],
      ['context.session.started', 'session'],
      ['context.metadata.updated', 'metadata'],
      ['context.metadata.updated', 'metadata'],
      ['context.state.sync', 'sharedState'],
      ['context.session.ended', 'session'],
      ['context.participant.left', 'participant'],
      ['context.deleted', 'context'],
    ]);
    expect(events.length).toBeGreaterThanOrEqual(told + 12);
    expect(last[1]).toMatchObject({
      changes: { status: 'SUSPENDED', from: 'ACTIVE' },
      context: { status: 'SUSPENDED' },
    });
    expect(last[4]!['participant']).toMatchObject({ id: participant!.id, status: 'ACTIVE', context: { id } });
    expect(last[5]!['session']).toMatchObject({ name: 'talk', status: 'ACTIVE', participantIds: [participant!.id] });
    // Of what is not for everyone nobody learns more than that it is there.
    expect([last[6]!['metadata'], last[7]!['metadata']]).toEqual([
      { keys: ['open'], deletedKeys: [], hiddenKeys: 2 },
      { keys: [], deletedKeys: ['open'], hiddenKeys: 1 },
    ]);
    expect(last[8]!['sharedState']).toMatchObject({
      changedKeys: ['variables.last'],
      changes: { 'variables.last': 'last' },
    });
    expect(last[9]!['session']).toMatchObject({ id: session!.id, status: 'COMPLETED', durationMs: expect.any(Number) });
    expect(live.errors).toEqual([]);

    const isAsked = ({ contextEvents: { type, sequence } }: Told) =>
      /^context\.(session\.|metadata\.)/.test(type) && sequence >= some.payloads[0]!.contextEvents.sequence;
    expect(some.payloads).toEqual(live.payloads.filter(isAsked));
    await Promise.all([live, some, state].map((one) => one.close()));

    await act('restoreContext(contextId: $id) { userErrors { code } }');
    const { cursor, sequence } = state.payloads.at(-1)!.sharedStateChanges;
    const resumed = follow({ after: cursor, types: ['context.session.*', 'context.restored'] });
    await resumed.until((payloads) => payloads.at(-1)?.contextEvents.type === 'context.restored');
    expect(resumed.payloads.slice(0, -1).map(({ contextEvents }) => contextEvents.sequence)).toEqual(
      events
        .filter((event) => event.sequence > sequence && event.type.startsWith('context.session.'))
        .map((event) => event.sequence),
    );
    await resumed.close();

    for (const types of [[], ['context.session'], ['plan.*'], [''], ['context.session.*', 'nothing']]) {
      const refused = follow({ types });
      await expect.poll(() => JSON.stringify(refused.errors)).toContain('VALIDATION_FAILED');
      expect(refused.payloads).toEqual([]);
      await refused.close();
    }
  });
});
