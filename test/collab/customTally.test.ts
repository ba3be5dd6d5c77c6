import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ann, bob, type CollabRig, cat, codesOf, dan, type Json, openCollabRig } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const selection =
  'decision { outcome winner note result { standings { optionId share } turnout dissent rationale tieBrokenBy } }';

/** A vote among ann, bob, cat and dan about a, b and c. */
async function vote(rules: object | null) {
  const id = await rig.session('ORCHESTRATED', ['bob', 'cat', 'dan']);
  const proposed = await rig.act(
    bob,
    'proposeDecision',
    {
      ...{ collabId: id, title: 'Which?', type: 'TACTICAL', impact: 0.1 },
      options: ['a', 'b', 'c'].map((option) => ({ id: option, label: option.toUpperCase() })),
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

describe('votes that extensions count', () => {
  test('where there is one it counts; where there is none the vote says why', async () => {
    const extension = { extensionId: crypto.randomUUID(), capabilityId: crypto.randomUUID(), method: 'count' };
    const { decisionId } = await vote({ method: 'CUSTOM', anonymity: true, extension });
    for (const who of [ann, bob, cat]) await cast(who, decisionId, { optionId: 'a' });
    const finalize = () => rig.mutate(ann, 'finalizeDecision', { decisionId }, selection);
    expect(codesOf(await finalize())).toEqual(['RULE_MISCONFIGURED']);
    let asked: unknown;
    const answer = (result: unknown) =>
      rig.answers.set('executeExtension', (variables) => {
        asked = variables;
        return { data: { executeExtension: { result, userErrors: [] } }, errors: [] };
      });
    answer({ winner: 'z' });
    expect(codesOf(await finalize())).toEqual(['RULE_MISCONFIGURED']);
    answer('nonsense');
    expect(codesOf(await finalize())).toEqual(['RULE_MISCONFIGURED']);
    answer({ winner: null, tied: ['a', 'z'] });
    expect(codesOf(await finalize())).toEqual(['RULE_MISCONFIGURED']);
    answer({
      winner: 'b',
      standings: [
        { option: 'b', support: 3 },
        { option: 'a', support: 1 },
      ],
      rationale: 'It counted backwards.',
    });
    expect(await finalize()).toMatchObject({
      decision: {
        outcome: 'ADOPTED',
        winner: 'b',
        result: {
          standings: [{ optionId: 'b', share: 0.75 }, { optionId: 'a' }, { optionId: 'c' }],
          rationale: expect.stringMatching(/B wins with 75.0 %\. It counted backwards\.$/),
        },
      },
    });
    expect(JSON.stringify(asked)).not.toMatch(/"voter":/);
    const unfit = await vote({ method: 'CUSTOM', extension });
    await cast(ann, unfit.decisionId, { optionId: 'a' });
    const outcomeOf = async (decisionId: string) => {
      const [row] = await rig.sql`SELECT status, outcome, note FROM collab.decision WHERE id = ${decisionId}`;
      return row;
    };
    // What is busy is asked again, what answers nonsense is not.
    rig.answers.set('executeExtension', () => ({
      data: {
        executeExtension: {
          result: null,
          userErrors: [{ code: 'CIRCUIT_OPEN', message: 'it failed too often of late', retryable: true }],
        },
      },
      errors: [],
    }));
    expect(codesOf(await rig.mutate(ann, 'finalizeDecision', { decisionId: unfit.decisionId }))).toEqual([
      'UNAVAILABLE',
    ]);
    await rig.elapse(unfit.id);
    expect(await outcomeOf(unfit.decisionId)).toMatchObject({ status: 'voting', outcome: null });
    answer({ winner: 'z' });
    await rig.elapse(unfit.id);
    expect(await outcomeOf(unfit.decisionId)).toEqual({
      ...{ status: 'decided', outcome: 'expired' },
      note: 'the extension that counts this vote answered z, which is no option',
    });
    rig.answers.clear();
    const late = await vote({ method: 'CUSTOM', extension });
    await cast(ann, late.decisionId, { optionId: 'a' });
    await rig.elapse(late.id);
    const { decisionTally } = await rig.ask(
      ann,
      'query ($id: ID!) { decisionTally(decisionId: $id) { decision { status outcome note } } }',
      { id: late.decisionId },
    );
    expect(decisionTally!['decision']).toEqual({
      ...{ status: 'DECIDED', outcome: 'EXPIRED' },
      note: expect.stringContaining('cannot be run'),
    });
  });

  test('an extension gets each vote with the voices that came to it; what ties there is broken by the rules', async () => {
    const extension = { extensionId: crypto.randomUUID(), capabilityId: crypto.randomUUID(), method: 'count' };
    const { decisionId } = await vote({
      method: 'CUSTOM',
      extension,
      quorum: { fraction: 1 },
      tieBreaks: ['EARLIEST'],
    });
    for (const [who, toParticipantId] of [
      [ann, 'bob'],
      [bob, 'cat'],
    ] as const)
      await rig.act(who, 'delegateVote', { decisionId, toParticipantId });
    await cast(dan, decisionId, { ranking: ['c', 'a'] });
    const allocation = [
      { optionId: 'b', votes: 3 },
      { optionId: 'a', votes: -1 },
    ];
    expect(codesOf(await cast(cat, decisionId, { allocation, abstain: true }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await cast(cat, decisionId, { allocation: [{ optionId: 'z', votes: 1 }] }))).toEqual([
      'VALIDATION_FAILED',
    ]);
    expect(codesOf(await cast(cat, decisionId, { allocation: [...allocation, allocation[0]] }))).toEqual([
      'VALIDATION_FAILED',
    ]);
    expect(codesOf(await cast(cat, decisionId, { allocation: [{ optionId: 'b', votes: 1_000_001 }] }))).toEqual([
      'VALIDATION_FAILED',
    ]);
    await cast(cat, decisionId, { allocation });
    let asked: Json | undefined;
    rig.answers.set('executeExtension', ({ input }) => {
      asked = (input as { parameters: Json }).parameters;
      return { data: { executeExtension: { result: { winner: null, tied: ['c', 'b'] }, userErrors: [] } }, errors: [] };
    });
    const done = await rig.mutate(
      ann,
      'finalizeDecision',
      { decisionId },
      selection.replace(/ }$/, ' ballots { voter allocation { optionId votes } } }'),
    );
    rig.answers.clear();
    expect([codesOf(done), asked]).toEqual([
      [],
      {
        options: ['a', 'b', 'c'].map((id) => ({ id, label: id.toUpperCase(), description: null, isStatusQuo: false })),
        criteria: [],
        voters: 4,
        ballots: [
          { voter: 'dan', weight: 0.25, voices: 1, vote: { kind: 'ranking', order: ['c', 'a'] } },
          { voter: 'cat', weight: 0.75, voices: 3, vote: { kind: 'allocation', votes: { a: -1, b: 3 } } },
        ],
      },
    ]);
    expect(done).toMatchObject({
      decision: {
        outcome: 'ADOPTED',
        winner: 'b',
        result: { turnout: 1, tieBrokenBy: 'EARLIEST', dissent: ['dan'] },
        ballots: expect.arrayContaining([
          expect.objectContaining({ voter: 'cat', allocation: expect.arrayContaining([{ optionId: 'b', votes: 3 }]) }),
        ]),
      },
    });
    const other = await vote(null);
    expect(codesOf(await cast(ann, other.decisionId, { allocation }))).toEqual(['RULE_MISCONFIGURED']);
  });

  test('what is to count has to be there when it is named: for a session, its change and a decision', async () => {
    const [extensionId, capabilityId] = [crypto.randomUUID(), crypto.randomUUID()];
    rig.answers.set('CustomCounter', ({ id }) => ({
      data: {
        extension:
          id === extensionId
            ? { capabilities: [{ id: capabilityId, interfaces: [{ methods: [{ methodName: 'count' }] }] }] }
            : null,
      },
      errors: [],
    }));
    const good = { extensionId, capabilityId, method: 'count' };
    const bad = [
      ['extensionId', { ...good, extensionId: crypto.randomUUID() }],
      ['capabilityId', { ...good, capabilityId: crypto.randomUUID() }],
      ['method', { ...good, method: 'weigh' }],
    ] as const;
    const collabId = await rig.session('ORCHESTRATED', ['bob']);
    const options = [
      { id: 'a', label: 'A' },
      { id: 'b', label: 'B' },
    ];
    const propose = (extension: object) =>
      rig.mutate(ann, 'proposeDecision', {
        ...{ collabId, title: 'Which?', type: 'TACTICAL', options },
        rules: { method: 'CUSTOM', extension },
      });
    const refusals = (payload: Json) => payload['userErrors']!.map((one) => [one['code'], one['path']]);
    for (const [field, extension] of bad)
      expect(refusals(await propose(extension))).toEqual([
        ['RULE_MISCONFIGURED', ['input', 'rules', 'extension', field]],
      ]);
    expect(codesOf(await propose({ ...good, capabilityId: 'tally' }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await propose(good))).toEqual([]);
    const [, wrong] = bad[1];
    const create = await rig.mutate(ann, 'createCollaboration', {
      ...{ contextId: rig.openContext(), title: 'T', purpose: 'p', mode: 'ORCHESTRATED' },
      participants: [{ participantId: 'ann', kind: 'AGENT', roleId: 'worker' }],
      decisionConfig: { method: 'CUSTOM', extension: wrong },
    });
    expect(refusals(create)).toEqual([
      ['RULE_MISCONFIGURED', ['input', 'decisionConfig', 'extension', 'capabilityId']],
    ]);
    const updated = await rig.ask(
      ann,
      'mutation ($id: ID!, $patch: CollaborationPatch!) { updateCollaboration(collabId: $id, patch: $patch) { userErrors { code path } } }',
      { id: collabId, patch: { decisionConfig: { method: 'CUSTOM', extension: wrong } } },
    );
    expect(refusals(updated['updateCollaboration']!)).toEqual([
      ['RULE_MISCONFIGURED', ['patch', 'decisionConfig', 'extension', 'capabilityId']],
    ]);
    rig.answers.clear();
  });
});
