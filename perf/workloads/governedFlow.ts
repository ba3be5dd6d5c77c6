import { randomUUID } from 'node:crypto';
import type { Random } from '../load/random.ts';
import { type CreateWorkload, readPath, type ServiceOperation, type Verdict } from '../load/workload.ts';

export interface GovernedFlowParams {
  readonly url: string;
  /** Makes roles and contexts, assigns, proposes and starts. */
  readonly manager: string;
  /** Decide on plans. */
  readonly reviewers: readonly { readonly subject: string; readonly token: string }[];
  readonly agents: readonly { readonly subject: string; readonly token: string }[];
}

const agentsPerFlow = 3;
const pollMs = 100;
const maxPolls = 200;

const errors = 'userErrors { code message }';
const documents = {
  createRole: `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } ${errors} } }`,
  assignRole: `mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { status } ${errors} } }`,
  createContext: `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
  createPlan: `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
  createApproval: `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id } ${errors} } }`,
  processApproval: `mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { confirm { status } ${errors} } }`,
  executePlan: `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } ${errors} } }`,
  claimStep: `mutation ($id: ID!, $agent: ID!, $role: String!, $key: String!) {
    claimStep(executionId: $id, agentId: $agent, roles: [$role], idempotencyKey: $key) {
      lease { executionId stepId epoch } execution { status } ${errors} } }`,
  completeStep: `mutation ($lease: StepLeaseInput!, $key: String!) {
    completeStep(lease: $lease, result: { done: true }, idempotencyKey: $key) { step { status } ${errors} } }`,
  plan: 'query ($id: ID!) { plan(planId: $id) { status } }',
  context: 'query ($id: ID!) { context(contextId: $id) { traces(first: 5) { nodes { id status spanCount } } } }',
} as const;

/**
 * A whole piece of governed work: context, role, plan of four steps, approval rejected and then given, execution by
 * three agents, its trace read. A flow is over when its plan is COMPLETED; what it waits for it polls every 100 ms.
 */
export const createWorkload: CreateWorkload<GovernedFlowParams> = async ({ url, manager, reviewers, agents }) => {
  const facts = { flows: 0, requests: 0, polls: 0 };

  async function ask(
    field: keyof typeof documents,
    variables: object,
    token: string,
    { expected }: { readonly expected?: string } = {},
  ): Promise<unknown> {
    facts.requests += 1;
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: documents[field], variables }),
    });
    const answer = (await response.json()) as { data?: unknown; errors?: unknown };
    const payload = readPath(answer.data, field);
    const refused = readPath(payload, 'userErrors') as readonly { readonly code: string }[] | undefined;
    if (expected !== undefined && refused?.[0]?.code === expected) return null;
    if (answer.errors !== undefined || (refused?.length ?? 0) > 0)
      throw new Error(`${field}: ${JSON.stringify(answer.errors ?? refused).slice(0, 300)}`);
    return payload;
  }

  async function createRole(name: string, permissions: readonly { resourceType: string; actions: string[] }[]) {
    const input = { name: `${name}_${randomUUID().slice(0, 8)}`, permissions };
    return String(readPath(await ask('createRole', { input }, manager), 'role', 'id'));
  }
  const reviewer = await createRole('reviewer', [
    { resourceType: 'confirm', actions: ['read', 'approve'] },
    { resourceType: 'plan', actions: ['approve'] },
  ]);
  const worker = await createRole('worker', [{ resourceType: 'plan', actions: ['read', 'work'] }]);
  for (const { subject } of reviewers)
    await ask('assignRole', { input: { roleId: reviewer, subjectId: subject } }, manager);
  for (const { subject } of agents) await ask('assignRole', { input: { roleId: worker, subjectId: subject } }, manager);

  async function reach(planId: string, status: string): Promise<void> {
    for (let poll = 0; poll < maxPolls; poll += 1) {
      facts.polls += 1;
      if (readPath(await ask('plan', { id: planId }, manager), 'status') === status) return;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    throw new Error(`the plan did not become ${status} in ${(maxPolls * pollMs) / 1000} s`);
  }

  async function work(executionId: string, { subject, token }: { subject: string; token: string }): Promise<number> {
    for (let done = 0; ; ) {
      const variables = { id: executionId, agent: subject, role: worker, key: randomUUID() };
      // A run that has ended hands nothing out any more.
      const claimed = await ask('claimStep', variables, token, { expected: 'EXECUTION_NOT_ACTIVE' });
      if (claimed === null) return done;
      const lease = readPath(claimed, 'lease');
      if (lease != null) {
        await ask('completeStep', { lease, key: randomUUID() }, token);
        done += 1;
      } else if (readPath(claimed, 'execution', 'status') === 'RUNNING')
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      else return done;
    }
  }

  async function run(random: Random): Promise<Verdict> {
    const created = await ask(
      'createContext',
      { input: { title: `Survey ${random.integer(1e9)}`, root: { domain: 'survey', environment: 'perf' } } },
      manager,
    );
    const contextId = String(readPath(created, 'context', 'id'));
    await ask('assignRole', { input: { roleId: worker, subjectId: `guest-${randomUUID()}`, contextId } }, manager);
    const ids = Array.from({ length: agentsPerFlow + 1 }, () => randomUUID());
    const steps = ids.map((id, index) => ({
      id,
      description: `Row ${index}`,
      agentRole: worker,
      orderIndex: index,
      durationMs: 60_000,
      // Three side by side, then one that needs them all.
      dependsOn: index === agentsPerFlow ? ids.slice(0, agentsPerFlow) : [],
    }));
    const input = { contextId, title: 'Count the trees', objective: 'Know the trees', requiresApproval: true, steps };
    const planId = String(readPath(await ask('createPlan', { input }, manager), 'plan', 'id'));
    const asked = {
      targetType: 'PLAN',
      targetId: planId,
      contextId,
      confirmationType: 'PLAN_APPROVAL',
      title: 'Count the trees',
      approvers: [{ subject: reviewers[0]!.subject }],
    };
    for (const [decision, status] of [
      ['REJECTED', 'DRAFT'],
      ['APPROVED', 'APPROVED'],
    ] as const) {
      const opened = await ask('createApproval', { input: { ...asked, idempotencyKey: randomUUID() } }, manager);
      const confirmId = readPath(opened, 'confirm', 'id');
      await reach(planId, 'PROPOSED');
      const verdict = { confirmId, decision, rationale: 'as the report says', idempotencyKey: randomUUID() };
      await ask('processApproval', { input: verdict }, reviewers[0]!.token);
      await reach(planId, status);
    }
    const started = await ask('executePlan', { input: { planId } }, manager);
    const executionId = String(readPath(started, 'execution', 'id'));
    const first = random.integer(agents.length);
    const crew = Array.from({ length: agentsPerFlow }, (_, index) => agents[(first + index) % agents.length]!);
    const done = await Promise.all(crew.map((agent) => work(executionId, agent)));
    await reach(planId, 'COMPLETED');
    await ask('context', { id: contextId }, manager);
    facts.flows += 1;
    const total = done.reduce((sum, count) => sum + count, 0);
    return total === steps.length || `${total} of ${steps.length} steps were completed`;
  }

  const operation: ServiceOperation = { name: 'governed_flow', weight: 1, call: run };
  return { operations: [operation], facts: () => facts };
};
