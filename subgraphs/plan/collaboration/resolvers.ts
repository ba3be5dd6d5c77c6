import { isId } from '#shared/ids.ts';
import type { RequestContext } from '../context.ts';
import type { Resolvers } from '../resolvers.generated.ts';
import { participantsOf, shares, weights } from '../updatePayload.ts';
import { shapeChange } from './changeShape.ts';
import type { Contributed } from './contributions.ts';
import { tallyVotes } from './tally.ts';

async function sessionPayload({ loaders }: RequestContext, pending: Promise<string>) {
  const sessionId = await pending;
  for (const loader of Object.values(loaders)) loader.clearAll();
  return { session: await loaders.session.load(sessionId), userErrors: [] };
}

async function contributionPayload({ loaders }: RequestContext, pending: Promise<Contributed>) {
  const { contributionId, conflict } = await pending;
  for (const loader of Object.values(loaders)) loader.clearAll();
  const contribution = await loaders.contribution.load(contributionId);
  return {
    contribution,
    session: contribution && (await loaders.session.load(contribution.sessionId)),
    plan: contribution && (await loaders.plan.load(contribution.planId)),
    userErrors: conflict ? [{ ...conflict, path: conflict.path && [...conflict.path] }] : [],
  };
}

/** Null where the caller does not see its session. */
async function findContribution(loaders: RequestContext['loaders'], id: string) {
  const contribution = isId(id) ? await loaders.contribution.load(id) : null;
  return contribution && (await loaders.session.load(contribution.sessionId)) ? contribution : null;
}

type Roots = {
  readonly Query: Pick<Resolvers['Query'] & object, 'planSession' | 'planContribution'>;
  readonly Mutation: Resolvers['Mutation'] & object;
};

export const collaborationRoots: Roots = {
  Query: {
    planSession: (_parent, { sessionId }, { loaders }) => (isId(sessionId) ? loaders.session.load(sessionId) : null),
    planContribution: (_parent, { contributionId }, { loaders }) => findContribution(loaders, contributionId),
  },
  Mutation: {
    startPlanSession: (_parent, { input }, context) =>
      sessionPayload(context, context.service.sessions.start(context.scope, input)),
    changePlanParticipants: (_parent, { sessionId, ...options }, context) =>
      sessionPayload(context, context.service.sessions.changeParticipants(context.scope, sessionId, options)),
    closePlanSession: (_parent, { sessionId, ...options }, context) =>
      sessionPayload(context, context.service.sessions.close(context.scope, sessionId, options)),
    contributeToPlan: (_parent, { input }, context) =>
      contributionPayload(context, context.service.contributions.contribute(context.scope, input)),
    rebaseContribution: (_parent, { contributionId, ...options }, context) =>
      contributionPayload(context, context.service.contributions.rebase(context.scope, contributionId, options)),
    withdrawContribution: (_parent, { contributionId, ...options }, context) =>
      contributionPayload(context, context.service.contributions.withdraw(context.scope, contributionId, options)),
    voteOnContribution: (_parent, { contributionId, ...options }, context) =>
      contributionPayload(context, context.service.contributions.vote(context.scope, contributionId, options)),
    undoContribution: (_parent, { contributionId, ...options }, context) =>
      contributionPayload(context, context.service.contributions.undo(context.scope, contributionId, options)),
  },
};

export const collaborationTypes: Pick<Resolvers, 'PlanSession' | 'PlanContribution' | 'PlanContributionVote'> = {
  PlanSession: {
    __resolveReference: ({ id }, { loaders }) => loaders.session.load(id),
    sessionId: (row) => row.id,
    plan: (row, _args, { loaders }) => loaders.plan.load(row.planId),
    participants: (row) => participantsOf(row),
    consensusThreshold: (row) => row.threshold / shares,
    quorum: (row) => row.quorum / shares,
    contributions: async ({ id }, { status, first }, { loaders }) => [
      ...(await loaders.contributions.load(id, status ?? null, { first })).nodes,
    ],
  },
  PlanContribution: {
    __resolveReference: ({ id }, { loaders }) => findContribution(loaders, id),
    session: ({ sessionId }, _args, { loaders }) => loaders.session.load(sessionId),
    contributionId: (row) => row.id,
    change: ({ change, tenantId, planId }) => change && shapeChange(change, { tenantId, planId }),
    tally: async ({ id, electorate }, _args, { loaders }) => {
      const total = electorate.reduce((sum, { weight }) => sum + weight, 0);
      const { approving, rejecting, abstaining, undecided } = tallyVotes(total, await loaders.votes.load(id));
      return {
        ...{ approving: approving / weights, rejecting: rejecting / weights },
        ...{ abstaining: abstaining / weights, undecided: undecided / weights },
        share: approving + rejecting === 0 ? null : approving / (approving + rejecting),
        participation: (total - undecided) / total,
      };
    },
    votes: async ({ id }, _args, { loaders }) => [...(await loaders.votes.load(id))],
  },
  PlanContributionVote: {
    votingWeight: ({ weight }) => weight / weights,
  },
};
