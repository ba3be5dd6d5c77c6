/** What one event set off, as step ids: also a start may let another step finish that only waited for it. */
export interface DispatchOutcome {
  readonly ready: readonly string[];
  readonly completed: readonly string[];
  readonly skipped: readonly string[];
}

export interface DispatchStart extends DispatchOutcome {
  readonly started: readonly string[];
}

export type StartRefusal = 'not_ready' | 'concurrency' | 'resources';

export function mergeOutcomes(outcomes: readonly DispatchOutcome[]): DispatchOutcome {
  return {
    ready: outcomes.flatMap(({ ready }) => ready),
    completed: outcomes.flatMap(({ completed }) => completed),
    skipped: outcomes.flatMap(({ skipped }) => skipped),
  };
}
