import type { HistogramData } from './histogram.ts';

/** What a subscriber process is told; plain data, sent over IPC. */
export interface SubscriberSpec {
  /** `file:` URL of the module that exports `createSubscriptions`. */
  readonly subscriptions: string;
  readonly params: unknown;
  readonly wsUrl: string;
  readonly sockets: number;
  /** Number of the first socket of this process. */
  readonly firstIndex: number;
  /** Handshakes under way at the same time at most. */
  readonly connectConcurrency: number;
  readonly seed: number;
  readonly worker: number;
  readonly workers: number;
}

export interface SubscriberFinish {
  /** When the sender had the answer, monotonic ms, by key. */
  readonly acknowledged: readonly (readonly [key: string, atMs: number])[];
  /** When the COMMIT of each event returned to the server, monotonic ms, by cursor. */
  readonly committed: readonly (readonly [cursor: string, atMs: number])[];
  /** Last sequence of each stream: what every subscriber of it must have got to. */
  readonly lastSequences: readonly (readonly [stream: string, sequence: number])[];
}

export interface SubscriberReport {
  readonly subscribed: number;
  readonly received: number;
  /** Receive time - time the COMMIT returned to the server's process; only what `committed` names. */
  readonly sinceCommitted: HistogramData;
  /** Receive time - createdAt of the event (start of its transaction, so an upper bound). */
  readonly sinceCreated: HistogramData;
  /** Receive time - time the sender had the answer to its mutation (negative counts as 0). */
  readonly sinceAcknowledged: HistogramData;
  readonly gaps: number;
  readonly duplicates: number;
  /** Events up to the last sequence that did not come. */
  readonly missing: number;
  /** Sockets that got no event at all. */
  readonly silent: number;
  readonly closed: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly cpuMs: number;
  readonly windowMs: number;
}

export type ToSubscriber =
  | { readonly type: 'start'; readonly spec: SubscriberSpec }
  | { readonly type: 'window' }
  | { readonly type: 'finish'; readonly finish: SubscriberFinish };

export type FromSubscriber =
  | { readonly type: 'subscribed'; readonly count: number }
  | { readonly type: 'report'; readonly report: SubscriberReport }
  | { readonly type: 'failed'; readonly message: string };
