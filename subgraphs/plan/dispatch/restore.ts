import { type ActivityNetwork, requireIndex } from '../network/index.ts';
import type { DispatchState } from './readyQueue.ts';
import type { Relations } from './relations.ts';

/** What the log of an execution says of a step; one that only waits needs none. */
export interface StepRecord {
  readonly stepId: string;
  /** Whether a waiting step is ready is found out. */
  readonly state: Exclude<DispatchState, 'ready'>;
  /** First start, also of a step that failed and waits for another try. */
  readonly startedAt?: number | undefined;
  readonly finishedAt?: number | undefined;
}

/**
 * Sets the states and lets the events of the log happen at their times, so that lags run from where they began.
 * A running step holds its resources even where the limits have become narrower since.
 */
export function restoreSteps(
  network: ActivityNetwork,
  records: readonly StepRecord[],
  { states, relations }: { readonly states: DispatchState[]; readonly relations: Relations },
): { readonly running: readonly number[]; readonly finishing: readonly number[]; readonly ended: number } {
  const running: number[] = [];
  const finishing: number[] = [];
  let ended = 0;
  for (const { stepId, state } of records) {
    const node = requireIndex(network.indexOf, stepId);
    states[node] = state;
    if (state === 'running') running.push(node);
    if (state === 'finishing') finishing.push(node);
    if (state === 'completed' || state === 'skipped') ended += 1;
  }
  for (const { stepId, state, startedAt, finishedAt } of records) {
    const node = requireIndex(network.indexOf, stepId);
    if (state === 'skipped') relations.dropped(node);
    else if (startedAt !== undefined) relations.started(node, startedAt);
    if (state === 'completed') relations.finished(node, finishedAt ?? startedAt ?? 0);
  }
  return { running, finishing, ended };
}
