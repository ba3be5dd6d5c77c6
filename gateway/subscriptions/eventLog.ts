import type { EventRow } from '#shared/events.ts';

export interface StreamKey {
  readonly module: EventRow['module'];
  readonly tenantId: string;
  readonly streamId: string;
}

export interface StreamHead {
  /** Sequence of the newest event; 0 for a stream without one. */
  readonly lastSequence: number;
  /** Sequence of the oldest event still kept; `lastSequence + 1` when none is. */
  readonly oldestKeptSequence: number;
}

export interface ReadOptions extends StreamKey {
  readonly afterSequence: number;
  readonly limit: number;
}

/** The committed events of all streams: what the hub falls back on for whatever the bus did not bring. */
export interface EventLog {
  /** Events after `afterSequence`, in sequence order, `limit` at most. */
  read(options: ReadOptions): Promise<readonly EventRow[]>;
  head(key: StreamKey): Promise<StreamHead>;
  /** Newest sequences of many streams of one module with one query; streams without an event are left out. */
  heads(
    module: StreamKey['module'],
    streams: readonly Pick<StreamKey, 'tenantId' | 'streamId'>[],
  ): Promise<readonly { readonly tenantId: string; readonly streamId: string; readonly lastSequence: number }[]>;
}
