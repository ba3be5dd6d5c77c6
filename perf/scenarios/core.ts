import { type Measurement, measurementOf } from '../measurement.ts';
import { agentTokens, boundBy, withBeside } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { type CoreSeed, seedCore, workflowId } from '../seeds/core.ts';
import type { RunningServer } from '../serverProcess.ts';
import type { CoreParams } from '../workloads/core.ts';

const workload = new URL('../workloads/core.ts', import.meta.url);
const callers = 50;
const smokeSeed: CoreSeed = { workflows: 40, nodes: 400, leases: 200, executions: 300 };

function coreSeed(seed: CoreSeed): SeedOptions {
  return {
    name: `core${seed.workflows}and${seed.executions}`,
    version: 3,
    load: (sql, log) => seedCore(sql, seed, log),
  };
}

function seedFor(environment: PerfEnvironment, row: string): CoreSeed {
  if (environment.smoke) return smokeSeed;
  const { nodes = 1_000, leases = 10_000, workflows = 1_000, executions = 10_000 } = environment.design(row).dataSet;
  return { nodes, leases, workflows, executions };
}

/** Starts executions before the load: those that a row's operations move on. */
async function startExecutions(
  server: RunningServer,
  token: string,
  { count, input }: { readonly count: number; readonly input: object },
): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < count; from += 50) {
    const answers = await Promise.all(
      Array.from({ length: Math.min(50, count - from) }, async () => {
        const response = await fetch(server.url, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({
            query:
              'mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } userErrors { code message } } }',
            variables: { input },
          }),
        });
        return (await response.json()) as { data?: { executeWorkflow?: { execution?: { id: string } | null } } };
      }),
    );
    for (const answer of answers) {
      const id = answer.data?.executeWorkflow?.execution?.id;
      if (id === undefined) throw new Error(`an execution did not start: ${JSON.stringify(answer)}`);
      ids.push(id);
    }
  }
  return ids;
}

interface Mix {
  readonly title: string;
  /** Row by operation; the first says the design. */
  readonly rows: Readonly<Record<string, string>>;
  /** How many executions have to wait, in the time that is measured. */
  readonly waiting?: number;
  readonly closing?: number;
  /** What runs beside it: the mix of another row's design, and how many a second of it. */
  readonly beside?: { readonly row: string; readonly ratePerSecond: number };
}

function mixScenario({ title, rows, waiting = 0, closing = 0, beside }: Mix): Scenario {
  const designRow = Object.values(rows)[0]!;
  return {
    rows: Object.values(rows),
    title,
    async run(environment): Promise<Measurement[]> {
      const design = environment.design(designRow);
      const seed = seedFor(environment, designRow);
      const database = await environment.prepareDatabase(coreSeed(seed));
      const server = await environment.startServer({ database });
      const tokens = await agentTokens(server, callers);
      const share = environment.smoke ? 0.1 : 1;
      const count = (wanted: number) => Math.ceil(wanted * share);
      const params: CoreParams = {
        ...{ seed, tokens, url: server.url, mix: design.mix },
        waiting: await startExecutions(server, tokens[0]!, {
          count: count(waiting),
          input: { workflowId: workflowId(1) },
        }),
        closing: await startExecutions(server, tokens[0]!, {
          count: count(closing),
          input: { definition: { steps: [{ stepId: 'last', kind: 'SIGNAL', signal: 'go' }] } },
        }),
      };
      const { durationSeconds } = design;
      const [result, light] = await Promise.all([
        environment.load({
          ...{ workload, params, server, database, durationSeconds },
          arrival:
            design.ratePerSecond == null
              ? { kind: 'closed', concurrency: design.concurrency ?? 1 }
              : { kind: 'open', ratePerSecond: design.ratePerSecond },
        }),
        beside &&
          environment.load({
            ...{ workload, server, durationSeconds, seed: 4 },
            params: { ...params, mix: environment.design(beside.row).mix },
            arrival: { kind: 'open', ratePerSecond: beside.ratePerSecond },
          }),
      ]);
      await server.stop();
      return Object.entries(rows).map(([operation, row]) => {
        const found = measurementOf(result, { row, operation, boundBy: boundBy(result) });
        return light === undefined ? found : withBeside(found, light);
      });
    },
  };
}

export const scenarios: readonly Scenario[] = [
  mixScenario({
    title: 'core mix',
    rows: {
      orchestration_decision: 'l2.core_module.orchestration_decision',
      resource_allocation: 'l2.core_module.resource_allocation',
    },
  }),
  mixScenario({
    title: 'workflow execution',
    rows: { workflow_execution: 'l2.core_module.workflow_execution' },
    beside: { row: 'l2.core_module.orchestration_decision', ratePerSecond: 50 },
  }),
  mixScenario({
    title: 'core orchestrator',
    rows: {
      orchestration_cycle: 'l3.core_orchestrator.orchestration_cycle',
      resource_coordination: 'l3.core_orchestrator.resource_coordination',
      workflow_management: 'l3.core_orchestrator.workflow_management',
      system_health_check: 'l3.core_orchestrator.system_health_check',
    },
    waiting: 800,
  }),
  mixScenario({
    title: 'task execution',
    rows: { task_execution: 'l3.execution_manager.task_execution' },
    beside: { row: 'l3.execution_manager.execution_monitoring', ratePerSecond: 50 },
  }),
  mixScenario({ title: 'parallel execution', rows: { parallel_execution: 'l3.execution_manager.parallel_execution' } }),
  mixScenario({
    title: 'execution monitoring',
    rows: { execution_monitoring: 'l3.execution_manager.execution_monitoring' },
  }),
  mixScenario({
    title: 'workflow manager',
    rows: {
      workflow_start: 'l3.workflow_manager.workflow_start',
      workflow_step: 'l3.workflow_manager.workflow_step',
      workflow_completion: 'l3.workflow_manager.workflow_completion',
    },
    waiting: 3_000,
    closing: 1_200,
  }),
];
