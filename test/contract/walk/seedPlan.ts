type Json = Record<string, unknown>;

interface Seeding {
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
  readonly owner: string;
}

/** A plan with a run of it, and their ids by the names that arguments have. */
export async function seedPlan({ run, say, contextId, owner }: Seeding): Promise<Readonly<Record<string, string>>> {
  const errors = 'userErrors { code message path }';
  const [stepId, nextStepId, dependencyId] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  const created = await run(
    'createPlan',
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
    {
      input: {
        contextId,
        title: say('plan'),
        objective: say('objective'),
        steps: [
          { id: stepId, description: say('step') },
          { id: nextStepId, description: say('next step') },
        ],
        dependencies: [{ id: dependencyId, sourceId: stepId, targetId: nextStepId }],
      },
    },
  );
  const planId = (created['plan'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  await run('approvePlan', `mutation ($id: ID!) { approvePlan(planId: $id) { ${errors} } }`, { id: planId });
  const started = await run(
    'executePlan',
    `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } ${errors} } }`,
    { input: { planId } },
  );
  const executionId = (started['execution'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const method = await run(
    'createPlanMethod',
    `mutation ($input: CreatePlanMethodInput!) { createPlanMethod(input: $input) { method { id } ${errors} } }`,
    { input: { task: 'walk_task', name: say('method'), step: { description: say('primitive') } } },
  );
  const methodId = (method['method'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const drafted = await run(
    'createPlan',
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
    { input: { contextId, title: say('draft'), objective: say('objective'), steps: [{ description: say('step') }] } },
  );
  const draftId = (drafted['plan'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const opened = await run(
    'startPlanSession',
    `mutation ($input: StartPlanSessionInput!) { startPlanSession(input: $input) { session { id } ${errors} } }`,
    { input: { planId: draftId, participants: [{ subject: owner }, { subject: 'newcomer' }] } },
  );
  const planSessionId = (opened['session'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const made = await run(
    'contributeToPlan',
    `mutation ($input: ContributeToPlanInput!) { contributeToPlan(input: $input) { contribution { id } ${errors} } }`,
    {
      input: {
        sessionId: planSessionId,
        planVersion: 1,
        change: { addSteps: [{ description: say('contributed step') }] },
        rationale: say('rationale'),
      },
    },
  );
  const contributionId = (made['contribution'] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const collaborating = { draftId, planSessionId, contributionId };
  return {
    ...collaborating,
    planId,
    executionId,
    stepId,
    nextStepId,
    dependencyId,
    methodId,
    freshId: crypto.randomUUID(),
  };
}
