import { expect, test } from 'vitest';
import { createRandom } from '../../perf/load/random.ts';
import type { GraphqlCall, RequestOperation, Workload } from '../../perf/load/workload.ts';
import { countWithin, type LogDay, messageOf, newestOf } from '../../perf/seeds/logDay.ts';
import { bounds, measuredOperations, quantilesOf } from '../../perf/seeds/metrics.ts';
import { createWorkload as createAuthentication, forged } from '../../perf/workloads/authentication.ts';
import { createWorkload as createLogQueries } from '../../perf/workloads/logQueries.ts';
import {
  createWorkload as createMonitoring,
  panelNumbers,
  panelTitle,
  seriesAt,
} from '../../perf/workloads/monitoring.ts';
import { createWorkload as createPerformance } from '../../perf/workloads/performance.ts';

const context = { seed: 1, worker: 0, workers: 1, random: createRandom(1) };
const day: LogDay = { records: 2_000, endMs: Date.UTC(2026, 4, 2, 10, 30, 7) };
const hourMs = 3_600_000;
const endMs = Date.UTC(2026, 4, 2, 10);
const days = { startMs: endMs - 48 * hourMs, endMs, sampledFromMs: endMs - 8 * hourMs, queues: 5 };

function callOf(workload: Workload, name: string): GraphqlCall {
  const operation = workload.operations.find((candidate) => candidate.name === name) as RequestOperation;
  return operation.next(createRandom(3)) as GraphqlCall;
}

test('hours of a day of records add up to what lies within them', () => {
  const startMs = day.endMs - 24 * hourMs;
  const byHour = Array.from({ length: 24 }, (_, hour) =>
    countWithin(day, startMs + hour * hourMs + 1, startMs + (hour + 1) * hourMs + 1),
  );
  expect(byHour.reduce((sum, count) => sum + count, 0)).toBe(day.records);
  expect(Math.max(...byHour) - Math.min(...byHour)).toBeLessThanOrEqual(1);
});

test('a page of a source has none of its errors and begins with the newest', () => {
  const page = newestOf(day, 3, { fromMs: day.endMs - 24 * hourMs, toMs: day.endMs + 1, most: 20 });
  // Number 3 is one of its errors: every hundredth is.
  expect(page).toEqual(Array.from({ length: 20 }, (_, at) => messageOf(13 + 10 * at)));
});

test('a page of the log that lacks a record is wrong, and so are counts that do not add up', async () => {
  const dense = { ...day, records: 100_000 };
  const workload = await createLogQueries(
    { day: dense, token: 't', mix: { log_query: 1, log_aggregation: 1 } },
    context,
  );
  const query = callOf(workload, 'log_query');
  const { from, to, modules } = query.variables!['filter'] as { from: string; to: string; modules: string[] };
  const range = { fromMs: Date.parse(from), toMs: Date.parse(to), most: 20 };
  const messages = newestOf(dense, Number(modules[0]!.split('-')[1]), range);
  expect(messages.length).toBeGreaterThan(0);
  const pageOf = (all: readonly string[]) => ({ data: { logs: { nodes: all.map((message) => ({ message })) } } });
  expect(query.check(pageOf(messages))).toBe(true);
  expect(query.check(pageOf([...messages, 'record 7 of another day']))).not.toBe(true);

  const counts = callOf(workload, 'log_aggregation');
  const asked = counts.variables?.['filter'] as { from: string; to: string };
  const total = countWithin(dense, Date.parse(asked.from), Date.parse(asked.to));
  const answer = (count: number) => ({
    data: {
      logAggregation: {
        total,
        buckets: [
          { start: asked.from, count: 1 },
          { start: asked.to, count },
        ],
      },
    },
  });
  expect(counts.check(answer(total - 1))).toBe(true);
  expect(counts.check(answer(total))).not.toBe(true);
});

test('a series with a point that is off is wrong, wherever it stands', async () => {
  const workload = await createMonitoring(
    { days, token: 't', dashboardId: 'd', mix: { dashboard_render: 1 } },
    context,
  );
  const render = callOf(workload, 'dashboard_render');
  const panelsWith = (change: (value: number, panel: number, step: number) => number) => ({
    data: {
      renderDashboard: {
        panels: panelNumbers.map((number, at) => ({
          panel: { title: panelTitle(at) },
          series: [
            {
              points: Array.from({ length: 60 }, (_, step) => ({
                value: change(seriesAt(number, days.queues).value, at, step),
              })),
            },
          ],
        })),
      },
    },
  });
  expect(render.check(panelsWith((value) => value))).toBe(true);
  expect(
    render.check(panelsWith((value, panel, step) => (panel === 11 && step === 59 ? value * 1.01 : value))),
  ).toMatch(/expected/);
});

test('a quantile of another operation is wrong', async () => {
  expect(quantilesOf(0, false).p95Ms).toBe(bounds[2]);
  expect(quantilesOf(0, true).p95Ms).toBe(bounds[3]);
  const workload = await createPerformance({ days, token: 't', mix: { metric_calculation: 1 } }, context);
  const { variables, check } = callOf(workload, 'metric_calculation');
  const { operation, from, to } = variables as { operation: string; from: string; to: string };
  const count = ((Date.parse(to) - Date.parse(from)) / 15_000) * 200;
  const figures = quantilesOf(measuredOperations.indexOf(operation), true);
  expect(check({ data: { performanceMetric: { count, ...figures } } })).toBe(true);
  expect(check({ data: { performanceMetric: { count: count - 200, ...figures } } })).toMatch(/expected/);
  expect(check({ data: { performanceMetric: { count, ...figures, p99Ms: figures.p99Ms + 1 } } })).toMatch(/expected/);
});

test('a forged token that is taken is wrong', async () => {
  const tokens = ['a.b.Asignature', 'c.d.Bsignature'];
  expect(tokens.map(forged)).toEqual(['a.b.Bsignature', 'c.d.Asignature']);
  const workload = await createAuthentication({ tokens, fresh: [{ subject: 0, token: 'e.f.g' }] }, context);
  const [operation] = workload.operations as readonly RequestOperation[];
  const random = createRandom(5);
  const calls = Array.from({ length: 2_000 }, () => operation!.next(random) as GraphqlCall);
  const attempts = calls.filter(({ acceptErrors }) => acceptErrors === true);
  expect(attempts.length).toBeGreaterThan(5);
  expect(attempts.every(({ headers }) => !tokens.includes(headers!['authorization']!.slice('Bearer '.length)))).toBe(
    true,
  );
  expect(attempts[0]!.check({ data: { me: { subject: 'subject-0', tenantId: 'perf' } } })).not.toBe(true);
  expect(attempts[0]!.check({ errors: [{ message: 'no', extensions: { code: 'UNAUTHENTICATED' } }] })).toBe(true);
});
