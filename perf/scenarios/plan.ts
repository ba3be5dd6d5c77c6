import type { MeasuredLoad } from '../measurement.ts';
import { agentTokens, measureBeside, measureMix, variants } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { seedContexts } from '../seeds/context.ts';
import { type PlanSeed, seedPlans, stepsPerPlan } from '../seeds/plan.ts';
import type { PlanParams } from '../workloads/plan.ts';
import { type PlanHeavyParams, wholeRun } from '../workloads/planHeavy.ts';

const mixRow = 'l2.plan_module.create_plan';
const callers = 50;
const besideRate = 50;
/** What every smoke run of plans uses: one small data set. */
const smokePlans: PlanSeed = { contexts: 50, plans: 1_000, largePlans: 5 };
const mixWorkload = new URL('../workloads/plan.ts', import.meta.url);
const heavyWorkload = new URL('../workloads/planHeavy.ts', import.meta.url);

function planSeed(seed: PlanSeed): SeedOptions {
  return {
    name: `plans${seed.plans}and${seed.largePlans}`,
    version: 1,
    async load(sql, log) {
      await seedContexts(sql, seed.contexts, log);
      await seedPlans(sql, seed, log);
    },
  };
}

function heavyRow(
  environment: PerfEnvironment,
  operation: PlanHeavyParams['operation'],
  { seed, notes }: { readonly seed: PlanSeed; readonly notes?: (result: MeasuredLoad) => string[] },
) {
  const { mix } = environment.design(mixRow);
  return measureBeside<PlanHeavyParams>(environment, {
    row: `l2.plan_module.${operation}`,
    operation,
    seed: planSeed(seed),
    workload: heavyWorkload,
    params: async (server) => ({ seed, token: (await agentTokens(server, 1))[0]!, url: server.url, operation }),
    beside: {
      workload: mixWorkload,
      ratePerSecond: besideRate,
      params: async (server): Promise<PlanParams> => ({ seed, tokens: await agentTokens(server, callers), mix }),
    },
    ...(notes === undefined ? {} : { notes }),
  });
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [mixRow, 'throughput.api_endpoints.plan_operations'],
    title: 'plan mix',
    run(environment) {
      const design = environment.design(mixRow);
      const { contexts = 0, plans = 0 } = design.dataSet;
      const seed: PlanSeed = environment.smoke ? smokePlans : { contexts, plans, largePlans: 0 };
      return measureMix<PlanParams>(environment, {
        designRow: mixRow,
        seed: planSeed(seed),
        workload: mixWorkload,
        params: async (server) => ({ seed, tokens: await agentTokens(server, callers), mix: design.mix }),
        rows: { create_plan: mixRow },
        throughputRow: 'throughput.api_endpoints.plan_operations',
        smokeVariants: variants.slice(0, 1),
        notes({ operations, facts: { lists = 0, listed = 0 } }) {
          const p95 = (name: string) => `${name} p95 ${operations[name]?.latency.p95Ms.toFixed(1)} ms`;
          return {
            create_plan: [
              `beside it ${p95('get_plan')}, ${p95('list_plans')} (${(listed / Math.max(1, lists)).toFixed(0)} plans), ${p95('update_step')}`,
            ],
          };
        },
      });
    },
  },
  {
    rows: ['l2.plan_module.execute_plan'],
    title: 'execute plan',
    run(environment) {
      const { contexts = 0, plans = 0 } = environment.design('l2.plan_module.execute_plan').dataSet;
      return heavyRow(environment, 'execute_plan', {
        seed: environment.smoke ? smokePlans : { contexts, plans, largePlans: 0 },
        notes({ operations }) {
          const whole = operations[wholeRun]?.latency;
          return whole === undefined || whole.count === 0
            ? []
            : [
                `the row is the start until the first steps are leased; a whole plan of ${stepsPerPlan} steps by four agents that need no time: p50 ${whole.p50Ms.toFixed(0)}, p95 ${whole.p95Ms.toFixed(0)} ms of ${whole.count}`,
              ];
        },
      });
    },
  },
  {
    rows: ['l2.plan_module.optimize_plan'],
    title: 'optimize plan',
    run(environment) {
      return heavyRow(environment, 'optimize_plan', {
        seed: largeSeed(environment, 'l2.plan_module.optimize_plan'),
        notes: ({ facts: { scores = 0, answers = 0, optimal = 0 } }) => [
          `mean score (lower bound / makespan) ${(scores / Math.max(1, answers)).toFixed(3)}, ${optimal} of ${answers} proven optimal`,
        ],
      });
    },
  },
  {
    rows: ['l2.plan_module.plan_analysis'],
    title: 'plan analysis',
    run(environment) {
      return heavyRow(environment, 'plan_analysis', {
        seed: largeSeed(environment, 'l2.plan_module.plan_analysis'),
      });
    },
  },
];

/** The large plans, and enough of the others for the mix beside them. */
function largeSeed(environment: PerfEnvironment, row: string): PlanSeed {
  const { plans = 0 } = environment.design(row).dataSet;
  return environment.smoke ? smokePlans : { contexts: 500, plans: 1_000, largePlans: plans };
}
