import { randomUUID } from 'node:crypto';
import type { Random } from '../load/random.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { agentName, type CollabSeed, largeCollabId } from '../seeds/collab.ts';

export interface CollabHeavyParams {
  readonly operation: 'coordination_decision' | 'ai_recommendation';
  readonly seed: CollabSeed;
  readonly voters: number;
  readonly options: number;
  /** Of who coordinates the large one. */
  readonly token: string;
}

const decide = `mutation Decide($input: MakeDecisionInput!) {
  makeDecision(input: $input) {
    decision { id status outcome winner gate result { standings { optionId rank share } turnout confidence dissent } }
    userErrors { code message }
  }
}`;
const advise = `mutation Advise($input: RequestRecommendationsInput!) {
  requestRecommendations(input: $input) {
    recommendations { id type action { moves { taskId from to } participantId capability turnId conflictId decisionId extendByMs } gain confidence wording before { name value } after { name value } }
    userErrors { code message }
  }
}`;

function shuffled(random: Random, ids: readonly string[]): readonly string[] {
  const order = [...ids];
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = random.integer(at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}

/** A decision by ranked votes of all, stored with them; advice out of a state with hundreds of tasks. */
export const createWorkload: CreateWorkload<CollabHeavyParams> = (params) => {
  const { operation, seed, voters, options, token } = params;
  const headers = { authorization: `Bearer ${token}` };
  const ids = Array.from({ length: options }, (_, at) => `option-${at + 1}`);
  const facts = { advised: 0, runs: 0 };

  const decision = (random: Random): GraphqlCall => ({
    query: decide,
    variables: {
      input: {
        collabId: largeCollabId(seed),
        title: `Question ${random.integer(1e9)}`,
        type: 'TACTICAL',
        impact: 0.1,
        options: ids.map((id) => ({ id, label: `Option ${id}` })),
        rules: { method: 'RANKED' },
        ballots: Array.from({ length: voters }, (_, at) => ({
          participantId: agentName(at),
          ranking: shuffled(random, ids),
        })),
        idempotencyKey: randomUUID(),
      },
    },
    headers,
    check(response) {
      const verdict = withoutUserErrors(response, 'makeDecision');
      if (verdict !== true) return verdict;
      facts.runs += 1;
      const winner = readPath(response.data, 'makeDecision', 'decision', 'winner');
      return (typeof winner === 'string' && ids.includes(winner)) || 'no option won';
    },
  });

  const recommendation = (): GraphqlCall => ({
    query: advise,
    variables: { input: { collabId: largeCollabId(seed), idempotencyKey: randomUUID() } },
    headers,
    check(response) {
      const verdict = withoutUserErrors(response, 'requestRecommendations');
      if (verdict !== true) return verdict;
      const found = readPath(response.data, 'requestRecommendations', 'recommendations');
      facts.runs += 1;
      facts.advised += Array.isArray(found) ? found.length : 0;
      return (Array.isArray(found) && found.length > 0) || 'nothing was advised';
    },
  });

  const next = operation === 'coordination_decision' ? decision : recommendation;
  return { operations: [{ name: operation, weight: 1, next } satisfies RequestOperation], facts: () => facts };
};
