import type { PreparedDatabase } from '../database.ts';
import type { FanOutResult } from '../load/openSubscribers.ts';
import { type MeasuredLoad, type Measurement, measurementOf } from '../measurement.ts';
import { scrapeMetrics } from '../metricsText.ts';
import { agentTokens, throughputMargin } from '../moduleMix.ts';
import { fanOutKinds, measureFanOut } from '../peers/fanOut/measureFanOut.ts';
import { profilingEnvironment } from '../profiling.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { type DialogSeed, dialogId } from '../seeds/dialog.ts';
import type { RunningServer } from '../serverProcess.ts';
import { lastSequenceFact, type RealtimeSendParams } from '../workloads/realtimeSend.ts';
import type { RealtimeSubscriptionParams } from '../workloads/realtimeSubscriptions.ts';
import { dialogSeed, smokeDialogs } from './dialog.ts';

interface FanOutOptions {
  readonly sendsPerSecond: number;
  /** @default 'poisson' */
  readonly gaps?: 'poisson' | 'constant';
  readonly durationSeconds: number;
  /** Processes of subscribers. */
  readonly workers: number;
}

interface FanOut {
  readonly load: MeasuredLoad;
  readonly fanOut: FanOutResult;
  readonly sockets: number;
  readonly bytesPerSocket: number;
  /** Delivered a second of the senders' window. */
  readonly deliveredPerSecond: number;
}

const settleMs = 1_000;
const startCollectedMs = 5_000;
const bareSeconds = 12;
const subscribeTimeoutMs = 60_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function untilSubscribed(server: RunningServer, sockets: number): Promise<void> {
  const giveUpMs = performance.now() + subscribeTimeoutMs;
  for (;;) {
    let active = 0;
    for (const [name, value] of await scrapeMetrics(server.origin)) {
      if (name.startsWith('mplp_active_subscriptions')) active += value;
    }
    if (active >= sockets) return;
    if (performance.now() > giveUpMs)
      throw new Error(`${active} of ${sockets} subscriptions stand after ${subscribeTimeoutMs} ms`);
    await sleep(100);
  }
}

interface Audience {
  readonly seed: DialogSeed;
  readonly sockets: number;
  readonly database: PreparedDatabase;
  readonly server: RunningServer;
  readonly params: RealtimeSubscriptionParams & RealtimeSendParams;
}

/** A server with dialogs in which every socket will be a participant of its own. */
async function openAudience(
  environment: PerfEnvironment,
  dialogs: number,
  socketsPerDialog: number,
): Promise<Audience> {
  const seed: DialogSeed = environment.smoke
    ? smokeDialogs
    : {
        contexts: 10,
        dialogs,
        participantsPerDialog: socketsPerDialog,
        subjects: Math.max(20, socketsPerDialog),
        messages: dialogs * 100,
      };
  const database = await environment.prepareDatabase(dialogSeed(seed));
  const server = await environment.startServer({ database, env: profilingEnvironment(), commitClock: true });
  const tokens = await agentTokens(server, seed.subjects);
  const used: DialogSeed = environment.smoke ? { ...seed, dialogs: Math.min(2, dialogs) } : seed;
  return {
    seed: used,
    sockets: used.dialogs * used.participantsPerDialog,
    database,
    server,
    params: { seed: used, tokens },
  };
}

