import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { monotonicMs } from '../load/clock.ts';
import { createHistogram, type LatencySummary } from '../load/histogram.ts';
import type { Acknowledgement, SentMessage } from './checker.ts';
import type { GraphClient } from './client.ts';
import { sendMessage } from './documents.ts';
import { digestOf } from './message.ts';
import type { StagedRun } from './stage.ts';

export interface ReplayOptions {
  readonly client: GraphClient;
  readonly runs: readonly StagedRun[];
  /** Messages a second, all dialogs together. */
  readonly ratePerSecond: number;
  readonly repeat: number;
  readonly signal: AbortSignal;
  onProgress(sent: number): void;
}

export interface Replay {
  readonly sent: readonly SentMessage[];
  readonly acknowledged: readonly Acknowledgement[];
  /** Monotonic ms at which the sender had the answer, by message. */
  readonly acknowledgedMs: readonly (readonly [id: string, atMs: number])[];
  readonly textBytes: number;
  readonly windowMs: number;
  /** From the sender's call to its answer. */
  readonly answerTimes: LatencySummary;
  /** Sends the platform answered as repeats of an earlier one, after an answer was lost. */
  readonly repeated: number;
}

const answerSchema = z.object({
  sendMessage: z.object({ duplicate: z.boolean().nullable(), message: z.object({ sequence: z.number().int() }) }),
});

interface Line {
  readonly staged: StagedRun;
  readonly total: number;
  next: number;
  /** One message at a time in each dialog: the next is said when the last was heard. */
  busy: boolean;
}

/** Says all runs at once, each in its order, at one common rate; the shorter ones more slowly, so that all last. */
export async function replay(options: ReplayOptions): Promise<Replay> {
  const { client, repeat, signal } = options;
  const prefix = randomUUID().slice(0, 8);
  const lines: Line[] = options.runs.map((staged) => ({
    staged,
    total: staged.run.messages.length * repeat,
    next: 0,
    busy: false,
  }));
  const total = lines.reduce((sum, line) => sum + line.total, 0);
  const sent: SentMessage[] = [];
  const acknowledged: Acknowledgement[] = [];
  const acknowledgedMs: [string, number][] = [];
  const answerTimes = createHistogram();
  const finished = Promise.withResolvers<void>();
  let textBytes = 0;
  let repeated = 0;
  let timer: NodeJS.Timeout | undefined;
  const startMs = monotonicMs();

  async function say(line: Line): Promise<void> {
    const { run, dialogId, agents } = line.staged;
    const round = Math.floor(line.next / run.messages.length);
    const index = line.next % run.messages.length;
    const { participant, topic, text } = run.messages[index]!;
    const { subject, caller } = agents.get(participant)!;
    const id = `${prefix}/${run.name}/${round}.${index}`;
    line.next += 1;
    line.busy = true;
    sent.push({ stream: dialogId, id, digest: digestOf(subject, topic, text) });
    textBytes += Buffer.byteLength(text);
    const input = { dialogId, clientMessageId: id, topic, content: { text } };
    const fromMs = monotonicMs();
    const answer = await client.call(sendMessage, { input }, caller);
    const atMs = monotonicMs();
    const { duplicate, message } = answerSchema.parse(answer).sendMessage;
    if (duplicate === true) repeated += 1;
    answerTimes.record(atMs - fromMs);
    acknowledged.push({ stream: dialogId, id, sequence: message.sequence });
    acknowledgedMs.push([id, atMs]);
    line.busy = false;
    options.onProgress(acknowledged.length);
    if (acknowledged.length === total) finished.resolve();
  }

  /** The dialog that is furthest behind; undefined while all that have more to say wait for an answer. */
  function pick(): Line | undefined {
    let chosen: Line | undefined;
    for (const line of lines) {
      if (line.busy || line.next >= line.total) continue;
      if (!chosen || line.next / line.total < chosen.next / chosen.total) chosen = line;
    }
    return chosen;
  }

  function pump(): void {
    if (signal.aborted) return;
    while (sent.length < total && monotonicMs() - startMs >= (sent.length * 1000) / options.ratePerSecond) {
      const line = pick();
      if (!line) break;
      say(line).catch(finished.reject);
    }
    if (sent.length === total) return;
    const dueInMs = startMs + (sent.length * 1000) / options.ratePerSecond - monotonicMs();
    timer = setTimeout(pump, Math.max(1, dueInMs));
  }

  const onAbort = (): void => finished.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    pump();
    await finished.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
  return {
    sent,
    acknowledged,
    acknowledgedMs,
    textBytes,
    windowMs: monotonicMs() - startMs,
    answerTimes: answerTimes.summary(),
    repeated,
  };
}
