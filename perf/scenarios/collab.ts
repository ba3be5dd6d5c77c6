import { agentTokens, measureBeside, measureMix, variants } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { type CollabSeed, seedCollabs } from '../seeds/collab.ts';
import { seedContexts } from '../seeds/context.ts';
import type { CollabParams } from '../workloads/collab.ts';
import type { CollabHeavyParams } from '../workloads/collabHeavy.ts';

const rows = {
  create_collaboration: 'l2.collab_module.create_collaboration',
  join_collaboration: 'l2.collab_module.join_collaboration',
} as const;
const decisionRow = 'l2.collab_module.coordination_decision';
const adviceRow = 'l2.collab_module.ai_recommendation';
const workload = new URL('../workloads/collab.ts', import.meta.url);
const subjects = 100;
const contexts = 500;
const besidePerSecond = 50;

function seedOf(environment: PerfEnvironment): CollabSeed {
  const { collaborations = 0, participants = 0 } = environment.design(rows.create_collaboration).dataSet;
  const { agents = 0, tasks = 0 } = environment.design(adviceRow).dataSet;
  const large = { agents, tasks };
  return environment.smoke
    ? { contexts: 20, collaborations: 200, participantsEach: 10, subjects: 20, large }
    : { contexts, collaborations, participantsEach: participants / collaborations, subjects, large };
}

function collabSeed(seed: CollabSeed): SeedOptions {
  return {
    name: `collabs${seed.collaborations}`,
    version: 3,
    async load(sql, log) {
      await seedContexts(sql, seed.contexts, log);
      await seedCollabs(sql, seed, log);
    },
  };
}

const mixParams = async (
  environment: PerfEnvironment,
  server: Parameters<typeof agentTokens>[0],
): Promise<CollabParams> => {
  const seed = seedOf(environment);
  return {
    seed,
    tokens: await agentTokens(server, seed.subjects),
    mix: environment.design(rows.create_collaboration).mix,
  };
};

function heavy(
  row: string,
  operation: CollabHeavyParams['operation'],
  notes: (facts: Readonly<Record<string, number>>) => string[],
): Scenario {
  return {
    rows: [row],
    title: operation.replace('_', ' '),
    run(environment) {
      const seed = seedOf(environment);
      const { voters = 0, options = 0 } = environment.design(decisionRow).dataSet;
      return measureBeside<CollabHeavyParams>(environment, {
        row,
        operation,
        seed: collabSeed(seed),
        workload: new URL('../workloads/collabHeavy.ts', import.meta.url),
        params: async (server) => ({
          operation,
          seed,
          voters,
          options,
          token: (await agentTokens(server, 1))[0]!,
        }),
        beside: { workload, ratePerSecond: besidePerSecond, params: (server) => mixParams(environment, server) },
        notes: ({ facts }) => notes(facts),
      });
    },
  };
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [...Object.values(rows), 'throughput.api_endpoints.collab_operations'],
    title: 'collab mix',
    run(environment) {
      return measureMix<CollabParams>(environment, {
        designRow: rows.create_collaboration,
        seed: collabSeed(seedOf(environment)),
        workload,
        params: (server) => mixParams(environment, server),
        rows,
        throughputRow: 'throughput.api_endpoints.collab_operations',
        smokeVariants: variants.slice(0, 1),
        notes: ({ operations }) => ({
          create_collaboration: [
            `ten participants each; beside it read_collaboration p95 ${operations['read_collaboration']?.latency.p95Ms.toFixed(1)} ms`,
          ],
          join_collaboration: [
            'joins go over all collaborations in turn, since one takes a hundred at most; reads by Zipf',
          ],
        }),
      });
    },
  },
  heavy(decisionRow, 'coordination_decision', ({ runs = 0 }) => [
    `${runs} decisions, each with its votes stored and counted by Schulze`,
  ]),
  heavy(adviceRow, 'ai_recommendation', ({ runs = 0, advised = 0 }) => [
    `${(advised / Math.max(1, runs)).toFixed(1)} pieces of advice a call; its own, deterministic provider`,
  ]),
];
