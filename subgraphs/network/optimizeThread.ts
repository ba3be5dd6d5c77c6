import { createDigraph, type LinkEnds } from './graph/digraph.ts';
import { latencyRoutes } from './routing/initialRoutes.ts';
import { type OptimizedRoutes, type OptimizeOptions, optimizeRoutes } from './routing/optimize.ts';
import type { Demand, Route } from './routing/problem.ts';

/** What a thread of the compute pool runs: all of it can be copied. */
export interface OptimizeTask extends Omit<OptimizeOptions, 'now'> {
  readonly nodeCount: number;
  readonly links: readonly LinkEnds[];
  readonly capacity: Float64Array;
  readonly latencyMs: Float64Array;
  readonly costPerGb: Float64Array;
  readonly demands: readonly Demand[];
  /** Null: every demand begins on its way of least latency. */
  readonly before: readonly Route[] | null;
}

export type OptimizeOutcome = OptimizedRoutes & { readonly home: readonly Route[] };

export async function optimize(task: OptimizeTask): Promise<OptimizeOutcome> {
  const { nodeCount, links, capacity, latencyMs, costPerGb, demands, ...options } = task;
  const problem = { graph: createDigraph(nodeCount, links), capacity, latencyMs, costPerGb, demands };
  const home = task.before ?? latencyRoutes(problem);
  return { ...(await optimizeRoutes(problem, home, options)), home };
}
