import type { ComputePool } from '#shared/computePool.ts';
import { deterministicName, deterministicVersion } from './deterministic.ts';
import type { AnalysisProvider, DialogSummary, MessageAnalysis, SuggestedReply } from './provider.ts';

const thread = new URL('./analysisThread.ts', import.meta.url);
/** A message of 256 KiB takes some 40 ms, 10,000 messages 2 s: beyond these something is wrong with the input. */
const analyzeTimeoutMs = 30_000;
const summarizeTimeoutMs = 60_000;

/**
 * The default provider off the event loop. Nobody waits for the analysis of a message; a summary was asked for, and who
 * asked waits.
 */
export function createPooledProvider(compute: ComputePool): AnalysisProvider {
  return {
    name: deterministicName,
    version: deterministicVersion,
    analyzeMessages: (messages, { signal } = {}) =>
      compute.run<readonly MessageAnalysis[]>(thread, 'analyzeMessages', messages, {
        lane: 'background',
        signal,
        timeoutMs: analyzeTimeoutMs,
      }),
    suggestReply: (request, { signal } = {}) =>
      compute.run<SuggestedReply | null>(thread, 'suggestReply', request, {
        lane: 'background',
        signal,
        timeoutMs: analyzeTimeoutMs,
      }),
    summarize: (messages, { signal, ...options } = {}) =>
      compute.run<DialogSummary>(
        thread,
        'summarizeMessages',
        { messages, options },
        { lane: 'interactive', signal, timeoutMs: summarizeTimeoutMs },
      ),
  };
}
