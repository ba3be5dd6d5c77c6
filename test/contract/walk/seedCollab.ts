type Json = Record<string, unknown>;

export interface CollabSeed {
  readonly run: (field: string, document: string, variables: Json, token?: string) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly ids: Readonly<Record<string, string>>;
  readonly owner: string;
  readonly other: string;
  readonly otherToken: string;
}

const errors = 'userErrors { code message path }';

/** A session under way: a turn, a broadcast, tasks, a council with a vote in its first round, a conflict about a resource, and advice. */
export async function seedCollab(seed: CollabSeed): Promise<Readonly<Record<string, string>>> {
  const { run, say, ids, owner, other, otherToken } = seed;
  const act = async (field: string, type: string, input: Json, selection: string, token?: string): Promise<Json> =>
    (await run(
      field,
      `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} ${errors} } }`,
      { input },
      token,
    )) as Json;
  const idOf = (payload: Json, name: string) =>
    (payload[name] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const idsOf = (payload: Json, name: string) =>
    ((payload[name] as { id: string }[] | null | undefined) ?? []).map(({ id }) => id);
  const part = (participantId: string) => ({
    participantId,
    kind: 'AGENT',
    roleId: ids['roleId'],
    displayName: say('participant'),
    capabilities: [say('capability')],
  });
  const created = await act(
    'createCollaboration',
    'CreateCollaborationInput',
    {
      contextId: ids['contextId'],
      planId: ids['planId'],
      dialogId: ids['dialogId'],
      networkId: ids['networkId'],
      confirmId: ids['confirmId'],
      title: say('collaboration'),
      purpose: say('purpose'),
      mode: 'ORCHESTRATED',
      participants: [part(owner), part(other)],
      objectives: [{ description: say('objective'), metrics: [{ name: say('metric'), target: 1 }] }],
      performanceTargets: [{ name: say('target'), target: 1 }],
      activate: true,
    },
    'collaboration { id }',
  );
  const collabId = idOf(created, 'collaboration');
  const turn = await act(
    'dispatchTurn',
    'DispatchTurnInput',
    { collabId, participantId: owner, instruction: { note: say('instruction') }, timeoutMs: 86_400_000 },
    'turn { id }',
  );
  const broadcast = await act(
    'broadcast',
    'BroadcastInput',
    { collabId, message: { note: say('announcement') }, timeoutMs: 86_400_000 },
    'broadcast { id }',
  );
  const tasks = idsOf(
    await act(
      'createCollabTasks',
      'CreateCollabTasksInput',
      {
        collabId,
        tasks: [1, 2, 3, 4].map((estimatedEffortHours) => ({
          name: say('collab task'),
          description: say('collab task described'),
          estimatedEffortHours,
        })),
      },
      'tasks { id }',
    ),
    'tasks',
  );
  for (const taskId of tasks.slice(1))
    await act('reassignCollabTask', 'ReassignCollabTaskInput', { taskId, toParticipantId: owner }, 'task { id }');
  const decision = await act(
    'proposeDecision',
    'ProposeDecisionInput',
    {
      collabId,
      title: say('decision'),
      description: say('decision described'),
      type: 'TACTICAL',
      options: [
        { id: 'this', label: say('option') },
        { id: 'that', label: say('another option') },
      ],
      rules: {
        method: 'MAJORITY',
        revisionAllowed: true,
        timeLimitMs: 86_400_000,
        council: { type: 'ADVISORY', maxSessionDurationMs: 86_400_000, delegationAllowed: true },
      },
    },
    'decision { id }',
  );
  const decisionId = idOf(decision, 'decision');
  const council = await act('openCouncil', 'OpenCouncilInput', { decisionId }, 'council { id }');
  await act(
    'castBallot',
    'CastBallotInput',
    { decisionId, optionId: 'this', rationale: say('vote') },
    'decision { id }',
    otherToken,
  );
  const resource = await act(
    'putCollabResource',
    'PutCollabResourceInput',
    { collabId, name: say('resource'), capacity: 10 },
    'resource { id }',
  );
  const resourceId = idOf(resource, 'resource');
  const claim = (token?: string) =>
    act(
      'claimCollabResource',
      'ClaimCollabResourceInput',
      { resourceId, amount: 8, start: '2099-01-01T00:00:00.000Z', end: '2099-01-02T00:00:00.000Z' },
      'allocation { allocationId } conflicts { id }',
      token,
    );
  const held = await claim();
  const allocationId =
    (held['allocation'] as { allocationId: string } | null | undefined)?.allocationId ?? crypto.randomUUID();
  const conflictId = idsOf(await claim(otherToken), 'conflicts')[0] ?? crypto.randomUUID();
  const advice = await act(
    'requestRecommendations',
    'RequestRecommendationsInput',
    { collabId, types: ['REASSIGN_TASK'], max: 1, minConfidence: 0 },
    'recommendations { id }',
  );
  return {
    collabId,
    turnId: idOf(turn, 'turn'),
    broadcastId: idOf(broadcast, 'broadcast'),
    collabTaskId: tasks[1] ?? crypto.randomUUID(),
    pendingTaskId: tasks[0] ?? crypto.randomUUID(),
    decisionId,
    councilId: idOf(council, 'council'),
    resourceId,
    collabAllocationId: allocationId,
    conflictId,
    recommendationId: idsOf(advice, 'recommendations')[0] ?? crypto.randomUUID(),
  };
}
