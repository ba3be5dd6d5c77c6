type Json = Record<string, unknown>;

interface Seeding {
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
}

/** A workflow with an execution that waits for a signal, and their ids by the names that arguments have. */
export async function seedCore({ run, say, contextId }: Seeding): Promise<Readonly<Record<string, string>>> {
  const errors = 'userErrors { code message path }';
  const idOf = (payload: Json, name: string) =>
    (payload[name] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const inner = idOf(
    await run(
      'createWorkflow',
      `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id } ${errors} } }`,
      { input: { name: say('inner'), definition: { steps: [{ stepId: 'wait', kind: 'SIGNAL', signal: 'walk' }] } } },
    ),
    'workflow',
  );
  const workflowId = idOf(
    await run(
      'createWorkflow',
      `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id } ${errors} } }`,
      {
        input: {
          name: say('workflow'),
          description: say('described'),
          definition: {
            steps: [
              { stepId: 'said', kind: 'PASS', input: { note: say('output') } },
              { stepId: 'sub', kind: 'WORKFLOW', workflowId: inner },
              { stepId: 'wait', kind: 'SIGNAL', signal: 'walk', heartbeatMs: 3_600_000, dependsOn: ['said'] },
            ],
          },
        },
      },
    ),
    'workflow',
  );
  const start = async (input: Json) =>
    idOf(
      await run(
        'executeWorkflow',
        `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } ${errors} } }`,
        { input: { workflowId, input: { note: say('input') }, ...input } },
      ),
      'execution',
    );
  const workflowExecutionId = await start({ contextId });
  const pausedWorkflowExecutionId = await start({});
  await run('pauseWorkflow', `mutation ($id: ID!) { pauseWorkflow(executionId: $id) { ${errors} } }`, {
    id: pausedWorkflowExecutionId,
  });
  await run(
    'putResourceNode',
    `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { ${errors} } }`,
    { input: { name: say('node'), capacity: { cpuCores: 100, memoryMb: 1_000 } } },
  );
  const allocationId = idOf(
    await run(
      'allocateResources',
      `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id } ${errors} } }`,
      { input: { contextId, purpose: say('purpose'), requirements: { cpuCores: 1 }, durationMs: 86_400_000 } },
    ),
    'allocation',
  );
  // The second one is there to leave.
  for (const agentId of ['newcomer', 'leaver'])
    await run(
      'registerAgent',
      `mutation ($input: RegisterCoreAgentInput!) { registerAgent(input: $input) { ${errors} } }`,
      {
        input: {
          ...{ agentId, name: say('agent'), capabilities: ['walk capability'] },
          ...{ capacity: 4, ttlMs: 86_400_000 },
        },
      },
    );
  const manifestId = idOf(
    await run(
      'createManifest',
      `mutation ($input: CreateCoreManifestInput!) { createManifest(input: $input) { manifest { id } ${errors} } }`,
      { input: { modules: [{ moduleId: 'CONTEXT', version: '1.0.0', description: say('module') }] } },
    ),
    'manifest',
  );
  const orchestrationRuleId = idOf(
    await run(
      'putOrchestrationRule',
      `mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { rule { id } ${errors} } }`,
      {
        input: {
          name: say('orchestration rule'),
          trigger: 'walk.begun',
          actions: [{ module: 'plan', action: 'approvePlan', input: { planId: `\${${'input.planId'}}` } }],
        },
      },
    ),
    'rule',
  );
  const orchestrationDecisionId = idOf(
    await run(
      'decideOrchestration',
      `mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { id } ${errors} } }`,
      { input: { eventType: 'walk.begun', data: { planId: crypto.randomUUID() }, contextId } },
    ),
    'decision',
  );
  const tunedWorkflowId = idOf(
    await run(
      'createWorkflow',
      `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id } ${errors} } }`,
      {
        input: {
          name: say('tuned workflow'),
          definition: { steps: [{ stepId: 'said', kind: 'PASS', input: { note: say('tuned output') } }] },
        },
      },
    ),
    'workflow',
  );
  for (let n = 0; n < 5; n += 1)
    await run(
      'executeWorkflow',
      `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } ${errors} } }`,
      { input: { workflowId: tunedWorkflowId, wait: true } },
    );
  const { run: tuned } = (await run(
    'optimizeWorkflow',
    `mutation ($input: OptimizeCoreWorkflowInput!) { optimizeWorkflow(input: $input) { run { runId } ${errors} } }`,
    { input: { workflowId: tunedWorkflowId } },
  )) as { run?: { runId: string } };
  const optimizationRunId = tuned?.runId ?? crypto.randomUUID();
  return {
    tunedWorkflowId,
    optimizationRunId,
    coreAllocationId: allocationId,
    manifestId,
    ...{ orchestrationRuleId, orchestrationDecisionId },
    workflowId,
    workflowExecutionId,
    pausedWorkflowExecutionId,
  };
}
