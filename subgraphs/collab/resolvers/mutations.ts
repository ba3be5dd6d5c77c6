import type { Coordination } from '../assignment/index.ts';
import type { Answer } from '../commands.ts';
import type { RequestContext } from '../context.ts';
import { participantPayload, resourcePayload } from '../payload.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';

/** What an earlier call of the same request may have read is read anew. */
async function after(context: RequestContext, pending: Promise<Answer>): Promise<Answer> {
  const answer = await pending;
  for (const loader of Object.values(context.loaders)) loader.clearAll();
  return answer;
}

const text = (answer: Answer, name: string): string => String(answer[name]);

async function collabPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  return { collaboration: await context.loaders.collaboration.load(text(answer, 'collabId')), userErrors: [] };
}

async function participantOf({ loaders }: RequestContext, answer: Answer) {
  const all = await loaders.allParticipants.load(text(answer, 'collabId'));
  const row = all.find(({ participantId }) => participantId === answer['participantId']);
  return row === undefined ? null : participantPayload(row);
}

async function partPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  return {
    collaboration: await context.loaders.collaboration.load(text(answer, 'collabId')),
    participant: await participantOf(context, answer),
    matchScore: (answer['matchScore'] as number | undefined) ?? null,
    userErrors: [],
  };
}

async function turnPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  const { loaders } = context;
  const [nextId, taskId] = [answer['nextTurnId'], answer['taskId']];
  return {
    turn: await loaders.turn.load(text(answer, 'turnId')),
    next: typeof nextId === 'string' ? await loaders.turn.load(nextId) : null,
    task: typeof taskId === 'string' ? await loaders.task.load(taskId) : null,
    collaboration: await loaders.collaboration.load(text(answer, 'collabId')),
    userErrors: [],
  };
}

async function broadcastPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  return { broadcast: await context.loaders.broadcast.load(text(answer, 'broadcastId')), userErrors: [] };
}

async function taskPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  return { task: await context.loaders.task.load(text(answer, 'taskId')), userErrors: [] };
}

async function decisionPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  return { decision: await context.loaders.decision.load(text(answer, 'decisionId')), userErrors: [] };
}

async function councilPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  const { loaders } = context;
  const [council, decision] = await Promise.all([
    loaders.council.load(text(answer, 'councilId')),
    loaders.decision.load(text(answer, 'decisionId')),
  ]);
  return { council, decision, userErrors: [] };
}

const isFound = <T>(item: T | null | Error): item is T => item !== null && !(item instanceof Error);

async function conflictsOf({ loaders }: RequestContext, answer: Answer) {
  const ids = (answer['conflictIds'] ?? []) as readonly string[];
  return (await loaders.conflict.loadMany([...ids])).filter(isFound);
}

async function conflictsPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  return { conflicts: await conflictsOf(context, answer), userErrors: [] };
}

async function conflictPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  return { conflict: await context.loaders.conflict.load(text(answer, 'conflictId')), userErrors: [] };
}

async function resourceAnswer(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  const row = await context.loaders.resource.load(text(answer, 'resourceId'));
  const resource = row === null ? null : resourcePayload(row);
  return {
    resource,
    allocation: resource?.allocations.find(({ id }) => id === answer['allocationId']) ?? null,
    conflicts: await conflictsOf(context, answer),
    userErrors: [],
  };
}

