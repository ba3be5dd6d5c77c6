import { runLoad } from '../load/runLoad.ts';
import { readProcessCpuMs } from '../processCpu.ts';
import type { AnsweredQuestion } from './answers.ts';
import { type OperationName, operationNames } from './graph/operations.ts';
import type { PeerProcess } from './peerProcess.ts';
import type { PeerWorkloadParams } from './workload.ts';

/** A peer that runs and has shown that it answers rightly. */
export interface ReadyPeer {
  readonly name: string;
  readonly process: PeerProcess;
  readonly answered: readonly AnsweredQuestion[];
}

/** One window of one peer. */
export interface Window {
  readonly peer: string;
  readonly operation: OperationName;
  readonly round: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU of the peer's own process for a request, us. */
  readonly peerCpuUs: number;
  /** CPU of the process of the subgraphs for a request, us. */
  readonly subgraphCpuUs: number;
}

export interface MeasureOptions {
  readonly peers: readonly ReadyPeer[];
  readonly subgraphs: PeerProcess;
  readonly tokensFile: string | null;
  readonly rounds: number;
  readonly concurrency: number;
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  readonly log: (line: string) => void;
}

/**
 * Puts each operation on each peer in closed loops, round by round, every second round in the other order, so that what
 * else the machine does meets all of them alike.
 * @throws {Error} when a peer gives one wrong answer or error.
 */
export async function measurePeers(options: MeasureOptions): Promise<readonly Window[]> {
  const { peers, rounds } = options;
  const sent = new Map<string, number>();
  const windows: Window[] = [];
  for (const operation of operationNames) {
    for (let round = 0; round < rounds; round += 1) {
      for (const peer of round % 2 === 0 ? peers : peers.toReversed()) {
        const window = await measureWindow(peer, { ...options, operation, round, sent });
        windows.push(window);
        const { requestsPerSecond, peerCpuUs } = window;
        options.log(
          `${operation}, round ${round + 1}: ${peer.name} ${Math.round(requestsPerSecond)} requests/s, ${Math.round(peerCpuUs)} us of CPU each`,
        );
      }
    }
  }
  return windows;
}

/** Before the first round compilers have everything to do. */
export const firstWarmup = 3;

interface WindowOptions extends MeasureOptions {
  readonly operation: OperationName;
  readonly round: number;
  /** Requests sent to each peer so far. */
  readonly sent: Map<string, number>;
}

async function measureWindow(peer: ReadyPeer, options: WindowOptions): Promise<Window> {
  const { operation, round, sent, subgraphs } = options;
  const from = sent.get(peer.name) ?? peer.answered.length;
  const params: PeerWorkloadParams = {
    operation,
    questions: peer.answered.filter((question) => question.operation === operation),
    tokensFile: options.tokensFile,
    from,
  };
  const pids = [peer.process.pid, subgraphs.pid];
  const read = (): number[] => pids.map((pid) => readProcessCpuMs(pid) ?? Number.NaN);
  let before: number[] = [];
  let after: number[] = [];
  const result = await runLoad({
    workload: new URL('./workload.ts', import.meta.url),
    params,
    url: `${peer.process.origin}/graphql`,
    arrival: { kind: 'closed', concurrency: options.concurrency },
    warmupSeconds: options.warmupSeconds * (round === 0 ? firstWarmup : 1),
    durationSeconds: options.durationSeconds,
    onWindow: (phase) => {
      if (phase === 'start') before = read();
      else after = read();
    },
  });
  sent.set(peer.name, from + (result.facts['sent'] ?? 0));
  if (result.errorCount > 0 || result.wrong > 0)
    throw new Error(
      `${peer.name}, ${operation}: ${result.wrong} wrong answers, errors ${JSON.stringify(result.errors)}; ${result.wrongExamples.join('; ')}`,
    );
  const answered = (result.achievedPerSecond * result.windowMs) / 1_000;
  const [peerCpuUs, subgraphCpuUs] = pids.map((_, index) => ((after[index]! - before[index]!) * 1_000) / answered);
  return {
    peer: peer.name,
    operation,
    round,
    requestsPerSecond: result.achievedPerSecond,
    p50Ms: result.latency.p50Ms,
    p99Ms: result.latency.p99Ms,
    peerCpuUs: peerCpuUs!,
    subgraphCpuUs: subgraphCpuUs!,
  };
}
