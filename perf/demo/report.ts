import { availableParallelism } from 'node:os';
import { createHistogram, type HistogramData } from '../load/histogram.ts';
import type { CpuUse } from '../processCpu.ts';
import { isClean } from './checker.ts';
import type { Replay } from './replay.ts';
import type { AudienceReport } from './subscriberMessages.ts';

export interface DemoResult {
  readonly contexts: number;
  readonly dialogs: number;
  readonly replay: Replay;
  readonly audience: AudienceReport;
  /** CPU while messages were said and heard. */
  readonly cpu: CpuUse;
  readonly retries: number;
  /** Load average of the machine before the demo: what else ran on it. */
  readonly loadBefore: number;
}

/** True when every subscriber got every message once, in order and unchanged. */
export function isFaultless({ audience }: DemoResult): boolean {
  return isClean(audience.findings);
}

const plural = (many: number, noun: string): string => `${count(many)} ${noun}${many === 1 ? '' : 's'}`;
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const count = (value: number): string => whole.format(value);
const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1).padStart(7);
const perSecond = (value: number, windowMs: number): string => count(windowMs > 0 ? (value * 1000) / windowMs : 0);

function latencyLine(name: string, data: HistogramData, note: string): string {
  const histogram = createHistogram();
  histogram.merge(data);
  const { p50Ms, p95Ms, p99Ms, maxMs } = histogram.summary();
  return `  ${name.padEnd(23)}${ms(p50Ms)} ${ms(p95Ms)} ${ms(p99Ms)} ${ms(maxMs)}   ${note}`;
}

/** What real time is judged by; the other times begin later, or earlier. */
function commitLine({ sinceCommitted, untimed }: AudienceReport): string {
  const name = 'COMMIT to client';
  if (sinceCommitted === null) return `  ${name.padEnd(23)} unknown: the platform was not started by the demo`;
  const note = untimed === 0 ? '' : `, of all but ${count(untimed)} deliveries`;
  return latencyLine(name, sinceCommitted, `from the moment COMMIT returned to the server${note}`);
}

function listCounts(counts: Readonly<{ [name: string]: number }>): string {
  return Object.entries(counts)
    .map(([name, times]) => `${name} (${times})`)
    .join(', ');
}

/** The figures as lines of text. */
export function describeResult(result: DemoResult): readonly string[] {
  const { audience, replay, cpu } = result;
  const { findings } = audience;
  const messages = replay.acknowledged.length;
  const { p50Ms, p95Ms, p99Ms, maxMs } = replay.answerTimes;
  const microseconds = (cpuMs: number | null): string =>
    cpuMs === null || audience.deliveries === 0 ? 'unknown' : `${((cpuMs * 1000) / audience.deliveries).toFixed(1)} us`;
  const lines = [
    '',
    `dialogs      ${count(result.dialogs)} in ${plural(result.contexts, 'context')}, ${count(audience.subscribers)} subscribers in another process`,
    `messages     ${count(messages)} (${(replay.textBytes / 1e6).toFixed(2)} MB) in ${(replay.windowMs / 1000).toFixed(1)} s: ${perSecond(messages, replay.windowMs)} a second`,
    `deliveries   ${count(audience.deliveries)}: ${perSecond(audience.deliveries, audience.windowMs)} a second`,
    `cuts         ${count(audience.cuts)}, of ${count(audience.subscribersCut)} subscribers; ${count(audience.resumed)} times resumed, ${count(audience.replayed)} messages replayed`,
    `gaps ${findings.gaps}, duplicates ${findings.duplicates}, reordered ${findings.reordered}, wrong content ${findings.wrongContent}, missing ${findings.missing}`,
    '',
    `  ms                         p50     p95     p99     max`,
    commitLine(audience),
    latencyLine(
      'answer to client',
      audience.sinceAcknowledged,
      'from the moment the sender had its answer, shortly after COMMIT',
    ),
    latencyLine(
      'created to client',
      audience.sinceCreated,
      'from createdAt, the start of the transaction: COMMIT included',
    ),
    latencyLine('replay', audience.replayWait, 'from asking to go on to the first message that was missed'),
    `  ${'sendMessage'.padEnd(23)}${ms(p50Ms)} ${ms(p95Ms)} ${ms(p99Ms)} ${ms(maxMs)}   from the call to the answer`,
    '',
    `CPU per delivery  server ${microseconds(cpu.serverMs)}, PostgreSQL ${microseconds(cpu.databaseMs)} (sending, cutting and resuming included), subscribers ${microseconds(audience.cpuMs)}`,
  ];
  const cores = availableParallelism();
  const busy = result.loadBefore > cores / 2 ? ': others were at work, the times hold their share of the cores' : '';
  lines.push(`machine           ${plural(cores, 'core')}, load average ${result.loadBefore.toFixed(1)} before${busy}`);
  if (result.retries > 0) lines.push(`sent again ${result.retries} times, ${replay.repeated} of them had been stored`);
  if (Object.keys(audience.closed).length > 0) lines.push(`the server closed sockets: ${listCounts(audience.closed)}`);
  if (Object.keys(audience.errors).length > 0) lines.push(`subscribers were told: ${listCounts(audience.errors)}`);
  for (const example of findings.examples) lines.push(`! ${example}`);
  return lines;
}
