import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type HttpCall,
  type RequestOperation,
  readPath,
  type Verdict,
} from '../load/workload.ts';
import { parseMetrics } from '../metricsText.ts';
import {
  jobsOf,
  type MetricDays,
  meanDepth,
  measuredOperations,
  quantilesOf,
  queueName,
  sampleMs,
} from '../seeds/metrics.ts';

export interface MonitoringParams {
  /** Absent where nothing but collection is asked for. */
  readonly days?: MetricDays;
  readonly token: string;
  readonly dashboardId?: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const metricQuery = `query Series($query: PlatformMetricQuery!, $from: DateTime!, $to: DateTime!, $stepMs: DurationMs!) {
  metricSeries(query: $query, from: $from, to: $to, stepMs: $stepMs) { labels { name value } points { at value } }
}`;
const renderDashboard = `query Render($id: ID!, $from: DateTime!, $to: DateTime!, $stepMs: DurationMs!) {
  renderDashboard(dashboardId: $id, from: $from, to: $to, stepMs: $stepMs) {
    panels { panel { title unit } series { labels { name value } points { at value } } }
  }
}`;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const steps = 60;
const tolerance = 1e-6;

interface AskedSeries {
  readonly query: Readonly<Record<string, unknown>>;
  /** What each step is. */
  readonly value: number;
}

/** A question about one thing of a kind, by a number, with the figure that every minute of the last hours has. */
export function seriesAt(number: number, queues: number): AskedSeries {
  const queue = Math.floor(number / 3) % queues;
  const labels = [{ name: 'queue', value: queueName(queue) }];
  if (number % 3 === 0) {
    const perSample = jobsOf(queue, 0) + jobsOf(queue, 1);
    return {
      query: { metric: 'jobs_total', fn: 'RATE', labels, by: ['queue'] },
      value: perSample / (sampleMs / 1_000),
    };
  }
  if (number % 3 === 1)
    return { query: { metric: 'queue_depth', fn: 'AVG', labels, by: ['queue'] }, value: meanDepth(queue) };
  const operation = Math.floor(number / 3) % measuredOperations.length;
  return {
    query: {
      metric: 'mplp_operation_ms',
      fn: 'P95',
      labels: [{ name: 'operation', value: measuredOperations[operation]! }],
      by: ['operation'],
    },
    value: quantilesOf(operation, true).p95Ms,
  };
}

/** Twelve panels: four of each kind of question. */
export const panelNumbers: readonly number[] = Array.from({ length: 12 }, (_, at) => at);
export const panelTitle = (at: number): string => `panel ${at}`;

const isNear = (found: number, expected: number): boolean =>
  Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected));

function judgeSeries(series: unknown, { value, query }: AskedSeries): Verdict {
  const all = (series ?? []) as { points: { value: number }[] }[];
  const points = all[0]?.points ?? [];
  if (all.length !== 1 || points.length !== steps)
    return `expected a series of ${steps} points of ${query['metric']}, got ${all.length} of ${points.length}`;
  const strange = points.find((point) => !isNear(point.value, value));
  return strange === undefined || `expected ${value} of ${query['metric']}, got ${strange.value}`;
}

/** Series of an hour by minute, dashboards of twelve of them, and the page that a scraper reads. */
export const createWorkload: CreateWorkload<MonitoringParams> = ({ days, token, dashboardId, mix }) => {
  const zipf = createZipf(Math.max(1, (days?.queues ?? 0) * 3));
  const headers = { authorization: `Bearer ${token}` };
  let requestsSeen = 0;
  let bytes = 0;

  /** An hour that ends at a full minute and has samples. */
  function someHour(random: Random) {
    if (!days) throw new Error('expected days of metrics for what is asked of them');
    const spareMinutes = Math.max(0, Math.floor((days.endMs - days.sampledFromMs - hourMs) / minuteMs) - 1);
    const toMs = days.endMs - random.integer(spareMinutes + 1) * minuteMs;
    return { from: new Date(toMs - hourMs).toISOString(), to: new Date(toMs).toISOString(), stepMs: minuteMs };
  }

  const next: Readonly<Record<string, (random: Random) => GraphqlCall | HttpCall>> = {
    metric_query(random) {
      const asked = seriesAt(zipf.sample(random), days?.queues ?? 1);
      return {
        query: metricQuery,
        variables: { query: asked.query, ...someHour(random) },
        headers,
        check: ({ data }) => judgeSeries(readPath(data, 'metricSeries'), asked),
      };
    },
    dashboard_render: (random) => ({
      query: renderDashboard,
      variables: { id: dashboardId, ...someHour(random) },
      headers,
      check({ data }) {
        const panels = (readPath(data, 'renderDashboard', 'panels') ?? []) as {
          panel: { title: string };
          series: unknown;
        }[];
        if (panels.length !== panelNumbers.length)
          return `expected ${panelNumbers.length} panels, got ${panels.length}`;
        for (const [at, { panel, series }] of panels.entries()) {
          if (panel.title !== panelTitle(at)) return `expected ${panelTitle(at)}, got ${panel.title}`;
          const verdict = judgeSeries(series, seriesAt(panelNumbers[at]!, days?.queues ?? 1));
          if (verdict !== true) return verdict;
        }
        return true;
      },
    }),
    metric_collection: () => ({
      method: 'GET',
      path: '/metrics',
      checkBody(body, status) {
        if (status !== 200) return `expected 200, got ${status}`;
        bytes = Math.max(bytes, body.length);
        let requests = 0;
        let names = 0;
        for (const [name, value] of parseMetrics(body)) {
          names += 1;
          if (name.startsWith('mplp_requests_total')) requests += value;
        }
        if (names === 0) return 'expected samples on the page';
        // Answers may overtake each other; a counter that starts over would show as a fall to next to nothing.
        const fell = requests < requestsSeen / 2;
        requestsSeen = Math.max(requestsSeen, requests);
        return !fell || `mplp_requests_total fell to ${requests}`;
      },
    }),
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
    facts: () => ({ pageBytes: bytes }),
  };
};
