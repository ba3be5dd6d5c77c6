import type { HistogramData } from '../load/histogram.ts';
import type { Findings, RunRecord } from './checker.ts';

/** What the process of subscribers is told; plain data, sent over IPC. */
export interface AudienceSpec {
  readonly wsUrl: string;
  readonly dialogs: readonly AudienceDialog[];
  readonly seed: number;
}

export interface AudienceDialog {
  readonly dialogId: string;
  /** Cursor of the dialog before the first message. */
  readonly cursor: string;
  /** One subscriber for each entry. */
  readonly authorizations: readonly string[];
}

export interface CutPlan {
  /** Share of the subscribers of each dialog that are cut, over and over. */
  readonly share: number;
  /** Mean time between two cuts of one subscriber. */
  readonly everyMs: number;
}

export interface AudienceFinish {
  readonly record: RunRecord;
  /** When the sender had the answer, monotonic ms, by message. */
  readonly acknowledgedMs: readonly (readonly [id: string, atMs: number])[];
  /** When the COMMIT of each event returned to the server, monotonic ms, by cursor; null where it was not told. */
  readonly committedMs: readonly (readonly [cursor: string, atMs: number])[] | null;
  /** Messages in each dialog: what every subscriber must have got to. */
  readonly lengths: readonly (readonly [dialogId: string, messages: number])[];
  /** How long to wait for what is still on its way, since the last arrival. */
  readonly patienceMs: number;
}

export interface AudienceProgress {
  readonly deliveries: number;
  readonly cuts: number;
  readonly resumed: number;
}

export interface AudienceReport extends AudienceProgress {
  readonly subscribers: number;
  /** Subscribers that were cut at least once. */
  readonly subscribersCut: number;
  readonly findings: Findings;
  /** Messages that were committed while their subscriber was away. */
  readonly replayed: number;
  /** Live deliveries only: receive time - time the COMMIT returned to the server; null where that was not told. */
  readonly sinceCommitted: HistogramData | null;
  /** Live deliveries whose time of COMMIT was not among those told. */
  readonly untimed: number;
  /** Live deliveries only: receive time - time the sender had the answer (negative counts as 0). */
  readonly sinceAcknowledged: HistogramData;
  /** Live deliveries only: receive time - createdAt, which is the start of the writing transaction. */
  readonly sinceCreated: HistogramData;
  /** From a subscriber's asking again to the first message it had missed. */
  readonly replayWait: HistogramData;
  /** First to last delivery. */
  readonly windowMs: number;
  /** Sockets the server closed, by code. */
  readonly closed: Readonly<{ [code: string]: number }>;
  readonly errors: Readonly<{ [error: string]: number }>;
  readonly cpuMs: number;
}

export type ToAudience =
  | { readonly type: 'start'; readonly spec: AudienceSpec }
  | { readonly type: 'cut'; readonly plan: CutPlan }
  | { readonly type: 'finish'; readonly finish: AudienceFinish };

export type FromAudience =
  | { readonly type: 'subscribed' }
  | { readonly type: 'progress'; readonly progress: AudienceProgress }
  | { readonly type: 'report'; readonly report: AudienceReport }
  | { readonly type: 'failed'; readonly message: string };
