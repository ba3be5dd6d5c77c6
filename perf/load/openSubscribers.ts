import type { ChildProcess } from 'node:child_process';
import { endChild, forkModule } from './childProcess.ts';
import { createHistogram, type LatencySummary } from './histogram.ts';
import type { FromSubscriber, SubscriberFinish, SubscriberReport, ToSubscriber } from './subscriberMessages.ts';

export interface SubscriberOptions {
  /** Module that exports `createSubscriptions`. */
  readonly subscriptions: URL;
  readonly params?: unknown;
  readonly wsUrl: string;
  /** Sockets of all processes together, one subscription each. */
  readonly sockets: number;
  /** @default 1 */
  readonly workers?: number;
  /** @default 50 */
  readonly connectConcurrency?: number;
  /** @default 1 */
  readonly seed?: number;
}

export interface FanOutResult {
  readonly subscribed: number;
  readonly received: number;
  readonly receivedPerSecond: number;
  /** From the moment COMMIT returned to the server; of the events whose time was told. */
  readonly sinceCommitted: LatencySummary;
  /** From the start of the writing transaction (its clock has whole ms): never less than from its COMMIT. */
  readonly sinceCreated: LatencySummary;
  /** From the moment the sender had its answer: never more than from the COMMIT. */
  readonly sinceAcknowledged: LatencySummary;
  readonly gaps: number;
  readonly duplicates: number;
  readonly missing: number;
  /** Sockets that got no event at all. */
  readonly silent: number;
  /** Sockets the server closed, by code. */
  readonly closed: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly clientCpuUsPerMessage: number;
  readonly windowMs: number;
}

/** What others know of the events that the subscribers got. */
export interface KnownOfEvents {
  /** `acknowledged` of the sender's LoadResult. */
  readonly acknowledged?: ReadonlyMap<string, number>;
  /** `takeCommits` of the server. */
  readonly committed?: ReadonlyMap<string, number>;
  /** Last sequence of each stream: what did not come up to there counts as missing. */
  readonly lastSequences?: ReadonlyMap<string, number>;
}

export interface Subscribers {
  /** Forgets what came so far (sequences are kept): the measured window begins. */
  beginWindow(): void;
  /**
   * Ends it and closes the sockets.
   */
  finish(known?: KnownOfEvents): Promise<FanOutResult>;
  close(): Promise<void>;
}

function waitFor<Type extends FromSubscriber['type']>(
  child: ChildProcess,
  type: Type,
): Promise<Extract<FromSubscriber, { type: Type }>> {
  return new Promise((resolve, reject) => {
    const isWanted = (message: FromSubscriber): message is Extract<FromSubscriber, { type: Type }> =>
      message.type === type;
    const settle = (): void => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    function onExit(code: number | null): void {
      settle();
      reject(new Error(`a subscriber process ended early (exit code ${code})`));
    }
    function onMessage(message: FromSubscriber): void {
      if (message.type === 'failed') {
        settle();
        reject(new Error(`a subscriber process failed: ${message.message}`));
      } else if (isWanted(message)) {
        settle();
        resolve(message);
      }
    }
    child.on('message', onMessage);
    child.once('exit', onExit);
  });
}

function sumCounts(
  reports: readonly SubscriberReport[],
  pick: (report: SubscriberReport) => Readonly<Record<string, number>>,
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const report of reports)
    for (const [name, times] of Object.entries(pick(report))) sums[name] = (sums[name] ?? 0) + times;
  return sums;
}

function combine(reports: readonly SubscriberReport[]): FanOutResult {
  const sinceCommitted = createHistogram();
  const sinceCreated = createHistogram();
  const sinceAcknowledged = createHistogram();
  const sum = (pick: (report: SubscriberReport) => number): number =>
    reports.reduce((total, report) => total + pick(report), 0);
  for (const report of reports) {
    sinceCommitted.merge(report.sinceCommitted);
    sinceCreated.merge(report.sinceCreated);
    sinceAcknowledged.merge(report.sinceAcknowledged);
  }
  const received = sum((report) => report.received);
  const windowMs = Math.max(...reports.map((report) => report.windowMs));
  return {
    subscribed: sum((report) => report.subscribed),
    received,
    receivedPerSecond: (received * 1000) / windowMs,
    sinceCommitted: sinceCommitted.summary(),
    sinceCreated: sinceCreated.summary(),
    sinceAcknowledged: sinceAcknowledged.summary(),
    gaps: sum((report) => report.gaps),
    duplicates: sum((report) => report.duplicates),
    missing: sum((report) => report.missing),
    silent: sum((report) => report.silent),
    closed: sumCounts(reports, (report) => report.closed),
    errors: sumCounts(reports, (report) => report.errors),
    clientCpuUsPerMessage: received === 0 ? 0 : (sum((report) => report.cpuMs) * 1000) / received,
    windowMs,
  };
}

/**
 * Opens sockets from processes of their own; resolves when every one has sent its subscription.
 * @throws {Error} when a socket is refused
 */
export async function openSubscribers(options: SubscriberOptions): Promise<Subscribers> {
  const workers = options.workers ?? 1;
  const children = Array.from({ length: workers }, () => forkModule(new URL('./subscribers.ts', import.meta.url)));
  const send = (child: ChildProcess, message: ToSubscriber): boolean => child.send(message);
  const close = async (): Promise<void> => void (await Promise.all(children.map(endChild)));
  try {
    let firstIndex = 0;
    const subscribed = children.map((child, worker) => {
      const sockets = Math.floor(options.sockets / workers) + (worker < options.sockets % workers ? 1 : 0);
      send(child, {
        type: 'start',
        spec: {
          subscriptions: options.subscriptions.href,
          params: options.params,
          wsUrl: options.wsUrl,
          sockets,
          firstIndex,
          connectConcurrency: options.connectConcurrency ?? 50,
          seed: options.seed ?? 1,
          worker,
          workers,
        },
      });
      firstIndex += sockets;
      return waitFor(child, 'subscribed');
    });
    await Promise.all(subscribed);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    beginWindow() {
      for (const child of children) send(child, { type: 'window' });
    },
    async finish({ acknowledged = new Map(), committed = new Map(), lastSequences = new Map() } = {}) {
      const finish: SubscriberFinish = {
        acknowledged: [...acknowledged],
        committed: [...committed],
        lastSequences: [...lastSequences],
      };
      try {
        const reports = children.map((child) => waitFor(child, 'report'));
        for (const child of children) {
          send(child, { type: 'finish', finish });
        }
        return combine((await Promise.all(reports)).map(({ report }) => report));
      } finally {
        await close();
      }
    },
    close,
  };
}
