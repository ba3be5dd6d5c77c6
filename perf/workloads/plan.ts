import { randomUUID } from 'node:crypto';
import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { contextId, seededContext } from '../seeds/context.ts';
import { isDraft, type PlanSeed, planId, predecessorsOf, stepId, stepsPerPlan } from '../seeds/plan.ts';
import { domains, sentence } from '../seeds/words.ts';

export interface PlanParams {
  readonly seed: PlanSeed;
  /** Bearer tokens of different agents of the tenant. */
  readonly tokens: readonly string[];
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const getPlan = `query GetPlan($id: ID!) {
  plan(planId: $id) {
    id title objective status type priority stepCount version updatedAt
    summary { durationMs feasible criticalPath }
    steps { id place description status durationMs progress }
    dependencies { id sourceId targetId type }
  }
}`;
const listPlans = `query ListPlans($filter: PlanFilter) {
  plans(filter: $filter, first: 20) {
    pageInfo { hasNextPage endCursor }
    nodes { id contextId title status priority stepCount version createdAt summary { durationMs feasible } }
  }
}`;
const updateStep = `mutation UpdateStep($id: ID!, $step: ID!, $patch: PlanStepPatch!, $key: String) {
  updateStep(planId: $id, stepId: $step, patch: $patch, idempotencyKey: $key) {
    plan { id version status summary { durationMs } }
    userErrors { code message }
  }
}`;
const createPlan = `mutation CreatePlan($input: CreatePlanInput!) {
  createPlan(input: $input) { plan { id status stepCount summary { durationMs feasible } } userErrors { code message } }
}`;

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** A plan of 20 steps, four wide. */
export function planInput(random: Random, context: string): Record<string, unknown> {
  const domain = random.pick(domains);
  const ids = Array.from({ length: stepsPerPlan }, () => randomUUID());
  return {
    contextId: context,
    title: `${sentence(random, domain, 4)} ${random.integer(1e9)}`,
    objective: sentence(random, domain, 12),
    type: 'PARALLEL',
    steps: ids.map((id, at) => ({
      id,
      description: sentence(random, domain, 8),
      durationMs: (10 + random.integer(110)) * 60_000,
      dependsOn: predecessorsOf(at, { steps: stepsPerPlan, width: 4 }).map((source) => ids[source]),
    })),
    // A key of the seeded sequence would make the next run's creations repeats of this one's.
    idempotencyKey: randomUUID(),
  };
}

/** Reads, lists of a context, edits of drafts and new plans, contexts by Zipf. */
export const createWorkload: CreateWorkload<PlanParams> = ({ seed, tokens, mix }) => {
  const zipf = createZipf(seed.contexts);
  const callers = tokens.map(bearer);
  const facts = { listed: 0, lists: 0 };
  const rounds = Math.max(1, Math.floor(seed.plans / seed.contexts));

  /** A context that takes new plans. */
  function openContext(random: Random): string {
    for (;;) {
      const index = zipf.sample(random);
      const { status } = seededContext(index);
      if (status === 'active' || status === 'draft') return contextId(index);
    }
  }

  const next: Readonly<Record<string, RequestOperation['next']>> = {
    get_plan(random): GraphqlCall {
      const id = planId(zipf.sample(random) + random.integer(rounds) * seed.contexts);
      return {
        query: getPlan,
        variables: { id },
        headers: random.pick(callers),
        check({ data }) {
          if (readPath(data, 'plan', 'id') !== id) return 'another plan came back';
          const steps = readPath(data, 'plan', 'steps');
          return (Array.isArray(steps) && steps.length === stepsPerPlan) || 'the plan came without its steps';
        },
      };
    },
    list_plans(random): GraphqlCall {
      const context = contextId(zipf.sample(random));
      return {
        query: listPlans,
        variables: { filter: { contextId: context } },
        headers: random.pick(callers),
        check({ data }) {
          const nodes = readPath(data, 'plans', 'nodes');
          if (!Array.isArray(nodes) || nodes.length === 0) return 'no plan of the context';
          facts.lists += 1;
          facts.listed += nodes.length;
          const ours = nodes.every((node) => readPath(node, 'contextId') === context);
          const times = nodes.map((node) => String(readPath(node, 'createdAt')));
          const falling = times.every((time, at) => at === 0 || time <= times[at - 1]!);
          return !ours ? 'a plan of another context' : falling || 'not the newest first';
        },
      };
    },
    update_step(random): GraphqlCall {
      const plan = zipf.sample(random);
      if (!isDraft(seed, plan)) throw new Error(`expected a draft, plan ${plan} is none`);
      const id = planId(plan);
      const patch = {
        description: sentence(random, random.pick(domains), 8),
        durationMs: (10 + random.integer(110)) * 60_000,
      };
      return {
        query: updateStep,
        variables: { id, step: stepId(plan, random.integer(stepsPerPlan)), patch, key: randomUUID() },
        headers: random.pick(callers),
        check: (response) =>
          readPath(response.data, 'updateStep', 'plan', 'id') === id || withoutUserErrors(response, 'updateStep'),
      };
    },
    create_plan: (random): GraphqlCall => ({
      query: createPlan,
      variables: { input: planInput(random, openContext(random)) },
      headers: random.pick(callers),
      check(response) {
        const verdict = withoutUserErrors(response, 'createPlan');
        if (verdict !== true) return verdict;
        const steps = readPath(response.data, 'createPlan', 'plan', 'stepCount');
        return steps === stepsPerPlan || `expected ${stepsPerPlan} steps, got ${String(steps)}`;
      },
    }),
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
    facts: () => facts,
  };
};