/** Sockets that hear dialogs while one agent of each writes; all figures of the fan-out rows come from such a run. */
async function runFanOut(environment: PerfEnvironment, audience: Audience, options: FanOutOptions): Promise<FanOut> {
  const { seed, sockets, database, server, params } = audience;
  // A server gives back what its start took 2 s after it: later, so that its sockets are all that is counted.
  if (!environment.smoke) await sleep(startCollectedMs);
  const bytesBefore = server.residentBytes() ?? 0;
  const subscribers = await environment.openSubscribers({
    subscriptions: new URL('../workloads/realtimeSubscriptions.ts', import.meta.url),
    params,
    wsUrl: server.wsUrl,
    sockets,
    workers: environment.smoke ? 1 : options.workers,
  });
  await untilSubscribed(server, sockets);
  const bytesPerSocket = ((server.residentBytes() ?? 0) - bytesBefore) / sockets;
  const load = await environment.load({
    workload: new URL('../workloads/realtimeSend.ts', import.meta.url),
    params,
    server,
    database,
    arrival: {
      kind: 'open',
      ratePerSecond: options.sendsPerSecond,
      gaps: options.gaps ?? 'poisson',
    },
    durationSeconds: options.durationSeconds,
    connections: 16,
    onWindow: (phase) => void (phase === 'start' && subscribers.beginWindow()),
  });
  await sleep(environment.smoke ? 200 : settleMs);
  const lastSequences = new Map<string, number>();
  for (let dialog = 0; dialog < seed.dialogs; dialog += 1) {
    const last = load.facts[lastSequenceFact(dialog)];
    if (last !== undefined) lastSequences.set(dialogId(dialog), last);
  }
  const committed = await server.takeCommits();
  const fanOut = await subscribers.finish({ acknowledged: load.acknowledged, committed, lastSequences });
  return { load, fanOut, sockets, bytesPerSocket, deliveredPerSecond: (fanOut.received * 1_000) / load.windowMs };
}

/** Messages that got lost or came twice are wrong answers, whatever the times are. */
function measure(
  { load, fanOut, sockets, bytesPerSocket, deliveredPerSecond }: FanOut,
  row: string,
  achieved?: number,
): Measurement {
  const { gaps, duplicates, missing, silent, closed, errors, sinceCommitted } = fanOut;
  // What was received and never committed would be a lie of somebody.
  const untimed = fanOut.received - sinceCommitted.count;
  const closedCount = Object.values(closed).reduce((sum, times) => sum + times, 0);
  const delivered = Math.max(1, fanOut.received);
  const perDelivered = (us: number | null) => (us === null ? null : (us * load.latency.count) / delivered);
  const wrong = gaps + duplicates + missing + silent + untimed + closedCount + load.wrong;
  const times = (of: typeof sinceCommitted) =>
    `p50 ${of.p50Ms.toFixed(1)}, p95 ${of.p95Ms.toFixed(1)}, p99 ${of.p99Ms.toFixed(1)}, max ${of.maxMs.toFixed(1)} ms`;
  // Times begin with COMMIT: how late the sender was is no part of them.
  const { clientLag: _clientLag, ...measured } = measurementOf(load, {
    row,
    ...(achieved === undefined ? {} : { achieved }),
  });
  return {
    ...measured,
    latency: sinceCommitted,
    operations: fanOut.received,
    errors: { ...load.errors, ...errors },
    wrong,
    wrongExamples:
      wrong === 0
        ? []
        : [
            `gaps ${gaps}, duplicates ${duplicates}, missing ${missing}, silent ${silent}, without a time of COMMIT ${untimed}, closed ${JSON.stringify(closed)}`,
            ...load.wrongExamples,
          ],
    load: `${load.load}; ${sockets} sockets`,
    cpu: {
      serverUs: perDelivered(load.cpu.serverUs),
      databaseUs: perDelivered(load.cpu.databaseUs),
      clientUs: fanOut.clientCpuUsPerMessage,
    },
    boundBy: 'the server’s thread and the subscribers’ processes, which share the cores',
    notes: [
      `CPU is per delivered message; ${Math.round(deliveredPerSecond)} delivered a second`,
      `judged from the moment COMMIT returned to the server; since the sender had its answer: ${times(fanOut.sinceAcknowledged)}; since the transaction began: ${times(fanOut.sinceCreated)}`,
      `${(bytesPerSocket / 1024).toFixed(1)} KiB of the server's memory a socket; send p95 ${load.latency.p95Ms.toFixed(1)} ms`,
    ],
  };
}

