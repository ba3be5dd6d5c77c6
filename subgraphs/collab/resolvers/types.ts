import { encodeCursor } from '#shared/cursor.ts';
import { isId } from '#shared/ids.ts';
import type { RequestContext } from '../context.ts';
import type { BallotRow } from '../decisionRows.ts';
import { toDocument } from '../document.ts';
import {
  broadcastPayload,
  collabView,
  conflictPayload,
  councilPayload,
  decisionView,
  participantPayload,
  recommendationPayload,
  resourcePayload,
  tallyPayload,
  taskPayload,
  turnPayload,
} from '../payload.ts';
import type { Resolvers } from '../resolvers.generated.ts';
import type { CollabDecisionRow } from '../rows.ts';
import { pageBelow } from './pages.ts';

/** Collaborations below an object: which of them are seen is the reader's own matter where there are private contexts. */
async function noteLists({ loaders }: RequestContext): Promise<void> {
  await loaders.listAccess.load('collaborations');
}

function ballotPayload({ voter, vote, delegateTo, rationale, revision, castAt }: BallotRow) {
  return {
    voter,
    optionId: vote?.kind === 'choice' ? vote.option : null,
    approvals: vote?.kind === 'approvals' ? [...vote.options] : null,
    ranking: vote?.kind === 'ranking' ? [...vote.order] : null,
    allocation:
      vote?.kind === 'allocation' ? Object.entries(vote.votes).map(([optionId, votes]) => ({ optionId, votes })) : null,
    abstain: vote?.kind === 'abstain',
    delegateTo,
    rationale,
    revision,
    castAt,
  };
}

/** What a vote stands at; null while its rules keep it secret. */
async function tallyOf({ row, collabId }: CollabDecisionRow, { loaders, service }: RequestContext) {
  if (row.result !== null) return tallyPayload(row.result);
  const { rules } = row;
  if (row.status !== 'voting' || rules.anonymity || !rules.transparency) return null;
  const [ballots, collab] = await Promise.all([loaders.ballots.load(row.id), loaders.collaboration.load(collabId)]);
  return tallyPayload(service.decisions.standing(row, ballots, collab?.coordination.coordinatorId ?? null));
}

