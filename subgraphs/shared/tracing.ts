import { AsyncLocalStorage } from 'node:async_hooks';

const storage = new AsyncLocalStorage<string>();

/** True when the caller of this W3C trace wants it recorded (flag 01). */
export function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(-2), 16) & 1) === 1;
}

/**
 * Runs work under a trace. Only sampled traces are carried down to SQL, where each statement shows it as a comment
 * (`pg_stat_activity`, the server's log): a comment makes the statement's text unique, so it cannot be prepared.
 */
export function runTraced<T>(traceparent: string, work: () => T): T {
  return isSampled(traceparent) ? storage.run(traceparent, work) : work();
}

/** The sampled trace the code runs under, if any. */
export function sampledTrace(): string | undefined {
  return storage.getStore();
}

/** Statement with the trace in a comment of the sqlcommenter form. */
export function withTraceComment(statement: string, traceparent: string): string {
  return `${statement} /*traceparent='${traceparent}'*/`;
}
