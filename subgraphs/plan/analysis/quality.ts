import { sourceIsFinish, targetIsFinish } from '../network/dependency.ts';
import {
  type ActivityNetwork,
  findDanglingSteps,
  findRedundantDependencies,
  findTransitiveEdges,
  type Schedule,
} from '../network/index.ts';
import type { OverAllocation, ResourceLoad } from './resourceLoad.ts';

export type StepCheck =
  | 'isolated'
  | 'several_starts'
  | 'several_ends'
  | 'loose_start'
  | 'loose_finish'
  | 'negative_float';
export type DependencyCheck = 'redundant_dependency' | 'transitive_dependency' | 'lead' | 'start_to_finish';

/** Checks of the 14-point schedule assessment (DCMA 2009) that a network alone can answer, and of resources. */
export type QualityFinding =
  | { readonly check: StepCheck; readonly stepIds: readonly string[] }
  | { readonly check: DependencyCheck; readonly dependencyIds: readonly string[] }
  | { readonly check: 'over_allocation'; readonly resourceId: string; readonly intervals: readonly OverAllocation[] };

/** Only what was found; an empty list is a clean plan. A transitive dependency is named as such when it still binds. */
export function checkQuality(
  network: ActivityNetwork,
  schedule: Schedule,
  loads: readonly ResourceLoad[],
): QualityFinding[] {
  const findings: QualityFinding[] = [];
  const steps = (check: StepCheck, stepIds: readonly string[], atLeast = 1): void => {
    if (stepIds.length >= atLeast) findings.push({ check, stepIds });
  };
  const edges = (check: DependencyCheck, found: readonly number[]): void => {
    if (found.length > 0) findings.push({ check, dependencyIds: found.map((edge) => network.edgeIds[edge]!) });
  };
  const dangling = findDanglingSteps(network);
  steps('isolated', dangling.isolated);
  steps('several_starts', dangling.withoutPredecessor, 2);
  steps('several_ends', dangling.withoutSuccessor, 2);
  steps('loose_start', dangling.looseStart);
  steps('loose_finish', dangling.looseFinish);
  steps(
    'negative_float',
    network.ids.filter((_, node) => schedule.totalFloat[node]! < 0),
  );

  const redundant = findRedundantDependencies(network);
  const known = new Set(redundant);
  edges('redundant_dependency', redundant);
  edges(
    'transitive_dependency',
    findTransitiveEdges(network, schedule.topology).filter((edge) => !known.has(edge)),
  );
  const where = (holds: (edge: number) => boolean): number[] => [...network.edgeIds.keys()].filter(holds);
  edges(
    'lead',
    where((edge) => network.edgeLag[edge]! < 0),
  );
  edges(
    'start_to_finish',
    where(
      (edge) => (network.edgeType[edge]! & sourceIsFinish) === 0 && (network.edgeType[edge]! & targetIsFinish) !== 0,
    ),
  );
  for (const { resourceId, overAllocations: intervals } of loads)
    if (intervals.length > 0) findings.push({ check: 'over_allocation', resourceId, intervals });
  return findings;
}
