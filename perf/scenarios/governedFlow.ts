import { type Figure, figure } from '../figure.ts';
import { boundBy } from '../moduleMix.ts';
import { profilingEnvironment } from '../profiling.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { perfTenant, seedContexts } from '../seeds/context.ts';
import type { GovernedFlowParams } from '../workloads/governedFlow.ts';

/** None: no budget row asks for it. `perf/figures.ts` measures it. */
export const scenarios: readonly Scenario[] = [];

const flowsPerSecond = 100;
const concurrency = 24;
const contexts = 1_000;
const agents = 12;

/** Whole pieces of governed work, as many at once as keep the cores busy: how many a second end. */
export async function measureGovernedFlow(environment: PerfEnvironment, durationSeconds: number): Promise<Figure[]> {
  const database = await environment.prepareDatabase({
    name: `contexts${contexts}governed`,
    version: 1,
    load: (sql, log) => seedContexts(sql, contexts, log),
  });
  const server = await environment.startServer({ database, env: profilingEnvironment() });
  const tokenOf = (subject: string, roles: string[]) => server.token({ tenant: perfTenant, subject, roles });
  // No role in the tokens of the others: what they may do comes from the role module.
  const people = (name: string, count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const subject = `${name}-${index}`;
        return { subject, token: await tokenOf(subject, []) };
      }),
    );
  const params: GovernedFlowParams = {
    url: `${server.origin}/graphql`,
    manager: await tokenOf('manager', ['admin']),
    reviewers: await people('reviewer', 1),
    agents: await people('worker', agents),
  };
  const result = await environment.load({
    workload: new URL('../workloads/governedFlow.ts', import.meta.url),
    params,
    server,
    database,
    arrival: { kind: 'closed', concurrency },
    warmupSeconds: 5,
    durationSeconds,
  });
  await server.stop();
  if (result.wrong > 0 || result.errorCount > 0)
    throw new Error(`wrong flows or errors: ${result.wrongExamples.join(' | ')} ${JSON.stringify(result.errors)}`);
  const { flows = 0, requests = 0, polls = 0 } = result.facts;
  const each = (count: number) => (count / Math.max(1, flows)).toFixed(1);
  const { cpu, latency } = result;
  const ms = (us: number | null) => ((us ?? 0) / 1000).toFixed(1);
  return [
    figure('governed flows, context to trace', result.achievedPerSecond, 'a second', {
      atLeast: flowsPerSecond,
      note: `${concurrency} at once, ${each(requests)} requests each, of them ${each(polls)} polls; p50 ${latency.p50Ms.toFixed(0)}, p95 ${latency.p95Ms.toFixed(0)} ms a flow; CPU a flow: server ${ms(cpu.serverUs)}, PostgreSQL ${ms(cpu.databaseUs)}, clients ${ms(cpu.clientUs)} ms; ${boundBy(result)}`,
    }),
  ];
}
