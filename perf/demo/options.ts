import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** GraphQL endpoint of a platform that runs already; without it one is started. */
  readonly url: string | undefined;
  /** Folder of the started platform, kept afterwards; with `url`, where that platform's development key lies. */
  readonly dataDir: string | undefined;
  /** Folder of recorded runs. */
  readonly runsFolder: string | undefined;
  /** Number of runs at most. */
  readonly runs: number;
  /** Subscribers of each dialog. */
  readonly subscribers: number;
  /** Messages a second, all dialogs together. */
  readonly ratePerSecond: number;
  /** How often each run is said. */
  readonly repeat: number;
  /** How often each of the subscribers that are cut is cut, about. */
  readonly cuts: number;
  readonly seed: number;
}

export const usage = `usage: npm run demo -- [options]
Replays recorded agent runs as dialogs, with subscribers in another process that are cut and come back, and checks
that each of them got every message once, in order and unchanged.
  --runs N          recorded runs at most (default: all)
  --subscribers N   subscribers of each dialog (default 50)
  --rate N          messages a second, all dialogs together (default 100)
  --repeat N        says every run N times (default 1)
  --cuts N          times a tenth of the subscribers is cut, about (default 4; 0 cuts none)
  --data FOLDER     recorded runs (default ../shared/data/dialogs, else the sample in perf/demo/sample)
  --url URL         uses the platform that runs there, e.g. http://127.0.0.1:4000/graphql
  --data-dir FOLDER keeps the started platform's data there; with --url, the DATA_DIR of that platform
  --seed N          seed of what is random (default 1)
`;

export class UsageError extends Error {}

function readNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > 1_000_000)
    throw new UsageError(`--${name}: expected a whole number from ${least} to 1000000, got "${text}"`);
  return value;
}

/** @throws {UsageError} for arguments that make no sense */
export function readOptions(args: readonly string[]): DemoOptions | 'help' {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return 'help';
  if (values.url !== undefined && !/^http:\/\//.test(values.url))
    throw new UsageError(`--url: expected http://host:port/graphql, got "${values.url}"`);
  return {
    url: values.url,
    dataDir: values['data-dir'],
    runsFolder: values.data,
    runs: values.runs === undefined ? Number.POSITIVE_INFINITY : readNumber('runs', values.runs, 1),
    subscribers: readNumber('subscribers', values.subscribers, 1),
    ratePerSecond: readNumber('rate', values.rate, 1),
    repeat: readNumber('repeat', values.repeat, 1),
    cuts: readNumber('cuts', values.cuts, 0),
    seed: readNumber('seed', values.seed, 0),
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      url: { type: 'string' },
      'data-dir': { type: 'string' },
      data: { type: 'string' },
      runs: { type: 'string' },
      subscribers: { type: 'string', default: '50' },
      rate: { type: 'string', default: '100' },
      repeat: { type: 'string', default: '1' },
      cuts: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values;
}
