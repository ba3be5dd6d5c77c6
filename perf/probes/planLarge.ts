import { emptyDefinition } from '../../subgraphs/plan/definition.ts';
import { toDependency, toStep } from '../../subgraphs/plan/network.ts';
import { optimize } from '../../subgraphs/plan/optimizeThread.ts';
import { toPlanProblem } from '../../subgraphs/plan/planProblem.ts';
import { analyze } from '../../subgraphs/plan/planThread.ts';
import { createRandom } from '../load/random.ts';
import { predecessorsOf } from '../seeds/plan.ts';

/** CPU of the heavy rows' work, a plan of 200 steps, 400 dependencies and 10 resources each: `node perf/probes/planLarge.ts`. */
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};
for (let plan = 1; plan < 6; plan += 1) {
  const random = createRandom(plan);
  const of = { tenantId: 'probe', planId: 'probe' };
  const steps = Array.from({ length: 200 }, (_, place) => {
    const mostLikelyMs = (10 + random.integer(110)) * 60_000;
    const estimate = { optimisticMs: mostLikelyMs * 0.7, mostLikelyMs, pessimisticMs: mostLikelyMs * 1.8 };
    const demands = [...new Set([random.integer(10), random.integer(10)])].map((at) => ({
      resourceId: `resource-${at}`,
      amount: 1 + random.integer(3),
    }));
    return toStep(
      { id: random.uuid(), description: 'x', durationMs: mostLikelyMs, estimate, demands },
      { ...of, place },
    );
  });
  const dependencies = steps.flatMap((target, place) =>
    predecessorsOf(place, { steps: 200, width: 20 }).map((source) =>
      toDependency({ sourceId: steps[source]!.id, targetId: target.id }, { ...of, place: 0 }),
    ),
  );
  const resources = Array.from({ length: 10 }, (_, at) => ({ id: `resource-${at}`, capacity: 4 + (at % 3) }));
  const problem = toPlanProblem({ ...emptyDefinition, resources }, steps, dependencies);
  const strategy = { strategy: 'TIME_OPTIMAL', targetMakespanMs: null, maxCrashCost: null } as const;
  const start = cpuMs();
  const limits = { targets: ['time'] as const, maxSchedules: 2_000, maxMilliseconds: 60_000, seed: 1, current: null };
  const { after } = optimize({ plan: problem, ...limits, ...strategy });
  const between = cpuMs();
  const { suggestions } = analyze({ plan: problem, risks: [], samples: 1_000, seed: 1 });
  const end = cpuMs();
  console.log(
    `optimise ${(between - start).toFixed(0)} ms, score ${after.score.toFixed(3)}; analyse ${(end - between).toFixed(0)} ms, ${suggestions.length} suggestions`,
  );
}
