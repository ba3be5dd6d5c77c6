import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admin, ann, bob, type CollabRig, cat, codesOf, dan, type Json, openCollabRig, principal } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const people = { ann, bob, cat, dan };
const selection =
  'decision { id status outcome winner gate version ballotCount deadline result { standings { optionId support share rank } turnout heard quorumMet dissent rationale tieBrokenBy usedFallback confidence } tally { heard standings { optionId support } } }';

async function vote(
  rules: object | null,
  { others = ['bob', 'cat', 'dan'], collab = {} }: { others?: readonly (string | object)[]; collab?: object } = {},
) {
  const id = await rig.session('ORCHESTRATED', others, collab as Record<string, unknown>);
  const proposed = await rig.act(
    bob,
    'proposeDecision',
    {
      collabId: id,
      title: 'Which?',
      type: 'TACTICAL',
      impact: 0.1,
      options: [
        { id: 'a', label: 'A' },
        { id: 'b', label: 'B' },
        { id: 'c', label: 'C' },
      ],
      ...(rules && { rules }),
    },
    'decision { id status }',
  );
  const decisionId = String(proposed['decision']!['id']);
  await rig.act(ann, 'openVoting', { decisionId });
  return { id, decisionId };
}
const cast = (who: typeof ann, decisionId: string, ballot: object) =>
  rig.mutate(who, 'castBallot', { decisionId, ...ballot }, selection);
const read = async (decisionId: string, who = ann): Promise<Json> =>
  (
    await rig.ask(
      who,
      `query ($id: ID!) { decisionTally(decisionId: $id) { ballotCount tally { heard } decision { id status outcome winner note ballots { voter optionId } myBallot { voter optionId } ${selection.slice(11, -2).replace('id status outcome winner', '')} } } }`,
      { id: decisionId },
    )
  )['decisionTally']!;