/** What the machine gives: as many messages, evenly spaced, from bare `ws` to as many sockets of one process. */
async function measureBareSockets(sockets: number, perSecond: number): Promise<string> {
  const kinds = fanOutKinds.filter(({ name }) => name === 'bare-each');
  const load = {
    sockets,
    burst: 1,
    everyMs: 1_000 / perSecond,
    bursts: Math.round(perSecond * bareSeconds),
    rounds: 1,
  };
  const [bare] = await measureFanOut(kinds, load, () => {});
  if (!bare) throw new Error('the fan-out of bare sockets gave no figure');
  const { cpuUsPerDelivery, p50Ms, p99Ms } = bare;
  return `bare ws, as many messages evenly spaced to as many sockets, no database: ${cpuUsPerDelivery.toFixed(1)} us a message, p50 ${p50Ms.toFixed(1)}, p99 ${p99Ms.toFixed(1)} ms from its publishing`;
}

const delivery = 'throughput.real_time_operations.notification_delivery';
const updates = 'l2.dialog_module.real_time_updates';

export const scenarios: readonly Scenario[] = [
  {
    rows: [updates, delivery],
    title: 'one dialog of 1,000 subscribers',
    async run(environment) {
      const { dialogs = 1, subscribers = 1_000 } = environment.design(updates).dataSet;
      const audience = await openAudience(environment, dialogs, subscribers);
      const measurements: Measurement[] = [];
      for (const [row, variant, gaps, margin] of [
        [updates, 'even gaps', 'constant', 1],
        [updates, 'Poisson', 'poisson', 1],
        [delivery, 'Poisson', 'poisson', throughputMargin],
      ] as const) {
        const { ratePerSecond, durationSeconds } = environment.design(row);
        const run = await runFanOut(environment, audience, {
          sendsPerSecond: ratePerSecond! * margin,
          gaps,
          durationSeconds,
          workers: 1,
        });
        const measurement = measure(run, row, row === delivery ? run.deliveredPerSecond : undefined);
        measurements.push({ ...measurement, variant });
      }
      if (environment.smoke) return measurements;
      const ceiling = await measureBareSockets(audience.sockets, environment.design(updates).ratePerSecond!);
      return measurements.map((measurement) => ({ ...measurement, notes: [...(measurement.notes ?? []), ceiling] }));
    },
  },
  {
    rows: ['throughput.real_time_operations.message_throughput'],
    title: 'messages to 10,000 sockets in ten groups',
    async run(environment) {
      const row = 'throughput.real_time_operations.message_throughput';
      const { dataSet, ratePerSecond, durationSeconds } = environment.design(row);
      const { dialogs = 10, sockets = 10_000 } = dataSet;
      const audience = await openAudience(environment, dialogs, sockets / dialogs);
      const run = await runFanOut(environment, audience, {
        sendsPerSecond: ratePerSecond! * throughputMargin,
        durationSeconds,
        workers: 2,
      });
      return [measure(run, row, run.deliveredPerSecond)];
    },
  },
  {
    rows: ['throughput.real_time_operations.websocket_connections'],
    title: '10,000 sockets in a hundred groups',
    async run(environment) {
      const row = 'throughput.real_time_operations.websocket_connections';
      const { dataSet, durationSeconds } = environment.design(row);
      const { dialogs = 100, sockets = 10_000 } = dataSet;
      const audience = await openAudience(environment, dialogs, sockets / dialogs);
      const run = await runFanOut(environment, audience, {
        sendsPerSecond: dialogs * throughputMargin,
        durationSeconds,
        workers: 2,
      });
      const closed = Object.values(run.fanOut.closed).reduce((sum, times) => sum + times, 0);
      return [measure(run, row, run.fanOut.subscribed - closed - run.fanOut.silent)];
    },
  },
];
