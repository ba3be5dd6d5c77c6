import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { type Subscription, subscribe } from '../support/subscribe.ts';

interface Update {
  readonly coordinationUpdate: { readonly cursor: string; readonly sequence: number; readonly type: string };
}

const follow =
  'subscription ($id: ID!, $after: String) { coordinationUpdate(collabId: $id, after: $after) { cursor sequence type turn { number status participantId } status } }';
const errors = 'userErrors { code message }';

describe.each(modes)('a session, %s', (mode) => {
  let platform: Platform;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const subject of ['ann', 'bob', 'cat'])
      tokens[subject] = await platform.token({ tenant: 'collab', subject, roles: ['member'] });
  });
  afterAll(() => platform?.close());

  async function act<Payload>(who: string, field: string, type: string, input: object, selection: string) {
    const answer = await platform.query<Record<string, Payload & { userErrors: unknown[] }>>(
      `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} ${errors} } }`,
      { input },
      { token: tokens[who]! },
    );
    expect([field, answer.errors, answer.data?.[field]?.userErrors]).toEqual([field, [], []]);
    return answer.data![field]!;
  }

  test('in a context, seen from it; its stream is cut and resumed without gap or repeat', async () => {
    const { context } = await act<{ context: { id: string } }>(
      'ann',
      'createContext',
      'CreateContextInput',
      { title: 'Collab', root: { domain: 'test', environment: 'e2e', entryPoint: 'x' } },
      'context { id }',
    );
    const participants = ['ann', 'bob', 'cat'].map((participantId) => ({
      participantId,
      kind: 'AGENT',
      roleId: 'worker',
    }));
    const { collaboration } = await act<{ collaboration: { id: string; cursor: string } }>(
      'ann',
      'createCollaboration',
      'CreateCollaborationInput',
      {
        contextId: context.id,
        title: 'Round',
        purpose: 'to go round',
        mode: 'ROUND_ROBIN',
        participants,
        activate: true,
      },
      'collaboration { id cursor }',
    );
    const { id } = collaboration;
    const streams: Subscription<Update>[] = [];
    const listen = (after: string) => {
      const stream = subscribe<Update>({
        url: platform.url,
        token: tokens['bob']!,
        query: follow,
        variables: { id, after },
      });
      streams.push(stream);
      return stream;
    };
    const first = listen(collaboration.cursor);
    let { turn } = await act<{ turn: { id: string; participantId: string } | null }>(
      'ann',
      'dispatchTurn',
      'DispatchTurnInput',
      { collabId: id },
      'turn { id participantId }',
    );
    const pass = async () => {
      const done = await act<{ next: { id: string; participantId: string } | null }>(
        turn!.participantId,
        'completeTurn',
        'CompleteTurnInput',
        { turnId: turn!.id, result: { ok: true } },
        'next { id participantId }',
      );
      turn = done.next;
    };
    for (let step = 0; step < 3; step += 1) await pass();
    await first.until((seen) => seen.length >= 5);
    const seen = first.payloads.map(({ coordinationUpdate }) => coordinationUpdate).slice(0, 5);
    await first.close();
    // What happens while nobody listens is told afterwards.
    for (let step = 0; step < 4; step += 1) await pass();
    const second = listen(seen.at(-1)!.cursor);
    for (let step = 0; step < 3; step += 1) await pass();
    await second.until((events) => events.length >= 16);
    const rest = second.payloads.map(({ coordinationUpdate }) => coordinationUpdate);
    await second.close();
    expect([...streams.flatMap((stream) => stream.errors)]).toEqual([]);
    const sequences = [...seen, ...rest].map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.map((_, at) => sequences[0]! + at));
    // One dispatch, ten completions, each with the next dispatch.
    expect(sequences.length).toBe(21);
    const found = await platform.query<{ context: { collaborations: { nodes: unknown[] } } }>(
      'query ($id: ID!) { context(contextId: $id) { title collaborations { totalCount nodes { id context { title } participantCount document } } } }',
      { id: context.id },
      { token: tokens['cat']! },
    );
    expect(found.errors).toEqual([]);
    expect(found.data!.context.collaborations).toMatchObject({
      totalCount: 1,
      nodes: [
        { id, context: { title: 'Collab' }, participantCount: 3, document: { collab_id: id, context_id: context.id } },
      ],
    });
  }, 60_000);

  test('a vote by the three of them, and what a document brings in is a session', async () => {
    const { context } = await act<{ context: { id: string } }>(
      'ann',
      'createContext',
      'CreateContextInput',
      { title: 'Votes', root: { domain: 'test', environment: 'e2e', entryPoint: 'x' } },
      'context { id }',
    );
    const collabId = crypto.randomUUID();
    const object = {
      meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
      collab_id: collabId,
      context_id: context.id,
      title: 'Imported',
      purpose: 'to vote',
      mode: 'orchestrated',
      status: 'active',
      participants: ['ann', 'bob', 'cat'].map((participant_id) => ({
        participant_id,
        kind: 'agent',
        role_id: 'voter',
      })),
      created_at: '2026-01-01T00:00:00Z',
    };
    const imported = await platform.query<{ importProtocolObject: { ok: boolean } }>(
      'mutation ($object: JSON!) { importProtocolObject(module: COLLAB, object: $object) { ok errors { path message } } }',
      { object },
      { token: await platform.token({ tenant: 'collab', subject: 'ann', roles: ['admin'] }) },
    );
    expect([imported.errors, JSON.stringify(imported.data)]).toEqual([[], expect.stringContaining('"ok":true')]);
    const { decision } = await act<{ decision: { id: string } }>(
      'bob',
      'proposeDecision',
      'ProposeDecisionInput',
      {
        collabId,
        title: 'Which?',
        type: 'TACTICAL',
        impact: 0.1,
        options: [
          { id: 'a', label: 'A' },
          { id: 'b', label: 'B' },
        ],
        rules: { method: 'RANKED' },
      },
      'decision { id }',
    );
    await act('ann', 'openVoting', 'OpenVotingInput', { decisionId: decision.id }, 'decision { status }');
    for (const [who, ranking] of [
      ['ann', ['a', 'b']],
      ['bob', ['b', 'a']],
      ['cat', ['b', 'a']],
    ] as const)
      await act(who, 'castBallot', 'CastBallotInput', { decisionId: decision.id, ranking }, 'decision { status }');
    const tally = await platform.query(
      'query ($id: ID!) { decisionTally(decisionId: $id) { ballotCount decision { status outcome winner collaboration { title } } } }',
      { id: decision.id },
      { token: tokens['cat']! },
    );
    expect([tally.errors, tally.data]).toEqual([
      [],
      {
        decisionTally: {
          ballotCount: 3,
          decision: { status: 'DECIDED', outcome: 'ADOPTED', winner: 'b', collaboration: { title: 'Imported' } },
        },
      },
    ]);
  }, 60_000);
});
