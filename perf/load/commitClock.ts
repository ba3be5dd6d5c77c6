/**
 * Preloaded into a measured server (`--import`): keeps when the COMMIT of each event returned, and tells it to the process that
 * started the server as often as it asks. Monotonic times mean the same in every process of the machine.
 */
import { subscribe } from 'node:diagnostics_channel';
import { isMainThread } from 'node:worker_threads';
import { committedChannel } from '#shared/publisher.ts';
import { monotonicMs } from './clock.ts';

export interface CommitTime {
  readonly streamId: string;
  readonly sequence: number;
  readonly atMs: number;
}

export type ToCommitClock = { readonly type: 'commits' };
export type FromCommitClock = { readonly type: 'commits'; readonly commits: readonly CommitTime[] };

/** Threads of the server load what is preloaded, too. */
if (isMainThread && process.send !== undefined) {
  let commits: CommitTime[] = [];
  subscribe(committedChannel, (events) => {
    const atMs = monotonicMs();
    for (const { streamId, sequence } of events as readonly Omit<CommitTime, 'atMs'>[])
      commits.push({ streamId, sequence, atMs });
  });
  process.on('message', (message: ToCommitClock) => {
    if (message.type !== 'commits') return;
    const told: FromCommitClock = { type: 'commits', commits };
    commits = [];
    process.send?.(told);
  });
  // The server ends when its own work does.
  process.channel?.unref();
}
