import { formatNumber } from './format.ts';

const round = (value: number): number => Math.round(value * 10) / 10;

export interface BoundChart {
  readonly limit: number;
  readonly isLatency: boolean;
  /** Bar: p95, or the rate. */
  readonly figure: number;
  readonly p50?: number;
  readonly p99?: number;
  readonly holds: boolean;
}

const width = 260;
const height = 22;
/** The bound stands at the same place in every row, so that rows of 1 ms and of 2 s read alike. */
const limitAt = 160;

/** A bar against its bound; left of the line is good for a latency, right of it for a rate. What is beyond the edge is cut with a mark. */
export function renderBoundChart(chart: BoundChart): string {
  const x = (value: number): number => round(Math.min(width, (value / chart.limit) * limitAt));
  const bar = Math.max(1.5, x(chart.figure));
  const cut = (chart.figure / chart.limit) * limitAt > width;
  const tick = (value: number | undefined, name: string): string =>
    value === undefined ? '' : `<line class="${name}" x1="${x(value)}" x2="${x(value)}" y1="5" y2="17"/>`;
  const label = `${chart.isLatency ? 'p95 ' : ''}${formatNumber(chart.figure)} against ${formatNumber(chart.limit)}`;
  return `<svg class="chart" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}"><title>${label}</title><rect class="track" x="0" y="7" width="${width}" height="8" rx="2"/><rect class="${chart.holds ? 'good' : 'bad'}" x="0" y="7" width="${bar}" height="8" rx="2"/>${tick(chart.p50, 'p50')}${tick(chart.p99, 'p99')}<line class="limit" x1="${limitAt}" x2="${limitAt}" y1="2" y2="20"/>${cut ? `<path class="bad" d="M${width - 6} 4l6 7-6 7z"/>` : ''}</svg>`;
}

/** The last runs as a line with the bound dashed; empty for fewer than two. */
export function renderSparkline(values: readonly number[], limit: number): string {
  if (values.length < 2) return '';
  const shown = values.slice(-20);
  const w = 90;
  const h = 22;
  const top = Math.max(...shown, limit) * 1.05;
  const y = (value: number): number => round(h - 2 - (value / top) * (h - 4));
  const points = shown.map((value, index) => `${round(2 + (index * (w - 6)) / (shown.length - 1))},${y(value)}`);
  const [lastX, lastY] = (points.at(-1) ?? '0,0').split(',');
  const label = `last ${shown.length} runs: ${shown.map(formatNumber).join(', ')}`;
  return `<svg class="spark" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" role="img" aria-label="${label}"><title>${label}</title><line class="limit" x1="0" x2="${w}" y1="${y(limit)}" y2="${y(limit)}"/><polyline points="${points.join(' ')}"/><circle cx="${lastX}" cy="${lastY}" r="2"/></svg>`;
}
