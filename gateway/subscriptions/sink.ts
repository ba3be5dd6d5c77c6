import type { GraphQLFormattedError } from 'graphql';
import type { DrainOutcome } from './drain.ts';
import type { Payload } from './payload.ts';

/** Where the results of one operation go: one transport's way of saying next, error and complete. */
export interface Sink {
  next(payload: Payload): void;
  /** Sends what `next` was given in this turn; without it that goes at the end of the turn. */
  flush(): void;
  /** Ends the operation with an error. */
  fail(error: GraphQLFormattedError): void;
  /** Ends it as slow; the connection is closed where it does not drain. */
  cut(error: GraphQLFormattedError, resumeAfter: string): void;
  complete(): void;
  /** Bytes that wait for the client. */
  readonly bufferedBytes: number;
  /** Waits until half the bound is free. */
  drained(timeoutMs: number): Promise<DrainOutcome>;
}
