import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { type CoreHistorySeed, tunedId } from '../seeds/coreHistory.ts';

export interface CoreHeavyParams {
  readonly seed: CoreHistorySeed;
  /** Of the operator's administrator. */
  readonly admin: string;
  readonly operation: 'system_optimization' | 'workflow_optimization';
}

const optimizeSystem = `mutation OptimizeSystem($input: OptimizeCoreSystemInput!) {
  optimizeSystem(input: $input) {
    run { runId status observations expectedGain bottlenecks { resource utilization saturation blame } changes { knob from to predictedGain } }
    userErrors { code message }
  }
}`;
const optimizeWorkflow = `mutation OptimizeWorkflow($input: OptimizeCoreWorkflowInput!) {
  optimizeWorkflow(input: $input) {
    run { runId expectedGain changes { knob target from to predictedGain } workflow { criticalPath measuredMs replayedMs predictedMs } }
    userErrors { code message }
  }
}`;

/** One look for what could go better, over a day of sums or over recorded executions; nothing is changed. */
export const createWorkload: CreateWorkload<CoreHeavyParams> = ({ seed, admin, operation }) => {
  const headers = { authorization: `Bearer ${admin}` };
  const next: Readonly<Record<typeof operation, RequestOperation['next']>> = {
    system_optimization: (): GraphqlCall => ({
      query: optimizeSystem,
      variables: { input: { dryRun: true, windowMs: 86_400_000 } },
      headers,
      check(response) {
        const verdict = withoutUserErrors(response, 'optimizeSystem');
        if (verdict !== true) return verdict;
        const read = (...path: string[]) => readPath(response.data, 'optimizeSystem', 'run', ...path);
        const changes = read('changes');
        return (
          (read('status') === 'PROPOSED' && Array.isArray(changes) && changes.length > 0) ||
          'expected something that could go better'
        );
      },
    }),
    workflow_optimization: (random): GraphqlCall => ({
      query: optimizeWorkflow,
      variables: { input: { workflowId: tunedId(random.integer(seed.tuned)), executions: 1_000 } },
      headers,
      check(response) {
        const verdict = withoutUserErrors(response, 'optimizeWorkflow');
        if (verdict !== true) return verdict;
        const gain = readPath(response.data, 'optimizeWorkflow', 'run', 'expectedGain');
        return (typeof gain === 'number' && gain > 0.5) || `expected more than half of the time, got ${String(gain)}`;
      },
    }),
  };
  return { operations: [{ name: operation, weight: 100, next: next[operation] }] };
};
