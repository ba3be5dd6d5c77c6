import { consensusStatus, participantOf, resultOf, rulesOf, voteOf } from '../consensus/payload.ts';
import { requireConsensus, standingOf } from '../consensus/state.ts';
import type { ConfirmTargetType, Resolvers } from '../resolvers.generated.ts';
import { loadConsensus } from './queries.ts';
import { targetOf } from './target.ts';

export const consensusTypes: Pick<Resolvers, 'ConsensusProcess'> = {
  ConsensusProcess: {
    __resolveReference: ({ id }, context) => loadConsensus(context, id),
    status: (row) => consensusStatus(row),
    targetType: (row) => requireConsensus(row).targetType.toUpperCase() as ConfirmTargetType,
    targetId: (row) => requireConsensus(row).targetId,
    target: (row) => targetOf(requireConsensus(row)),
    context: (row) => (row.contextId === null ? null : { id: row.contextId }),
    initiator: (row) => row.requestedBy,
    options: (row) => [...requireConsensus(row).options],
    criteria: (row) => [...requireConsensus(row).criteria],
    rules: (row) => rulesOf(row) as never,
    participants: async (row, _args, { loaders }) => (await loaders.approvers.load(row.id)).map(participantOf),
    votes: async (row, _args, { loaders }) =>
      (await loaders.decisions.load(row.id)).map(voteOf).filter((vote) => vote !== null),
    standings: async (row, _args, { loaders }) => [...standingOf(row, await loaders.approvers.load(row.id)).standings],
    participation: async (row, _args, { loaders }) =>
      standingOf(row, await loaders.approvers.load(row.id)).participation,
    result: (row) => resultOf(row),
    deadline: (row) => row.expiresAt,
    confirm: (row) => row,
  },
};
