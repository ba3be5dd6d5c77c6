import type { GraphQLFormattedError } from 'graphql';
import { type PlatformError, toExtensions } from '#shared/errors.ts';
import type { Metrics } from '#shared/telemetry.ts';

/** What a request came to. */
export interface Outcome {
  /** First root field, a known name; `none` where it did not come so far. */
  readonly operation: string;
  /** The gravest error of its answer, if there was any. */
  readonly failure: Failure | null;
}

interface Failure {
  readonly code: string;
  /** Ours to mend, not the caller's. */
  readonly isOurs: boolean;
}

/** The outcome of an answer with these errors: one that is ours goes before those of the caller, else the first. */
export function outcomeOf(operation: string, errors: readonly GraphQLFormattedError[] | undefined): Outcome {
  const failures = (errors ?? []).map(
    ({ extensions }): Failure => ({
      code: String(extensions?.['code'] ?? 'INTERNAL_ERROR'),
      isOurs: extensions?.['category'] === 'server',
    }),
  );
  return { operation, failure: failures.find(({ isOurs }) => isOurs) ?? failures[0] ?? null };
}

/** The outcome of a request that was refused as a whole. */
export function refusedBy(error: PlatformError, operation = 'none'): Outcome {
  return outcomeOf(operation, [{ message: error.message, extensions: toExtensions(error) }]);
}

/**
 * Counts a request of a client, once, when it is answered: both figures that availability is made of, so that what
 * failed is always a part of what was asked.
 */
export function countOutcome(metrics: Pick<Metrics, 'requestsTotal' | 'errorRate'>, outcome: Outcome): void {
  const { operation, failure } = outcome;
  metrics.requestsTotal.inc({ module: 'gateway', operation, status: failure ? 'error' : 'ok' });
  if (failure)
    metrics.errorRate.inc({
      service: 'gateway',
      error_type: failure.code,
      severity: failure.isOurs ? 'critical' : 'warning',
    });
}

/** A client that left before it was answered: asked, and failed by nobody. */
export function countAbandoned({ requestsTotal }: Pick<Metrics, 'requestsTotal'>): void {
  requestsTotal.inc({ module: 'gateway', operation: 'none', status: 'abandoned' });
}