describe('votes', () => {
  test('a majority closes it as soon as nothing can change it; who comes later finds it closed', async () => {
    const { decisionId } = await vote(null);
    expect(await cast(ann, decisionId, { optionId: 'a' })).toMatchObject({
      decision: { status: 'VOTING', tally: { heard: 1 } },
    });
    await cast(bob, decisionId, { optionId: 'a' });
    const third = await cast(cat, decisionId, { optionId: 'a' });
    expect(third).toMatchObject({
      decision: {
        status: 'DECIDED',
        outcome: 'ADOPTED',
        winner: 'a',
        result: { turnout: 0.75, quorumMet: true, dissent: [] },
      },
      userErrors: [],
    });
    expect(codesOf(await cast(dan, decisionId, { optionId: 'b' }))).toEqual(['VOTE_CLOSED']);
    expect(codesOf(await rig.mutate(ann, 'finalizeDecision', { decisionId }))).toEqual(['VOTE_CLOSED']);
  });

  test('outside the electorate, twice, of the wrong kind, for what is no option, too late', async () => {
    const { id, decisionId } = await vote({ method: 'MAJORITY', abstentionAllowed: false });
    await rig.act(principal('eve'), 'joinCollaboration', {
      collabId: id,
      participant: { participantId: 'eve', kind: 'AGENT', roleId: 'worker' },
    });
    expect(codesOf(await cast(principal('eve'), decisionId, { optionId: 'a' }))).toEqual(['NOT_IN_ELECTORATE']);
    expect(codesOf(await cast(principal('fay'), decisionId, { optionId: 'a' }))).toEqual(['NOT_IN_ELECTORATE']);
    expect(codesOf(await cast(principal('fay', { tenantId: 'two' }), decisionId, { optionId: 'a' }))).toEqual([
      'NOT_FOUND',
    ]);
    expect(codesOf(await cast(bob, decisionId, { optionId: 'z' }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await cast(bob, decisionId, {}))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await cast(bob, decisionId, { optionId: 'a', abstain: true }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await cast(bob, decisionId, { abstain: true }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await cast(bob, decisionId, { ranking: ['a'] }))).toEqual(['RULE_MISCONFIGURED']);
    const twice = await Promise.all([
      cast(bob, decisionId, { optionId: 'a' }),
      cast(bob, decisionId, { optionId: 'b' }),
    ]);
    expect(twice.flatMap(codesOf)).toEqual(['REVISION_NOT_ALLOWED']);
    const key = { optionId: 'a', idempotencyKey: 'mine' };
    const [first, again] = [await cast(cat, decisionId, key), await cast(cat, decisionId, key)];
    expect([codesOf(first), codesOf(again)]).toEqual([[], []]);
    expect(await read(decisionId)).toMatchObject({ ballotCount: 2 });
    await rig.sql`UPDATE collab.decision SET deadline = now() - interval '1 second' WHERE id = ${decisionId}`;
    expect(codesOf(await cast(dan, decisionId, { optionId: 'a' }))).toEqual(['VOTE_CLOSED']);
  });

  test('weights are those of when it opened, whatever becomes of who takes part', async () => {
    const { id, decisionId } = await vote(
      { method: 'WEIGHTED', quorum: { fraction: 0.5 } },
      {
        others: [
          { participantId: 'bob', weight: 1 },
          { participantId: 'cat', weight: 0.2 },
          { participantId: 'dan', weight: 0.2 },
        ],
        collab: {
          participants: [
            { participantId: 'ann', kind: 'AGENT', roleId: 'r', weight: 0.2 },
            { participantId: 'bob', kind: 'AGENT', roleId: 'r', weight: 1 },
            { participantId: 'cat', kind: 'AGENT', roleId: 'r', weight: 0.2 },
            { participantId: 'dan', kind: 'AGENT', roleId: 'r', weight: 0.2 },
          ],
        },
      },
    );
    await rig.act(ann, 'updateCollabParticipant', { collabId: id, participantId: 'bob', weight: 0 });
    await cast(cat, decisionId, { optionId: 'a' });
    expect(await cast(bob, decisionId, { optionId: 'b' })).toMatchObject({
      decision: { status: 'DECIDED', winner: 'b' },
    });
  });

  test('voices are passed on; a circle is refused; a used voice stands', async () => {
    const { decisionId } = await vote({ method: 'MAJORITY', quorum: { fraction: 1 } });
    const give = (who: typeof ann, toParticipantId: string) =>
      rig.mutate(who, 'delegateVote', { decisionId, toParticipantId }, selection);
    expect(codesOf(await give(ann, 'bob'))).toEqual([]);
    expect(codesOf(await give(bob, 'cat'))).toEqual([]);
    expect(codesOf(await give(cat, 'ann'))).toEqual(['DELEGATION_CYCLE']);
    expect(codesOf(await give(cat, 'cat'))).toEqual(['DELEGATION_CYCLE']);
    expect(codesOf(await give(dan, 'nobody'))).toEqual(['NOT_IN_ELECTORATE']);
    // Not used yet: one's own vote comes before what one passed on.
    await cast(dan, decisionId, { optionId: 'b' });
    const done = await cast(cat, decisionId, { optionId: 'a' });
    expect(done).toMatchObject({ decision: { status: 'DECIDED', winner: 'a', result: { heard: 4, turnout: 1 } } });
    const open = await vote({ method: 'MAJORITY', quorum: { fraction: 1 } });
    await rig.act(ann, 'delegateVote', { decisionId: open.decisionId, toParticipantId: 'bob' });
    await cast(bob, open.decisionId, { optionId: 'a' });
    expect(codesOf(await cast(ann, open.decisionId, { optionId: 'b' }))).toEqual(['REVISION_NOT_ALLOWED']);
    const none = await vote({ method: 'MAJORITY', delegationAllowed: false });
    expect(
      codesOf(await rig.mutate(ann, 'delegateVote', { decisionId: none.decisionId, toParticipantId: 'bob' })),
    ).toEqual(['DELEGATION_FORBIDDEN']);
  });

  test('revisions where they are allowed: the last one counts, and only the deadline closes it, once', async () => {
    const { id, decisionId } = await vote({ method: 'APPROVAL', revisionAllowed: true });
    for (const who of Object.values(people)) await cast(who, decisionId, { approvals: ['a', 'b'] });
    for (const who of [ann, bob, cat]) await cast(who, decisionId, { approvals: ['b'] });
    expect(await read(decisionId)).toMatchObject({ decision: { status: 'VOTING' }, ballotCount: 4 });
    await rig.sql`UPDATE collab.decision SET deadline = now() - interval '1 second' WHERE id = ${decisionId}`;
    await rig.sql`UPDATE collab.collaboration SET next_deadline_at = now() - interval '1 second' WHERE id = ${id}`;
    await Promise.all([0, 1, 2, 3].map(() => rig.service.deadlines.meetOne('one', id)));
    expect(await read(decisionId)).toMatchObject({ decision: { status: 'DECIDED', winner: 'b' } });
    const events = await rig.stream(id);
    expect(events.filter(({ type }) => type === 'collab.decision.decided').length).toBe(1);
  });

  test('ranked by Schulze, a tie broken by the earliest, consensus with its fallback, too few', async () => {
    const ranked = await vote({ method: 'RANKED' });
    await cast(ann, ranked.decisionId, { ranking: ['a', 'b', 'c'] });
    await cast(bob, ranked.decisionId, { ranking: ['b', 'c', 'a'] });
    await cast(cat, ranked.decisionId, { ranking: ['b', 'a', 'c'] });
    expect(await cast(dan, ranked.decisionId, { ranking: ['a', 'b'] })).toMatchObject({
      decision: { outcome: 'ADOPTED', winner: 'a', result: { tieBrokenBy: 'EARLIEST' } },
    });
    const consensus = await vote({ method: 'CONSENSUS' });
    for (const [who, optionId] of [
      [ann, 'a'],
      [bob, 'a'],
      [cat, 'a'],
    ] as const)
      await cast(who, consensus.decisionId, { optionId });
    expect(await cast(dan, consensus.decisionId, { optionId: 'b' })).toMatchObject({
      decision: { winner: 'a', result: { usedFallback: true, dissent: ['dan'] } },
    });
    const few = await vote(null);
    await cast(ann, few.decisionId, { optionId: 'a' });
    expect(await rig.mutate(ann, 'finalizeDecision', { decisionId: few.decisionId }, selection)).toMatchObject({
      decision: { outcome: 'NO_QUORUM', winner: null, result: { quorumMet: false } },
    });
    expect(codesOf(await rig.mutate(bob, 'finalizeDecision', { decisionId: few.decisionId }))).toEqual([
      'PERMISSION_DENIED',
    ]);
  });
});

describe('secrecy', () => {
  test('of an anonymous vote nothing tells who voted what: answers, events, rows of the log', async () => {
    const { id, decisionId } = await vote({ method: 'MAJORITY', anonymity: true, quorum: { fraction: 1 } });
    for (const [who, optionId] of [
      [ann, 'a'],
      [bob, 'b'],
      [cat, 'a'],
      [dan, 'a'],
    ] as const) {
      const payload = await cast(who, decisionId, { optionId });
      if (who !== dan) expect(payload).toMatchObject({ decision: { tally: null, result: null } });
    }
    const seen = await read(decisionId, bob);
    expect(seen).toMatchObject({
      decision: { winner: 'a', ballots: [], myBallot: { voter: 'bob', optionId: 'b' }, result: { dissent: [] } },
    });
    const events = (await rig.stream(id)).filter(({ type }) => type === 'collab.ballot.cast');
    expect(events.map(({ actor, data }) => [actor, data['voterId'], data['standings']])).toEqual(
      Array.from({ length: 4 }, () => ['anonymous', null, null]),
    );
    const told = await rig.replay(bob, 'decisionTallyChanged', { collabId: id, decisionId });
    expect(
      told.filter((event) => String(event['type']) === 'collab.ballot.cast').map((event) => event['standings']),
    ).toEqual([null, null, null, null]);
    // The audit alone names who voted.
    const audit =
      await rig.sql`SELECT actor FROM collab.audit WHERE resource_id = ${id} AND action = 'collab.castBallot' ORDER BY created_at`;
    expect(audit.map(({ actor }) => actor)).toEqual(['ann', 'bob', 'cat', 'dan']);
  });

  test('a secret one shows who voted what when it is over, an open one at once', async () => {
    const secret = await vote({ method: 'MAJORITY', transparency: false, quorum: { fraction: 1 } });
    await cast(ann, secret.decisionId, { optionId: 'a' });
    expect(await read(secret.decisionId, bob)).toMatchObject({
      tally: null,
      decision: { ballots: [], myBallot: null },
    });
    for (const who of [bob, cat, dan]) await cast(who, secret.decisionId, { optionId: 'a' });
    expect((await read(secret.decisionId))['decision']!['ballots']!.length).toBe(4);
    const open = await vote(null);
    await cast(ann, open.decisionId, { optionId: 'a' });
    expect(await read(open.decisionId, bob)).toMatchObject({
      tally: { heard: 1 },
      decision: { ballots: [{ voter: 'ann', optionId: 'a' }] },
    });
  });
});

describe('what follows from a decision', () => {
  test('unsure ones ask people: an approval is requested, and its outcome carries the decision on', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', { participantId: 'hal', kind: 'HUMAN' }]);
    const made = await rig.act(
      ann,
      'makeDecision',
      {
        collabId: id,
        title: 'T',
        type: 'STRATEGIC',
        impact: 0.9,
        options: [
          { id: 'go', label: 'Go' },
          { id: 'no', label: 'No', statusQuo: true },
        ],
        ballots: ['ann', 'bob', 'hal'].map((participantId) => ({ participantId, optionId: 'go' })),
      },
      selection,
    );
    expect(made).toMatchObject({ decision: { status: 'DECIDED', winner: 'go', gate: 'CONFIRM' } });
    const decisionId = made['decision']!['id'];
    const requested = (await rig.stream(id)).find(({ type }) => type === 'approval.requested')!;
    expect(requested.data['approval']).toMatchObject({
      targetId: decisionId,
      requestedBy: 'ann',
      approvers: ['hal'],
      confirmationType: 'collab_decision',
    });
    expect(codesOf(await rig.mutate(ann, 'advanceDecision', { decisionId, status: 'IMPLEMENTED' }))).toEqual([
      'CONFIRM_PENDING',
    ]);
    const module = await rig.service.start();
    const confirmId = crypto.randomUUID();
    const { reference } = requested.data['approval'] as { reference: object };
    await rig.tell('confirm', confirmId, 'confirm.resolved', {
      confirm: {
        id: confirmId,
        requestEventId: crypto.randomUUID(),
        status: 'approved',
        confirmationType: 'collab_decision',
        targetId: decisionId,
        reference,
      },
    });
    // Transactions of others that began before hold events back until they are over.
    await expect
      .poll(
        async () => {
          await rig.service.catchUp();
          const input = { decisionId, status: 'IMPLEMENTED' };
          const moved = await rig.mutate(ann, 'advanceDecision', input, 'decision { status }');
          return moved['decision'];
        },
        { timeout: 10_000 },
      )
      .toMatchObject({ status: 'IMPLEMENTED' });
    expect(codesOf(await rig.mutate(bob, 'advanceDecision', { decisionId, status: 'REVIEWED' }))).toEqual([
      'PERMISSION_DENIED',
    ]);
    expect(
      await rig.mutate(admin, 'advanceDecision', { decisionId, status: 'REVIEWED' }, 'decision { status }'),
    ).toMatchObject({ decision: { status: 'REVIEWED' } });
    await module.close();
  });

  test('the status quo wins: rejected; a sure, harmless one goes by itself; a proposal is taken back', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', 'cat']);
    const make = (optionId: string) =>
      rig.act(
        ann,
        'makeDecision',
        {
          collabId: id,
          title: 'T',
          type: 'TACTICAL',
          impact: 0.1,
          options: [
            { id: 'go', label: 'Go' },
            { id: 'no', label: 'No', statusQuo: true },
          ],
          ballots: ['ann', 'bob', 'cat'].map((participantId) => ({ participantId, optionId })),
        },
        selection,
      );
    expect(await make('no')).toMatchObject({ decision: { outcome: 'REJECTED', winner: 'no' } });
    expect(await make('go')).toMatchObject({ decision: { outcome: 'ADOPTED', gate: 'AUTO' } });
    const refused = await rig.mutate(ann, 'makeDecision', {
      collabId: id,
      title: 'T',
      type: 'TACTICAL',
      options: [
        { id: 'go', label: 'Go' },
        { id: 'no', label: 'No' },
      ],
      ballots: [{ participantId: 'eve', optionId: 'go' }],
    });
    expect(codesOf(refused)).toEqual(['NOT_IN_ELECTORATE']);
    const { decisionId } = await vote(null);
    expect(codesOf(await rig.mutate(cat, 'withdrawDecision', { decisionId }))).toEqual(['PERMISSION_DENIED']);
    expect(await rig.mutate(bob, 'withdrawDecision', { decisionId }, 'decision { status outcome }')).toMatchObject({
      decision: { status: 'WITHDRAWN', outcome: 'WITHDRAWN' },
    });
  });
});

test('any order of votes, concurrent or not: one outcome, each voter once, no gap in the stream', async () => {
  const step = fc.record({
    who: fc.constantFrom(...(['ann', 'bob', 'cat', 'dan'] as const)),
    optionId: fc.constantFrom('a', 'b', 'c'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), fc.boolean(), async (steps, concurrent) => {
      const { id, decisionId } = await vote(null);
      const run = ({ who, optionId }: (typeof steps)[number]) => cast(people[who], decisionId, { optionId });
      const payloads: Json[] = [];
      if (concurrent) payloads.push(...(await Promise.all(steps.map(run))));
      else for (const one of steps) payloads.push(await run(one));
      const taken = payloads.filter((payload) => codesOf(payload).length === 0).length;
      const now = await read(decisionId);
      expect(Number(now['ballotCount'])).toBe(taken);
      expect(taken).toBe(new Set(now['decision']!['ballots']!.map((ballot) => String(ballot['voter']))).size);
      const events = await rig.stream(id);
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, at) => at + 1));
      expect(events.filter(({ type }) => type === 'collab.decision.decided').length).toBe(
        Number(String(now['decision']!['status']) === 'DECIDED'),
      );
    }),
    { numRuns: 15 },
  );
});
