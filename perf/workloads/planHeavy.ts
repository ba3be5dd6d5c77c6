import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import {
  type CreateWorkload,
  type GraphqlCall,
  type GraphqlResponse,
  type RequestOperation,
  readPath,
  type Verdict,
  withoutUserErrors,
} from '../load/workload.ts';
import { isStartable, largePlanId, type PlanSeed, planId, stepsPerLargePlan, stepsPerPlan } from '../seeds/plan.ts';

export interface PlanHeavyParams {
  readonly seed: PlanSeed;
  readonly token: string;
  readonly url: string;
  readonly operation: 'execute_plan' | 'optimize_plan' | 'plan_analysis';
}

/** Operation beside the row's own: a plan carried out to its end. */
export const wholeRun = 'run of a whole plan';
/** One of so many plans is carried out. */
const wholeEvery = 5;
/** How long an agent that finds nothing ready waits, ms. */
const pollMs = 10;

const executePlan = `mutation Execute($input: ExecutePlanInput!) {
  executePlan(input: $input) { execution { id status totalSteps } readySteps userErrors { code message } }
}`;
const claimStep = `mutation Claim($id: ID!, $key: String!) {
  claimStep(executionId: $id, idempotencyKey: $key) { lease { stepId epoch } userErrors { code message } }
}`;
const workStep = `mutation Work($id: ID!, $key: String!) {
  claimStep(executionId: $id, idempotencyKey: $key) {
    lease { executionId stepId epoch } execution { status } userErrors { code message }
  }
}`;
const completeStep = `mutation Complete($lease: StepLeaseInput!, $key: String!) {
  completeStep(lease: $lease, result: { done: true }, idempotencyKey: $key) { step { status } userErrors { code message } }
}`;
const optimizePlan = `mutation Optimize($input: OptimizePlanInput!) {
  optimizePlan(input: $input) {
    before { makespanMs } after { makespanMs } score optimal lowerBoundMs
    schedule { stepId startMs finishMs }
    userErrors { code message }
  }
}`;
const planAnalysis = `query Analysis($id: ID!, $seed: Int!) {
  planAnalysis(planId: $id, samples: 1000, seed: $seed) {
    makespanMs scheduledMakespanMs criticalPaths samples percentiles { share finishMs lowMs highMs } utilisation { resourceId peak utilization } bottleneckId riskScore
    steps { stepId esMs efMs lsMs lfMs totalFloatMs criticality }
    suggestions { kind gainMs }
  }
}`;

/** One heavy operation of a plan, each time on another plan or with another seed: nothing is answered twice. */
export const createWorkload: CreateWorkload<PlanHeavyParams> = ({ seed, token, url, operation }) => {
  const headers = { authorization: `Bearer ${token}` };
  const facts = { scores: 0, answers: 0, optimal: 0 };
  let last = -1;

  function nextStartable(): number {
    do last += 1;
    while (last < seed.plans && !isStartable(seed, last));
    if (last >= seed.plans) throw new Error('every approved plan has been started: seed more of them');
    return last;
  }

  async function ask(query: string, variables: Readonly<Record<string, unknown>>): Promise<GraphqlResponse> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as GraphqlResponse;
  }

  /** Starts a plan and leases the steps of its first wave: at most as many requests as there are steps, and one. */
  async function executeUntilLeased(): Promise<Verdict> {
    const input = { planId: planId(nextStartable()), idempotencyKey: randomUUID() };
    const started = await ask(executePlan, { input });
    const verdict = withoutUserErrors(started, 'executePlan');
    if (verdict !== true) return verdict;
    const id = readPath(started.data, 'executePlan', 'execution', 'id');
    const ready = readPath(started.data, 'executePlan', 'readySteps');
    if (!Array.isArray(ready) || ready.length !== 4) return `expected 4 steps ready, got ${JSON.stringify(ready)}`;
    const claims = await Promise.all(ready.map(() => ask(claimStep, { id, key: randomUUID() })));
    const leased = new Set(claims.map(({ data }) => readPath(data, 'claimStep', 'lease', 'stepId')));
    return (
      (leased.size === 4 && ready.every((stepId) => leased.has(stepId))) ||
      `expected the ready steps leased once each, got ${JSON.stringify(claims).slice(0, 300)}`
    );
  }

  /** One of the agents of a run: works on whatever is ready until the run is over; answers how many steps it has done. */
  async function work(id: string): Promise<number> {
    for (let done = 0; ; ) {
      const claimed = await ask(workStep, { id, key: randomUUID() });
      const lease = readPath(claimed.data, 'claimStep', 'lease');
      if (lease == null) {
        if (readPath(claimed.data, 'claimStep', 'execution', 'status') !== 'RUNNING') return done;
        await setTimeout(pollMs);
      } else {
        const verdict = withoutUserErrors(await ask(completeStep, { lease, key: randomUUID() }), 'completeStep');
        if (verdict !== true) throw new Error(String(verdict));
        done += 1;
      }
    }
  }

  /** Starts a plan and has it carried out by four agents that need no time for a step. */
  async function executeWhole(): Promise<Verdict> {
    const input = { planId: planId(nextStartable()), idempotencyKey: randomUUID() };
    const started = await ask(executePlan, { input });
    const verdict = withoutUserErrors(started, 'executePlan');
    if (verdict !== true) return verdict;
    const id = String(readPath(started.data, 'executePlan', 'execution', 'id'));
    const done = await Promise.all(Array.from({ length: 4 }, () => work(id)));
    const all = done.reduce((sum, count) => sum + count, 0);
    return all === stepsPerPlan || `expected ${stepsPerPlan} steps done, got ${all}`;
  }

  if (operation === 'execute_plan')
    return {
      operations: [
        { name: operation, weight: wholeEvery - 1, call: executeUntilLeased },
        { name: wholeRun, weight: 1, call: executeWhole },
      ],
      facts: () => facts,
    };

  const next: Readonly<Record<typeof operation, RequestOperation['next']>> = {
    optimize_plan: (random): GraphqlCall => ({
      query: optimizePlan,
      variables: {
        input: { planId: largePlanId(seed, random.integer(seed.largePlans)), seed: random.integer(1e9) },
      },
      headers,
      check(response) {
        const verdict = withoutUserErrors(response, 'optimizePlan');
        if (verdict !== true) return verdict;
        const read = (...path: string[]) => readPath(response.data, 'optimizePlan', ...path);
        const schedule = read('schedule');
        if (!Array.isArray(schedule) || schedule.length !== stepsPerLargePlan) return 'a schedule without some steps';
        if (Number(read('after', 'makespanMs')) > Number(read('before', 'makespanMs'))) return 'worse than before';
        facts.answers += 1;
        facts.scores += Number(read('score'));
        if (read('optimal') === true) facts.optimal += 1;
        return true;
      },
    }),
    plan_analysis(random): GraphqlCall {
      const id = largePlanId(seed, random.integer(seed.largePlans));
      return {
        query: planAnalysis,
        variables: { id, seed: random.integer(1e9) },
        headers,
        check({ data }) {
          const samples = readPath(data, 'planAnalysis', 'samples');
          if (samples !== 1_000) return `expected 1,000 samples, got ${String(samples)}`;
          const steps = readPath(data, 'planAnalysis', 'steps');
          return (Array.isArray(steps) && steps.length === stepsPerLargePlan) || 'an analysis without some steps';
        },
      };
    },
  };
  return { operations: [{ name: operation, weight: 1, next: next[operation] }], facts: () => facts };
};
