import type { WorkerReport } from './loadResult.ts';
import type { Arrival } from './runWorkload.ts';

/** What a load worker is told to do; plain data, sent over IPC. */
export interface WorkerSpec {
  /** `file:` URL of the module that exports `createWorkload`. */
  readonly workload: string;
  readonly params: unknown;
  readonly url?: string;
  readonly arrival: Arrival;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly connections: number;
  readonly timeoutMs: number;
  readonly order: 'mix' | 'each';
  readonly seed: number;
  readonly worker: number;
  readonly workers: number;
}

export type ToWorker = { readonly type: 'prepare'; readonly spec: WorkerSpec } | { readonly type: 'go' };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'window'; readonly phase: 'start' | 'end' }
  | { readonly type: 'progress'; readonly fraction: number }
  | { readonly type: 'report'; readonly report: WorkerReport }
  | { readonly type: 'failed'; readonly message: string };
