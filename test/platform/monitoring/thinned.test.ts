import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendSamples, type NewSample } from '#shared/metrics/history.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import {
  computeSteps,
  type MetricFunction,
  type SampledSeries,
} from '../../../subgraphs/platform/monitoring/compute.ts';
import { queryMetric } from '../../../subgraphs/platform/monitoring/reading.ts';
import { createTestDatabase } from '../../support/database.ts';

const bounds = [1, 2, 5];
const range = { fromMs: Date.UTC(2026, 4, 1, 12), stepMs: 60_000, steps: 5 };
/** By minute, as a whole, and what lies behind new beginnings of the first minutes. */
const ranges = [range, { ...range, stepMs: 300_000, steps: 1 }, { ...range, fromMs: range.fromMs + 240_000, steps: 3 }];
const lookBackMs = 120_000;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'thinned-test', max: 2 });
});
afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
});

/** Increases of a process's buckets at times within the range and before it; `anew` where the process has begun again. */
const history = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 1, max: 40_000 }),
    grown: fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5), fc.nat(5)),
    anew: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  }),
  { minLength: 1, maxLength: 25 },
);

type Told = { readonly atMs: number; readonly buckets: number[] };

function totalsOf(steps: readonly { afterMs: number; grown: readonly number[]; anew: boolean }[]): Told[] {
  let atMs = range.fromMs - 90_000;
  let buckets = [0, 0, 0, 0];
  return steps.map(({ afterMs, grown, anew }) => {
    atMs += afterMs;
    buckets = grown.map((more, at) => (anew ? more : buckets[at]! + more));
    return { atMs, buckets };
  });
}

const metricOf = (kind: string): string => `m_${kind.toLowerCase()}`;
const sum = (all: readonly number[]): number => all.reduce((total, one) => total + one, 0);

/** What the database answers, against all samples computed here. */
async function compare(
  tenantId: string,
  kind: 'HISTOGRAM' | 'COUNTER',
  told: readonly (readonly Told[])[],
  { asked, isFromZero }: { readonly asked: typeof range; readonly isFromZero: boolean },
): Promise<void> {
  const isHistogram = kind === 'HISTOGRAM';
  const plain = told.map((all, at): SampledSeries => {
    const own = all.map(({ atMs, buckets }) => ({
      atMs,
      value: sum(buckets),
      count: isHistogram ? sum(buckets) : null,
      buckets: isHistogram ? buckets : null,
    }));
    const toMs = asked.fromMs + asked.steps * asked.stepMs;
    return {
      labels: {},
      instance: `i${at}`,
      isDelta: false,
      ...(isFromZero ? { beganAtMs: all[0]!.atMs } : {}),
      kind,
      bounds: isHistogram ? bounds : [],
      samples: own.filter(({ atMs }) => atMs >= asked.fromMs - lookBackMs && atMs < toMs),
    };
  });
  const functions: MetricFunction[] = isHistogram
    ? ['INCREASE', 'RATE', 'MEAN', 'P50', 'P95', 'P99']
    : ['INCREASE', 'RATE'];
  for (const fn of functions) {
    const query = { metric: metricOf(kind), fn, labels: {}, by: [], dividedBy: null };
    const [found] = await queryMetric(sql, tenantId, query, asked);
    const expected = computeSteps(plain, { ...asked, fn });
    const byStep = new Map(found?.points.map(({ at, value }) => [at.getTime(), value]));
    expected.forEach((value, step) => {
      const atMs = asked.fromMs + step * asked.stepMs;
      if (value === null) expect(byStep.has(atMs)).toBe(false);
      else expect(byStep.get(atMs)).toBeCloseTo(value, 9);
    });
  }
}

describe('samples that need not leave the database', () => {
  it('change no figure, whenever processes begin anew', async () => {
    let tenant = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(history, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (processes, isFromZero) => {
          tenant += 1;
          const tenantId = `t${tenant}`;
          const told = processes.map(totalsOf);
          for (const kind of ['HISTOGRAM', 'COUNTER'] as const) {
            const metric = metricOf(kind);
            const samples = told.flatMap((all, at) =>
              all.map(({ atMs, buckets }): NewSample => {
                const isHistogram = kind === 'HISTOGRAM';
                const series = {
                  tenantId,
                  name: metric,
                  kind,
                  labels: {},
                  instance: `i${at}`,
                  isDelta: false,
                  isFromZero,
                };
                return {
                  series: { ...series, bounds: isHistogram ? bounds : [], unit: null, help: null },
                  atMs,
                  value: sum(buckets),
                  count: isHistogram ? sum(buckets) : null,
                  buckets: isHistogram ? buckets : null,
                };
              }),
            );
            // In two parts: what is told together and what is told before are both known.
            await appendSamples(sql, samples.slice(0, samples.length / 2));
            await appendSamples(sql, samples.slice(samples.length / 2));
            for (const asked of ranges) await compare(tenantId, kind, told, { asked, isFromZero });
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