export const types: Omit<Resolvers, 'Query' | 'Mutation'> = {
  Collaboration: {
    __resolveReference: ({ id }, { loaders }) => loaders.collaboration.load(id),
    context: ({ contextId }) => ({ id: contextId }),
    plan: ({ planId }) => (planId === null ? null : { id: planId }),
    dialog: ({ dialogId }) => (dialogId === null ? null : { id: dialogId }),
    network: ({ networkId }) => (networkId === null ? null : { id: networkId }),
    confirm: ({ confirmId }) => (confirmId === null ? null : { id: confirmId }),
    governance: ({ row: { governance } }) =>
      governance && {
        lifecyclePhase: governance.lifecyclePhase ?? null,
        truthDomain: governance.truthDomain ?? null,
        locked: governance.locked ?? false,
      },
    participants: ({ id }, args, { loaders }) => pageBelow(loaders.participants, id, args, participantPayload),
    tasks: ({ id }, args, { loaders }) => pageBelow(loaders.tasks, id, args, taskPayload),
    decisions: ({ id }, args, { loaders }) => pageBelow(loaders.decisions, id, args, decisionView),
    conflicts: ({ id }, args, { loaders }) => pageBelow(loaders.conflicts, id, args, conflictPayload),
    councils: ({ id }, args, { loaders }) => pageBelow(loaders.councils, id, args, councilPayload),
    recommendations: ({ id }, args, { loaders }) => pageBelow(loaders.recommendations, id, args, recommendationPayload),
    turns: ({ id }, args, { loaders }) => pageBelow(loaders.turns, id, args, turnPayload),
    broadcasts: ({ id }, args, { loaders }) => pageBelow(loaders.broadcasts, id, args, broadcastPayload),
    resources: async ({ id }, _args, { loaders }) => (await loaders.resources.load(id)).map(resourcePayload),
    cursor: async ({ id }, _args, { loaders }) => encodeCursor(id, await loaders.lastSequence.load(id)),
    document: async ({ id, row }, _args, { loaders }) => toDocument(row, await loaders.allParticipants.load(id)),
  },
  CollabParticipant: {
    role: ({ roleId }) => (roleId !== null && isId(roleId) ? { id: roleId } : null),
  },
  CollabTask: {
    __resolveReference: ({ id }, { loaders }) => loaders.task.load(id),
    collaboration: async ({ collabId }, _args, { loaders }) => (await loaders.collaboration.load(collabId))!,
  },
  CollabDecision: {
    __resolveReference: ({ id }, { loaders }) => loaders.decision.load(id),
    collaboration: async ({ collabId }, _args, { loaders }) => (await loaders.collaboration.load(collabId))!,
    confirm: ({ confirmId }) => (confirmId === null ? null : { id: confirmId }),
    council: ({ row }, _args, { loaders }) => {
      const id = row.councilId ?? row.advice?.councilId;
      return id === undefined ? null : loaders.council.load(id);
    },
    tally: (decision, _args, context) => tallyOf(decision, context),
    ballots: async ({ row }, _args, { loaders }) => {
      const isShown =
        !row.rules.anonymity && (row.result !== null || (row.status === 'voting' && row.rules.transparency));
      return isShown ? (await loaders.ballots.load(row.id)).map(ballotPayload) : [];
    },
    myBallot: async ({ row }, _args, { loaders, principal }) => {
      const [ballots, participants] = await Promise.all([
        loaders.ballots.load(row.id),
        loaders.allParticipants.load(row.collabId),
      ]);
      const own = new Set(
        participants.filter(({ agentId }) => agentId === principal.subject).map(({ participantId }) => participantId),
      );
      const mine = ballots.find(({ voter }) => own.has(voter));
      return mine === undefined ? null : ballotPayload(mine);
    },
  },
  CollabDecisionTally: {
    tally: ({ decision }, _args, context) => tallyOf(decision, context),
  },
  CollabCouncil: {
    __resolveReference: ({ id }, { loaders }) => loaders.council.load(id),
    collaboration: async ({ collabId }, _args, { loaders }) => (await loaders.collaboration.load(collabId))!,
    decision: async ({ decisionId }, _args, { loaders }) => (await loaders.decision.load(decisionId))!,
    conflict: ({ conflictId }, _args, { loaders }) => (conflictId === null ? null : loaders.conflict.load(conflictId)),
  },
  CollabConflict: {
    __resolveReference: ({ id }, { loaders }) => loaders.conflict.load(id),
    collaboration: async ({ collabId }, _args, { loaders }) => (await loaders.collaboration.load(collabId))!,
  },
  CollabRecommendation: {
    __resolveReference: ({ id }, { loaders }) => loaders.recommendation.load(id),
    collaboration: async ({ collabId }, _args, { loaders }) => (await loaders.collaboration.load(collabId))!,
  },
  Context: {
    __resolveReference: ({ id }) => ({ id }),
    collaborations: async ({ id }, args, context) => {
      context.scope.readTags.add(`Context:${id}:collaborations`);
      await noteLists(context);
      return pageBelow(context.loaders.ofContext, id, args, collabView);
    },
  },
  Plan: {
    __resolveReference: ({ id }) => ({ id }),
    collaborations: async ({ id }, args, context) => {
      context.scope.readTags.add(`Plan:${id}:collaborations`);
      await noteLists(context);
      return pageBelow(context.loaders.ofPlan, id, args, collabView);
    },
  },
  Dialog: {
    __resolveReference: ({ id }) => ({ id }),
    collaborations: async ({ id }, args, context) => {
      context.scope.readTags.add(`Dialog:${id}:collaborations`);
      await noteLists(context);
      return pageBelow(context.loaders.ofDialog, id, args, collabView);
    },
  },
  Network: {
    __resolveReference: ({ id }) => ({ id }),
    collaborations: async ({ id }, args, context) => {
      context.scope.readTags.add(`Network:${id}:collaborations`);
      await noteLists(context);
      return pageBelow(context.loaders.ofNetwork, id, args, collabView);
    },
  },
  Role: {
    __resolveReference: ({ id }) => ({ id }),
    collaborations: async ({ id }, args, context) => {
      context.scope.readTags.add('collab-roles').add('collaborations');
      await noteLists(context);
      return pageBelow(context.loaders.ofRole, id, args, collabView);
    },
  },
  CollaborationConnection: { totalCount: (connection) => connection.count() },
};
