import type { Piscina } from 'piscina';
import type { Logger } from '../telemetry.ts';
import type { ComputeAnswer } from './answer.ts';
import type { ComputeRequest } from './thread.ts';

export interface ThreadsOptions {
  readonly maxThreads: number;
  readonly idleMs: number;
  readonly maxHeapMb: number;
  readonly logger: Logger;
  readonly onCount: (threads: number) => void;
}

/**
 * The threads themselves: made when there is work, gone after `idleMs` without. An aborted request ends its thread,
 * since nothing else stops a computation that does not yield.
 */
export function createThreads({ maxThreads, idleMs, maxHeapMb, logger, onCount }: ThreadsOptions) {
  let opened: Promise<Piscina> | null = null;

  async function open(): Promise<Piscina> {
    // Not loaded before there is work.
    const { Piscina } = await import('piscina');
    const threads = new Piscina({
      filename: new URL('./thread.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads,
      idleTimeout: idleMs,
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
      recordTiming: false,
      // A thread reads no environment: configuration reaches it with its input.
      env: {},
      execArgv: [],
    });
    threads.on('error', (error) => logger.error({ error: String(error) }, 'a compute thread failed'));
    threads.on('workerCreate', () => onCount(threads.threads.length));
    threads.on('workerDestroy', () => queueMicrotask(() => onCount(threads.threads.length)));
    return threads;
  }

  return {
    async run(request: ComputeRequest, signal: AbortSignal): Promise<ComputeAnswer> {
      opened ??= open();
      return (await (await opened).run(request, { signal })) as ComputeAnswer;
    },

    async count(): Promise<number> {
      return opened === null ? 0 : (await opened).threads.length;
    },

    async close(): Promise<void> {
      await (await opened)?.destroy();
    },
  };
}
