import type { MeasuredLoad } from '../measurement.ts';
import { agentTokens, type MixPhase, measureBeside, measureMix, variants } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { type ConfirmSeed, seedConfirms } from '../seeds/confirm.ts';
import { perfTenant, seedContexts } from '../seeds/context.ts';
import type { RunningServer } from '../serverProcess.ts';
import type { ConfirmParams } from '../workloads/confirm.ts';
import type { ConfirmHeavyParams } from '../workloads/confirmHeavy.ts';

const rows = {
  create_approval: 'l2.confirm_module.create_approval',
  process_approval: 'l2.confirm_module.process_approval',
} as const;
const workload = new URL('../workloads/confirm.ts', import.meta.url);
const subjects = 500;
const besidePerSecond = 100;
/** A phase decides approvals of its own: none waits twice. */
const shares: Readonly<Record<MixPhase, ConfirmParams['share']>> = {
  warming: [0, 0.2],
  window: [0.2, 0.6],
  'highest rate': [0.6, 1],
};

function seedOf(environment: PerfEnvironment): ConfirmSeed {
  const { contexts = 0, approvals = 0 } = environment.design(rows.create_approval).dataSet;
  return environment.smoke ? { contexts: 20, approvals: 2_000, subjects: 20 } : { contexts, approvals, subjects };
}

function confirmSeed(seed: ConfirmSeed): SeedOptions {
  return {
    name: `confirms${seed.approvals}`,
    version: 3,
    async load(sql, log) {
      await seedContexts(sql, seed.contexts, log);
      await seedConfirms(sql, seed, log);
    },
  };
}

async function mixParams(environment: PerfEnvironment, server: RunningServer): Promise<ConfirmParams> {
  const seed = seedOf(environment);
  return {
    seed,
    tokens: await agentTokens(server, seed.subjects),
    mix: environment.design(rows.create_approval).mix,
    share: [0, 1],
  };
}

function heavy(operation: ConfirmHeavyParams['operation'], notes: (result: MeasuredLoad) => string[]): Scenario {
  const row = `l2.confirm_module.${operation}`;
  return {
    rows: [row],
    title: operation.replace('_', ' '),
    run(environment) {
      const seed = seedOf(environment);
      return measureBeside<ConfirmHeavyParams>(environment, {
        row,
        operation,
        seed: confirmSeed(seed),
        workload: new URL('../workloads/confirmHeavy.ts', import.meta.url),
        params: async (server, database) => ({
          operation,
          seed,
          tokens: await agentTokens(server, seed.subjects),
          admin: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
          url: server.url,
          databaseUrl: database.url,
        }),
        beside: {
          workload,
          ratePerSecond: besidePerSecond,
          params: (server) => mixParams(environment, server),
        },
        notes,
      });
    },
  };
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [...Object.values(rows), 'throughput.api_endpoints.confirm_operations'],
    title: 'confirm mix',
    run(environment) {
      const seed = seedOf(environment);
      return measureMix<ConfirmParams>(environment, {
        designRow: rows.create_approval,
        seed: confirmSeed(seed),
        workload,
        params: (server) => mixParams(environment, server),
        paramsIn: (phase, params) => ({ ...params, share: shares[phase] }),
        rows,
        throughputRow: 'throughput.api_endpoints.confirm_operations',
        smokeVariants: variants.slice(0, 1),
        notes({ operations, facts: { pages = 0, items = 0 } }) {
          const p95 = (name: string) => `${name} p95 ${operations[name]?.latency.p95Ms.toFixed(1)} ms`;
          return {
            create_approval: [`beside it ${p95('get_approval')}, ${p95('list_pending')}`],
            process_approval: [`${(items / Math.max(1, pages)).toFixed(0)} items an inbox page`],
          };
        },
      });
    },
  },
  heavy('approval_workflow', ({ operations, facts: { runs = 0 } }) => {
    const start = operations['start of a hundred steps']?.latency;
    return [
      `${runs} workflows of seven requests each, all decided`,
      ...(start === undefined || start.count === 0
        ? []
        : [
            `the start alone of a conditional workflow of 100 steps, routed: p50 ${start.p50Ms.toFixed(1)}, p95 ${start.p95Ms.toFixed(1)} ms of ${start.count}`,
          ]),
    ];
  }),
  heavy('escalation_processing', ({ facts: { runs = 0, escalated = 0 } }) => [
    `${(escalated / Math.max(1, runs)).toFixed(0)} escalated by a call, which includes the statement that makes them late; the rest by the platform's timers`,
  ]),
];
