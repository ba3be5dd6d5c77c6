import type { Decision } from './result.ts';

/** A decision has not come in time. */
export class EvaluationTimeout extends Error {
  constructor() {
    super('the evaluation took longer than it may');
    this.name = 'EvaluationTimeout';
  }
}

/** @throws {EvaluationTimeout} past the deadline, a time of `performance.now()`. */
export function requireTime(deadlineMs: number | undefined): void {
  if (deadlineMs !== undefined && performance.now() > deadlineMs) throw new EvaluationTimeout();
}

/** What is answered where nobody knows in time whether a rule denies it: no. */
export function timedOut(snapshotVersion: number): Decision {
  return {
    granted: false,
    decision: 'DENY',
    reason: 'evaluation_timeout',
    failingConditions: [],
    errors: [new EvaluationTimeout().message],
    constraints: [],
    limits: [],
    overallAccess: 'none',
    obligations: [],
    cacheable: false,
    readsResourceId: true,
    validUntilMs: Number.NEGATIVE_INFINITY,
    snapshotVersion,
  };
}
