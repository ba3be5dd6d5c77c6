import type { Random } from '../load/random.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  type Verdict,
  withoutUserErrors,
} from '../load/workload.ts';
import { countWithin, type LogDay, newestOf, sourceName } from '../seeds/logDay.ts';
import { logSources } from '../seeds/observed.ts';

export interface LogQueriesParams {
  readonly day: LogDay;
  readonly token: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const logQuery = `query Logs($filter: PlatformLogFilter!) {
  logs(filter: $filter, first: 20) {
    nodes { id timestamp level module operation message correlationId metadata } pageInfo { hasNextPage endCursor }
  }
}`;
const logAggregation = `query Counts($filter: PlatformLogAggregationFilter!) {
  logAggregation(filter: $filter, groupBy: [LEVEL], interval: MINUTE) { total buckets { start level count } }
}`;
const logWrite = `mutation Write($input: PlatformLogInput!) {
  writeLog(input: $input) { accepted id userErrors { code message } }
}`;

const pageSize = 20;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const rangeMs = 5 * minuteMs;

/** Minutes before the end of the day, the newest twice as likely as the oldest. */
function someMinute(random: Random): number {
  for (;;) {
    const age = random.next();
    if (random.next() < 1 - age / 2) return Math.floor(age * (24 * 60 - 5));
  }
}

interface FoundBucket {
  readonly start: string;
  readonly count: number;
}

/** Pages of the log and its counts by minute over a day that lies behind, beside records that are written now. */
export const createWorkload: CreateWorkload<LogQueriesParams> = ({ day, token, mix }) => {
  const headers = { authorization: `Bearer ${token}` };
  const lastMinuteMs = Math.floor(day.endMs / minuteMs) * minuteMs;
  const facts = { pages: 0, records: 0, buckets: 0, aggregations: 0 };
  const iso = (ms: number): string => new Date(ms).toISOString();

  function judgePage(data: unknown, expected: readonly string[]): Verdict {
    const nodes = (readPath(data, 'logs', 'nodes') ?? []) as { message: string }[];
    facts.pages += 1;
    facts.records += nodes.length;
    const isRight = nodes.length === expected.length && nodes.every(({ message }, at) => message === expected[at]);
    return (
      isRight ||
      `expected ${expected.length} records from ${expected[0]}, got ${nodes.length} from ${nodes[0]?.message}`
    );
  }

  function judgeCounts(data: unknown, expected: number): Verdict {
    const buckets = (readPath(data, 'logAggregation', 'buckets') ?? []) as FoundBucket[];
    facts.aggregations += 1;
    facts.buckets += buckets.length;
    const total = readPath(data, 'logAggregation', 'total');
    const sum = buckets.reduce((all, { count }) => all + count, 0);
    if (total !== expected || sum !== expected)
      return `expected ${expected} records, got ${total} in all and ${sum} in buckets`;
    return buckets.every(({ start }, at) => at === 0 || start >= buckets[at - 1]!.start) || 'minutes out of order';
  }

  const next: Readonly<Record<string, (random: Random) => GraphqlCall>> = {
    log_query(random) {
      const source = random.integer(logSources);
      const toMs = lastMinuteMs - someMinute(random) * minuteMs;
      const fromMs = toMs - rangeMs;
      const filter = { levels: ['INFO'], modules: [sourceName(source)], from: iso(fromMs), to: iso(toMs) };
      const expected = newestOf(day, source, { fromMs, toMs, most: pageSize });
      return { query: logQuery, variables: { filter }, headers, check: ({ data }) => judgePage(data, expected) };
    },
    log_aggregation(random) {
      const fromMs = lastMinuteMs - (1 + random.integer(24)) * hourMs;
      const filter = { from: iso(fromMs), to: iso(lastMinuteMs) };
      const expected = countWithin(day, fromMs, lastMinuteMs);
      return {
        query: logAggregation,
        variables: { filter },
        headers,
        check: ({ data }) => judgeCounts(data, expected),
      };
    },
    log_write: (random) => ({
      query: logWrite,
      variables: {
        input: {
          level: 'INFO',
          message: 'measured',
          module: sourceName(random.integer(logSources)),
          metadata: { n: 1 },
        },
      },
      headers,
      check(response) {
        const verdict = withoutUserErrors(response, 'writeLog');
        if (verdict !== true) return verdict;
        return readPath(response.data, 'writeLog', 'accepted') === true || 'the record was not taken';
      },
    }),
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
    facts: () => facts,
  };
};
