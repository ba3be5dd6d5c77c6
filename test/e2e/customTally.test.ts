import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readExamples } from '../../subgraphs/extension/examples/index.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

describe.each(modes)('the example tally counts a vote, %s', (mode) => {
  let platform: Platform;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    tokens['boss'] = await platform.token({ tenant: 'tally', subject: 'boss', roles: ['admin'] });
    for (const subject of ['ann', 'bob', 'cat', 'dan'])
      tokens[subject] = await platform.token({ tenant: 'tally', subject, roles: ['member'] });
  });
  afterAll(() => platform?.close());

  async function send<Payload>(who: string, field: string, type: string, input: object, selection: string) {
    const answer = await platform.query<Record<string, Payload & { userErrors: { code: string }[] }>>(
      `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code message } } }`,
      { input },
      { token: tokens[who]! },
    );
    expect([field, answer.errors]).toEqual([field, []]);
    return answer.data![field]!;
  }
  async function act<Payload>(who: string, field: string, type: string, input: object, selection = '') {
    const payload = await send<Payload>(who, field, type, input, selection);
    expect([field, payload.userErrors]).toEqual([field, []]);
    return payload;
  }

  test('with the voices that were passed on', async () => {
    const { voteTally } = await readExamples();
    const { context } = await act<{ context: { id: string } }>(
      'boss',
      'createContext',
      'CreateContextInput',
      { title: 'Tally', root: { domain: 'tally', environment: 'test' } },
      'context { id }',
    );
    const { manifest, bundle, ...shown } = voteTally;
    const { extension } = await act<{ extension: { id: string; capabilities: { id: string }[] } }>(
      'boss',
      'registerExtension',
      'RegisterExtensionInput',
      {
        ...{ ...shown, contextId: context.id },
        release: { manifest, bundle, checksum: createHash('sha256').update(bundle).digest('hex') },
      },
      'extension { id capabilities { id } }',
    );
    const extensionId = extension.id;
    await act('boss', 'installExtension', 'InstallExtensionInput', { extensionId });
    await act('boss', 'loadExtension', 'LoadExtensionInput', { extensionId });
    const { collaboration } = await act<{ collaboration: { id: string } }>(
      'boss',
      'createCollaboration',
      'CreateCollaborationInput',
      {
        ...{ contextId: context.id, title: 'Budget', purpose: 'to spend it', mode: 'ORCHESTRATED', activate: true },
        participants: ['ann', 'bob', 'cat', 'dan'].map((participantId) => ({
          ...{ participantId, kind: 'AGENT', roleId: 'voter' },
        })),
      },
      'collaboration { id }',
    );
    const proposal = (capabilityId: string) => ({
      ...{ collabId: collaboration.id, title: 'What for?', type: 'TACTICAL', impact: 0.1 },
      options: ['road', 'park', 'pool'].map((id) => ({ id, label: id })),
      rules: { method: 'CUSTOM', extension: { extensionId, capabilityId, method: 'tally' } },
    });
    const refused = await send('ann', 'proposeDecision', 'ProposeDecisionInput', proposal(extensionId), '');
    expect(refused.userErrors.map(({ code }) => code)).toEqual(['RULE_MISCONFIGURED']);
    const { decision } = await act<{ decision: { id: string } }>(
      'ann',
      'proposeDecision',
      'ProposeDecisionInput',
      proposal(extension.capabilities[0]!.id),
      'decision { id }',
    );
    const decisionId = decision.id;
    await act('boss', 'openVoting', 'OpenVotingInput', { decisionId });
    const allocate = (votes: Readonly<Record<string, number>>) =>
      Object.entries(votes).map(([optionId, count]) => ({ optionId, votes: count }));
    // 8 of ann's and bob's for the park, 10 of cat's for the road; dan's 11 would cost 121 of 100 credits.
    await act('bob', 'delegateVote', 'DelegateVoteInput', { decisionId, toParticipantId: 'ann' });
    for (const [who, votes] of [
      ['ann', { park: 8, pool: 6 }],
      ['cat', { road: 10 }],
      ['dan', { road: 11 }],
    ] as const)
      await act(who, 'castBallot', 'CastBallotInput', { decisionId, allocation: allocate(votes) });
    const { decision: decided } = await act<{ decision: object }>(
      'boss',
      'finalizeDecision',
      'CollabDecisionRefInput',
      { decisionId },
      'decision { status outcome winner result { heard turnout rationale standings { optionId support rank } } }',
    );
    expect(decided).toEqual({
      ...{ status: 'DECIDED', outcome: 'ADOPTED', winner: 'park' },
      result: {
        ...{ heard: 4, turnout: 1 },
        rationale: expect.stringContaining('Quadratic voting, 100 credits a voter; 1 spent more'),
        standings: [
          { optionId: 'park', support: 4, rank: 1 },
          { optionId: 'pool', support: 3, rank: 2 },
          { optionId: 'road', support: 2.5, rank: 3 },
        ],
      },
    });
  });
});
