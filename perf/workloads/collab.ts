import { randomUUID } from 'node:crypto';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { activeContext, agentName, type CollabSeed, collabId, creatorOf } from '../seeds/collab.ts';

export interface CollabParams {
  readonly seed: CollabSeed;
  /** Bearer tokens of the agents, by number. */
  readonly tokens: readonly string[];
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const read = `query Read($id: ID!) {
  collaboration(id: $id) {
    id title purpose mode status participantCount version objectives { description }
    participants(first: 20) { nodes { participantId kind roleId weight capabilities status } }
  }
}`;
const join = `mutation Join($input: JoinCollaborationInput!) {
  joinCollaboration(input: $input) {
    participant { participantId weight } matchScore collaboration { id participantCount } userErrors { code message }
  }
}`;
const create = `mutation Create($input: CreateCollaborationInput!) {
  createCollaboration(input: $input) {
    collaboration { id status participantCount } capabilityGaps normalisedWeights { participantId weight }
    userErrors { code message }
  }
}`;

/** Reads by Zipf; joins over all in turn, since one takes a hundred at most; new ones of ten participants. */
export const createWorkload: CreateWorkload<CollabParams> = ({ seed, tokens, mix }, { worker, workers }) => {
  const zipf = createZipf(seed.collaborations);
  const callers = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  let joined = worker;

  const next: Readonly<Record<string, RequestOperation['next']>> = {
    read_collaboration(random): GraphqlCall {
      const id = collabId(zipf.sample(random));
      return {
        query: read,
        variables: { id },
        headers: random.pick(callers),
        check({ data }) {
          const nodes = readPath(data, 'collaboration', 'participants', 'nodes');
          if (readPath(data, 'collaboration', 'id') !== id) return 'another collaboration came back';
          return (Array.isArray(nodes) && nodes.length >= seed.participantsEach) || 'its participants are missing';
        },
      };
    },
    join_collaboration(): GraphqlCall {
      const index = joined % seed.collaborations;
      joined += workers;
      const participantId = `joiner-${randomUUID()}`;
      return {
        query: join,
        variables: {
          input: {
            collabId: collabId(index),
            participant: { participantId, kind: 'AGENT', roleId: 'worker', capabilities: ['skill-1', 'skill-2'] },
            idempotencyKey: randomUUID(),
          },
        },
        headers: callers[creatorOf(index, seed)]!,
        check(response) {
          const verdict = withoutUserErrors(response, 'joinCollaboration');
          if (verdict !== true) return verdict;
          const who = readPath(response.data, 'joinCollaboration', 'participant', 'participantId');
          return who === participantId || 'another participant came back';
        },
      };
    },
    create_collaboration(random): GraphqlCall {
      const caller = random.integer(callers.length);
      const participants = Array.from({ length: seed.participantsEach }, (_, place) => ({
        participantId: agentName((caller + place) % Math.max(seed.participantsEach, seed.subjects)),
        kind: 'AGENT',
        roleId: 'worker',
        capabilities: [`skill-${place % 9}`],
        weight: 0.5,
      }));
      return {
        query: create,
        variables: {
          input: {
            contextId: activeContext(random.integer(seed.contexts), seed),
            title: `Collaboration ${random.integer(1e9)}`,
            purpose: 'to do it together',
            mode: 'ORCHESTRATED',
            participants,
            objectives: [{ description: 'done in time', requiredCapabilities: ['skill-1', 'skill-2'] }],
            activate: true,
            idempotencyKey: randomUUID(),
          },
        },
        headers: callers[caller]!,
        check(response) {
          const verdict = withoutUserErrors(response, 'createCollaboration');
          if (verdict !== true) return verdict;
          return readPath(response.data, 'createCollaboration', 'collaboration', 'status') === 'ACTIVE' || 'not active';
        },
      };
    },
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
  };
};
