import { Session } from 'node:inspector/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';

/** Where the CPU was while a profile ran, by function. */
export interface ProfiledFunction {
  readonly name: string;
  /** Path within the project, package or name of a module of Node. */
  readonly file: string;
  readonly line: number;
  /** Time in the function itself, without what it called. */
  readonly selfMs: number;
  /** Of the time that was not idle, 0 to 1. */
  readonly share: number;
}

export interface Profile {
  readonly id: string;
  readonly startedBy: string;
  readonly startedAt: Date;
  /** When it ends by itself. */
  readonly endsAt: Date;
  readonly endedAt: Date | null;
  readonly sampleIntervalUs: number;
  readonly samples: number | null;
  /** Share of the time that the event loop waited, 0 to 1. */
  readonly idleShare: number | null;
  readonly functions: readonly ProfiledFunction[] | null;
}

interface SampledProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples?: readonly number[] | undefined;
  readonly timeDeltas?: readonly number[] | undefined;
}

const maxFunctions = 50;
const root = fileURLToPath(new URL('../../..', import.meta.url));

function placeOf(url: string): string {
  if (!url.startsWith('file:')) return url === '' ? '(native)' : url;
  return relative(root, fileURLToPath(url)).replace(/^.*node_modules\//, '');
}

/** Sums what the sampler saw up by function; the time of a sample is that since the one before. */
export function summarise({
  nodes,
  samples = [],
  timeDeltas = [],
}: SampledProfile): Pick<Profile, 'samples' | 'idleShare' | 'functions'> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const selfUs = new Map<string, { name: string; file: string; line: number; us: number }>();
  let [idleUs, busyUs] = [0, 0];
  samples.forEach((id, at) => {
    const frame = frames.get(id);
    const us = Math.max(0, timeDeltas[at] ?? 0);
    // To begin and to end a profile takes long in a large heap, and is no work of the process.
    if (!frame || frame.functionName === '(root)' || frame.url === 'node:inspector') return;
    if (frame.functionName === '(idle)') {
      idleUs += us;
      return;
    }
    busyUs += us;
    const name = frame.functionName || '(anonymous)';
    const file = placeOf(frame.url);
    const key = `${name} ${file}:${frame.lineNumber}`;
    const known = selfUs.get(key) ?? { name, file, line: frame.lineNumber + 1, us: 0 };
    known.us += us;
    selfUs.set(key, known);
  });
  const functions = [...selfUs.values()]
    .toSorted((one, two) => two.us - one.us)
    .slice(0, maxFunctions)
    .map(({ us, ...place }) => ({ ...place, selfMs: us / 1_000, share: busyUs === 0 ? 0 : us / busyUs }));
  return {
    samples: samples.length,
    idleShare: idleUs + busyUs === 0 ? null : idleUs / (idleUs + busyUs),
    functions,
  };
}

interface Running {
  readonly session: Session;
  readonly profile: Profile;
  readonly timer: NodeJS.Timeout;
}

export interface Profiler {
  /** @throws {INVALID_STATE} while one runs. */
  start(options: {
    readonly startedBy: string;
    readonly sampleIntervalUs: number;
    readonly maxMs: number;
  }): Promise<Profile>;
  /** @throws {INVALID_STATE} where none runs. */
  stop(): Promise<Profile>;
  /** The one that runs, else the last; null before the first. */
  current(): Profile | null;
  close(): Promise<void>;
}

/** Samples where the CPU of this process is (V8's profiler), for a time that ends by itself. One at a time. */
export function createProfiler(): Profiler {
  let running: Running | null = null;
  let last: Profile | null = null;
  // Starts and stops follow each other, whoever asks.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work, work);
    turn = done.catch(() => {});
    return done;
  };

  async function end(): Promise<Profile> {
    if (running === null) throw new PlatformError('INVALID_STATE', 'no profile runs in the instance that answers');
    const { session, profile, timer } = running;
    running = null;
    clearTimeout(timer);
    try {
      const { profile: sampled } = await session.post('Profiler.stop');
      last = { ...profile, endedAt: new Date(), ...summarise(sampled) };
      return last;
    } finally {
      session.disconnect();
    }
  }

  return {
    start: ({ startedBy, sampleIntervalUs, maxMs }) =>
      inTurn(async () => {
        if (running !== null) throw new PlatformError('INVALID_STATE', 'a profile runs already');
        const session = new Session();
        session.connect();
        await session.post('Profiler.enable');
        await session.post('Profiler.setSamplingInterval', { interval: sampleIntervalUs });
        await session.post('Profiler.start');
        const now = Date.now();
        const profile: Profile = {
          ...{ id: newId(), startedBy, sampleIntervalUs },
          ...{ startedAt: new Date(now), endsAt: new Date(now + maxMs), endedAt: null },
          ...{ samples: null, idleShare: null, functions: null },
        };
        const timer = setTimeout(() => void inTurn(end).catch(() => {}), maxMs).unref();
        running = { session, profile, timer };
        return profile;
      }),
    stop: () => inTurn(end),
    current: () => running?.profile ?? last,
    async close() {
      if (running !== null) await inTurn(end).catch(() => {});
    },
  };
}