async function coordinationPayload(context: RequestContext, pending: Promise<Answer>) {
  const answer = await after(context, pending);
  const found = answer['coordination'] as Coordination;
  return {
    // Answers that are kept for repeated calls may be of before there were teams.
    assignments: found.assignments.map(({ agentId, helperIds = [], ...assignment }) => ({
      ...{ ...assignment, participantId: agentId, assignees: [agentId, ...helperIds] },
    })),
    avoidedParticipants: [...((answer['avoided'] as readonly string[] | undefined) ?? [])],
    unassigned: found.unassigned.map(({ taskId, reason }) => ({
      taskId,
      reason: reason.toUpperCase() as Uppercase<typeof reason>,
    })),
    criticalPath: [...found.criticalPath],
    makespanHours: found.makespanHours,
    latenessHours: found.latenessHours,
    utilisation: found.utilisation.map(({ agentId, ...one }) => ({ ...one, participantId: agentId })),
    evaluatedPairs: found.evaluated.pairs,
    evaluatedSchedules: found.evaluated.schedules,
    timeBudgetExhausted: found.timeBudgetExhausted ?? false,
    applied: answer['applied'] === true,
    collaboration: await context.loaders.collaboration.load(text(answer, 'collabId')),
    userErrors: [],
  };
}

export const mutations: MutationResolvers = {
  async createCollaboration(_parent, { input }, context) {
    const answer = await after(context, context.service.creation.create(context.scope, input));
    return {
      collaboration: await context.loaders.collaboration.load(text(answer, 'collabId')),
      capabilityGaps: [...(answer['capabilityGaps'] as readonly string[])],
      normalisedWeights: [...(answer['weights'] as readonly { participantId: string; weight: number }[])],
      userErrors: [],
    };
  },
  updateCollaboration: (_parent, { collabId, patch, ...options }, context) =>
    collabPayload(context, context.service.collaborations.update(context.scope, collabId, patch, options)),
  activateCollaboration: (_parent, { collabId, ...options }, context) =>
    collabPayload(context, context.service.collaborations.activate(context.scope, collabId, options)),
  suspendCollaboration: (_parent, { collabId, ...options }, context) =>
    collabPayload(context, context.service.collaborations.suspend(context.scope, collabId, options)),
  resumeCollaboration: (_parent, { collabId, ...options }, context) =>
    collabPayload(context, context.service.collaborations.resume(context.scope, collabId, options)),
  completeCollaboration: (_parent, { collabId, ...options }, context) =>
    collabPayload(context, context.service.collaborations.complete(context.scope, collabId, options)),
  cancelCollaboration: (_parent, { collabId, ...options }, context) =>
    collabPayload(context, context.service.collaborations.cancel(context.scope, collabId, options)),
  joinCollaboration: (_parent, { input }, context) =>
    partPayload(context, context.service.participants.join(context.scope, input)),
  leaveCollaboration: (_parent, { input }, context) =>
    partPayload(context, context.service.participants.leave(context.scope, input)),
  replaceCollabParticipant: (_parent, { input }, context) =>
    partPayload(context, context.service.participants.replace(context.scope, input)),
  updateCollabParticipant: (_parent, { input }, context) =>
    partPayload(context, context.service.participants.update(context.scope, input)),
  dispatchTurn: (_parent, { input }, context) =>
    turnPayload(context, context.service.turns.dispatch(context.scope, input)),
  completeTurn: (_parent, { input }, context) =>
    turnPayload(context, context.service.turns.complete(context.scope, input)),
  cancelTurn: (_parent, { input }, context) => turnPayload(context, context.service.turns.cancel(context.scope, input)),
  claimWork: (_parent, { input }, context) =>
    turnPayload(context, context.service.turns.claimWork(context.scope, input)),
  broadcast: (_parent, { input }, context) =>
    broadcastPayload(context, context.service.broadcasts.send(context.scope, input)),
  acknowledgeBroadcast: (_parent, { input }, context) =>
    broadcastPayload(context, context.service.broadcasts.acknowledge(context.scope, input)),
  coordinateTaskAssignment: (_parent, { input }, context) =>
    coordinationPayload(context, context.service.coordination.coordinate(context.scope, input)),
  updateCollabTask: (_parent, { input }, context) =>
    taskPayload(context, context.service.tasks.update(context.scope, input)),
  completeTask: (_parent, { input }, context) =>
    taskPayload(context, context.service.tasks.complete(context.scope, input)),
  reassignCollabTask: (_parent, { input }, context) =>
    taskPayload(context, context.service.tasks.reassign(context.scope, input)),
  proposeDecision: (_parent, { input }, context) =>
    decisionPayload(context, context.service.decisions.propose(context.scope, input)),
  reviewDecision: (_parent, { input }, context) =>
    decisionPayload(context, context.service.decisions.review(context.scope, input)),
  openVoting: (_parent, { input }, context) =>
    decisionPayload(context, context.service.decisions.open(context.scope, input)),
  castBallot: (_parent, { input }, context) =>
    decisionPayload(context, context.service.ballots.cast(context.scope, input)),
  delegateVote: (_parent, { input }, context) =>
    decisionPayload(context, context.service.ballots.delegate(context.scope, input)),
  finalizeDecision: (_parent, { input }, context) =>
    decisionPayload(context, context.service.decisions.finalize(context.scope, input)),
  makeDecision: (_parent, { input }, context) =>
    decisionPayload(context, context.service.decisions.make(context.scope, input)),
  withdrawDecision: (_parent, { input }, context) =>
    decisionPayload(context, context.service.decisions.withdraw(context.scope, input)),
  advanceDecision: (_parent, { input }, context) =>
    decisionPayload(context, context.service.decisions.advance(context.scope, input)),
  openCouncil: (_parent, { input }, context) =>
    councilPayload(context, context.service.councils.open(context.scope, input)),
  openCouncilRound: (_parent, { input }, context) =>
    councilPayload(context, context.service.councils.openRound(context.scope, input)),
  closeCouncil: (_parent, { input }, context) =>
    councilPayload(context, context.service.councils.close(context.scope, input)),
  putCollabResource: (_parent, { input }, context) =>
    resourceAnswer(context, context.service.resources.put(context.scope, input)),
  claimCollabResource: (_parent, { input }, context) =>
    resourceAnswer(context, context.service.resources.claim(context.scope, input)),
  releaseCollabResource: (_parent, { input }, context) =>
    resourceAnswer(context, context.service.resources.release(context.scope, input)),
  detectConflicts: (_parent, { input }, context) =>
    conflictsPayload(context, context.service.conflicts.detect(context.scope, input)),
  raiseConflict: (_parent, { input }, context) =>
    conflictsPayload(context, context.service.conflicts.raise(context.scope, input)),
  resolveConflict: (_parent, { input }, context) =>
    conflictPayload(context, context.service.conflicts.resolve(context.scope, input)),
  acceptResolution: (_parent, { input }, context) =>
    conflictPayload(context, context.service.conflicts.accept(context.scope, input)),
  escalateConflict: (_parent, { input }, context) =>
    conflictPayload(context, context.service.conflicts.escalate(context.scope, input)),
  dismissConflict: (_parent, { input }, context) =>
    conflictPayload(context, context.service.conflicts.dismiss(context.scope, input)),
  async createCollabTasks(_parent, { input }, context) {
    const answer = await after(context, context.service.tasks.create(context.scope, input));
    const found = await context.loaders.task.loadMany([...(answer['taskIds'] as readonly string[])]);
    return { tasks: found.filter(isFound), userErrors: [] };
  },
  async requestRecommendations(_parent, { input }, context) {
    const answer = await after(context, context.service.recommendations.request(context.scope, input));
    const found = await context.loaders.recommendation.loadMany([
      ...(answer['recommendationIds'] as readonly string[]),
    ]);
    return {
      recommendations: found.filter(isFound),
      timeBudgetExhausted: answer['timeBudgetExhausted'] === true,
      userErrors: [],
    };
  },
  async feedbackOnRecommendation(_parent, { input }, context) {
    const answer = await after(context, context.service.recommendations.feedback(context.scope, input));
    return {
      recommendation: await context.loaders.recommendation.load(text(answer, 'recommendationId')),
      applied: answer['applied'] === true,
      userErrors: [],
    };
  },
};
