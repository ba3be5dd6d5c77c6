/** A span that the caller's headers name, in W3C form whatever form they had. */
export interface ForeignReference {
  readonly traceId: string;
  readonly spanId: string;
  /** Null where the headers do not tell. */
  readonly parentSpanId: string | null;
  /** Null where the caller leaves the decision open. */
  readonly sampled: boolean | null;
  readonly isDebug: boolean;
}
