import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createProgress } from '../load/progress.ts';
import { createCpuWatch } from '../processCpu.ts';
import { type Audience, openAudience } from './audience.ts';
import { createGraphClient } from './client.ts';
import type { DemoOptions } from './options.ts';
import { openPlatform } from './platform.ts';
import { pickRuns, type RecordedRun, readRuns } from './recordedRuns.ts';
import { type Replay, replay } from './replay.ts';
import type { DemoResult } from './report.ts';
import { readHistory, type StagedRun, setStage } from './stage.ts';
import type { AudienceReport, AudienceSpec } from './subscriberMessages.ts';

const recordedFolder = fileURLToPath(new URL('../../../shared/data/dialogs', import.meta.url));
const sampleFolder = fileURLToPath(new URL('./sample', import.meta.url));

const cutShare = 0.1;
/** The protocol does not acknowledge a subscription: time for the last to be live. */
const settleMs = 500;
const patienceMs = 10_000;
const plainProgressEveryMs = 2_000;

async function loadRuns(options: DemoOptions, print: (line: string) => void): Promise<readonly RecordedRun[]> {
  let folder = options.runsFolder ?? recordedFolder;
  if (options.runsFolder === undefined && !existsSync(folder)) {
    print(`${folder} is absent: replaying the smaller sample in perf/demo/sample, runs of our own invention`);
    folder = sampleFolder;
  }
  return pickRuns(await readRuns(folder), options.runs);
}

function audienceOf(runs: readonly StagedRun[], { subscribers, seed }: DemoOptions, wsUrl: string): AudienceSpec {
  const dialogs = runs.map(({ dialogId, cursor, agents, observer }) => {
    const own = [...agents.values()].map(({ caller }) => caller.authorization).slice(0, subscribers);
    const others = Array.from({ length: subscribers - own.length }, () => observer.authorization);
    return { dialogId, cursor, authorizations: [...own, ...others] };
  });
  return { wsUrl, dialogs, seed };
}

interface ReplayShow {
  readonly total: number;
  readonly audience: Audience;
  play(onProgress: (sent: number) => void): Promise<Replay>;
}

/** A bar on a terminal, a line now and then elsewhere. */
async function showReplay({ total, audience, play }: ReplayShow): Promise<Replay> {
  const progress = createProgress({ total, label: 'replay', stream: process.stdout });
  const note = (sent: number): string => {
    const { deliveries, cuts } = audience.progress;
    return `${sent} of ${total} sent, ${deliveries} delivered, ${cuts} cuts`;
  };
  let sent = 0;
  const plain = process.stdout.isTTY
    ? undefined
    : setInterval(() => progress.line(`  ${note(sent)}`), plainProgressEveryMs);
  try {
    return await play((count) => {
      sent = count;
      progress.update(count, note(count));
    });
  } finally {
    clearInterval(plain);
    progress.done();
  }
}

/**
 * Replays recorded runs before subscribers that are cut and come back, and compares what they got with what was said.
 * @throws {Error} when the platform fails, or `signal` ends it early
 */
export async function runDemo(
  options: DemoOptions,
  { signal, print }: { readonly signal: AbortSignal; readonly print: (line: string) => void },
): Promise<DemoResult> {
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true });
  const orAborted = <T>(work: Promise<T>): Promise<T> => Promise.race([work, aborted.promise]);

  const [loadBefore = 0] = loadavg();
  await using own = new AsyncDisposableStack();
  const runs = await loadRuns(options, print);
  // Not raced: a platform that is being started has to be stopped as well.
  const platform = await openPlatform({ url: options.url, dataDir: options.dataDir, tenant: 'demo' });
  own.defer(() => platform.close());
  signal.throwIfAborted();
  for (const line of platform.notes) print(line);

  const connections = Math.min(64, runs.length + 1);
  const client = await orAborted(createGraphClient({ url: platform.url, connections, timeoutMs: 10_000 }));
  own.defer(() => client.close());
  const stage = await orAborted(setStage({ client, platform, runs }));
  const agents = stage.runs.reduce((sum, staged) => sum + staged.agents.size, 0);
  print(
    `${runs.length} dialogs in ${stage.contexts} ${stage.contexts === 1 ? 'context' : 'contexts'}, ${agents} agents joined with tokens of their own`,
  );

  const audience = await openAudience(audienceOf(stage.runs, options, platform.wsUrl));
  own.defer(() => audience.close());
  signal.throwIfAborted();
  print(`${options.subscribers} subscribers per dialog: the dialog's agents, the rest as its observer`);
  await orAborted(sleep(settleMs));

  // Of what was done to set the stage nobody asks.
  await orAborted(platform.takeCommits());
  const watch = createCpuWatch(platform.pids);
  const total = stage.runs.reduce((sum, { run }) => sum + run.messages.length, 0) * options.repeat;
  const durationMs = (total * 1000) / options.ratePerSecond;
  watch.start();
  if (options.cuts > 0) audience.cut({ share: cutShare, everyMs: Math.max(200, durationMs / options.cuts) });
  const played = await showReplay({
    total,
    audience,
    play: (onProgress) =>
      replay({
        client,
        runs: stage.runs,
        ratePerSecond: options.ratePerSecond,
        repeat: options.repeat,
        signal,
        onProgress,
      }),
  });
  watch.end();
  const rows = (await orAborted(Promise.all(stage.runs.map((staged) => readHistory(client, staged))))).flat();
  const { sent, acknowledged, acknowledgedMs } = played;
  const lengths = stage.runs.map(({ dialogId, run }) => [dialogId, run.messages.length * options.repeat] as const);
  const committed = await orAborted(platform.takeCommits());
  const committedMs = committed && [...committed];
  const report: AudienceReport = await orAborted(
    audience.finish({ record: { sent, acknowledged, rows }, acknowledgedMs, committedMs, lengths, patienceMs }),
  );
  return {
    contexts: stage.contexts,
    dialogs: runs.length,
    replay: played,
    audience: report,
    cpu: watch.use(),
    retries: client.retries,
    loadBefore,
  };
}
