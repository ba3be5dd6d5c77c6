type Json = Record<string, unknown>;

interface Seeding {
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
}

/** A plan with a run of it, and their ids by the names that arguments have. */
export async function seedPlan({ run, say, contextId }: Seeding): Promise<Readonly<Record<string, string>>> {
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
  return { planId, executionId, stepId, nextStepId, dependencyId, methodId, freshId: crypto.randomUUID() };
}
