import { sourceIsFinish, targetIsFinish } from './dependency.ts';
import type { ActivityNetwork } from './network.ts';

/** Step ids whose logic has loose ends (check 1 of the 14-point assessment, DCMA 2009, and its dangling activities). */
export interface DanglingSteps {
  /** Neither predecessor nor successor, in a plan of several steps. */
  readonly isolated: string[];
  /** Without predecessor: one is the start of the plan, more may be forgotten logic. */
  readonly withoutPredecessor: string[];
  /** Without successor: one is the end of the plan. */
  readonly withoutSuccessor: string[];
  /** Has predecessors, but none that bounds its start: it may start at any time and only finish late. */
  readonly looseStart: string[];
  /** Has successors, but none that waits for its finish: finishing late alarms nobody. */
  readonly looseFinish: string[];
}

export function findDanglingSteps(network: ActivityNetwork): DanglingSteps {
  const { count, ids, inStart, inEdges, outStart, outEdges, edgeType } = network;
  const found: DanglingSteps = {
    isolated: [],
    withoutPredecessor: [],
    withoutSuccessor: [],
    looseStart: [],
    looseFinish: [],
  };
  for (let node = 0; node < count; node += 1) {
    const id = ids[node]!;
    const before = inEdges.subarray(inStart[node]!, inStart[node + 1]!);
    const after = outEdges.subarray(outStart[node]!, outStart[node + 1]!);
    if (before.length === 0 && after.length === 0 && count > 1) {
      found.isolated.push(id);
      continue;
    }
    if (before.length === 0) found.withoutPredecessor.push(id);
    else if (before.every((edge) => edgeType[edge]! & targetIsFinish)) found.looseStart.push(id);
    if (after.length === 0) found.withoutSuccessor.push(id);
    else if (after.every((edge) => !(edgeType[edge]! & sourceIsFinish))) found.looseFinish.push(id);
  }
  return found;
}
