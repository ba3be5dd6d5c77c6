import type { ReportedSpan } from '../otlp/span.ts';
import type { TraceRow } from '../rows.ts';
import { addTo, createHistogram, type Histogram, quantileOf } from './histogram.ts';

/** Names of metrics of one window; further ones are counted as dropped. */
const maxMetrics = 50;

export interface LiveFigure {
  readonly metric: string;
  readonly unit: string | null;
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
}

/** What one instance has committed of a context's traces, or of those without one, in a window. */
export interface LiveWindow {
  readonly tenantId: string;
  readonly contextId: string | null;
  readonly spans: number;
  readonly failedSpans: number;
  readonly tracesStarted: number;
  readonly tracesEnded: number;
  readonly figures: readonly LiveFigure[];
  readonly droppedMetrics: number;
}

type Place = Pick<TraceRow, 'tenantId' | 'contextId'>;

interface Gathering {
  readonly place: Place;
  readonly figures: Map<
    string,
    { readonly metric: string; readonly unit: string | null; readonly histogram: Histogram }
  >;
  spans: number;
  failedSpans: number;
  tracesStarted: number;
  tracesEnded: number;
  droppedMetrics: number;
}

export interface Noted {
  readonly spans?: readonly Pick<ReportedSpan, 'startNs' | 'endNs' | 'status'>[];
  /** Spans that had been reported running: they count by their duration alone. */
  readonly endedSpans?: readonly Pick<ReportedSpan, 'startNs' | 'endNs'>[];
  readonly started?: boolean;
  readonly ended?: boolean;
  readonly metrics?: readonly { readonly name: string; readonly unit: string | null; readonly value: number }[];
}

/** Gathers figures until they are taken. */
export function createGatherer() {
  let windows = new Map<string, Gathering>();

  function windowOf({ tenantId, contextId }: Place): Gathering {
    const key = `${tenantId}/${contextId ?? ''}`;
    let window = windows.get(key);
    if (window === undefined) {
      window = {
        place: { tenantId, contextId },
        figures: new Map(),
        spans: 0,
        failedSpans: 0,
        tracesStarted: 0,
        tracesEnded: 0,
        droppedMetrics: 0,
      };
      windows.set(key, window);
    }
    return window;
  }

  return {
    isEmpty: () => windows.size === 0,

    note(place: Place, { spans = [], endedSpans = [], started, ended, metrics = [] }: Noted): void {
      const window = windowOf(place);
      window.spans += spans.length;
      if (started) window.tracesStarted += 1;
      if (ended) window.tracesEnded += 1;
      for (const span of spans) {
        if (span.status === 'error') window.failedSpans += 1;
        noteDuration(window, span);
      }
      for (const span of endedSpans) noteDuration(window, span);
      for (const { name, unit, value } of metrics) noteValue(window, name, unit, value);
    },

    /** What was gathered; from then on it gathers anew. */
    take(): readonly LiveWindow[] {
      const taken = windows;
      windows = new Map();
      return [...taken.values()].map(({ place, figures, ...counts }) => ({
        ...place,
        ...counts,
        figures: [...figures.values()].map(({ metric, unit, histogram }) => ({
          metric,
          unit,
          count: histogram.count,
          sum: bounded(histogram.sum),
          min: histogram.min,
          max: histogram.max,
          mean: bounded(histogram.sum) / histogram.count,
          p50: quantileOf(histogram, 0.5),
          p95: quantileOf(histogram, 0.95),
        })),
      }));
    },
  };
}

/** JSON has no infinity. */
const bounded = (sum: number) => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum));

function noteDuration(window: Gathering, { startNs, endNs }: Pick<ReportedSpan, 'startNs' | 'endNs'>): void {
  if (endNs === null) return;
  noteValue(window, 'span.duration', 'ms', Number(BigInt(endNs) - BigInt(startNs)) / 1e6);
}

function noteValue(window: Gathering, metric: string, unit: string | null, value: number): void {
  const key = `${metric}/${unit ?? ''}`;
  let figure = window.figures.get(key);
  if (figure === undefined) {
    if (window.figures.size >= maxMetrics) {
      window.droppedMetrics += 1;
      return;
    }
    figure = { metric, unit, histogram: createHistogram() };
    window.figures.set(key, figure);
  }
  addTo(figure.histogram, value);
}
