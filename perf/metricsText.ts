/** Samples of a Prometheus text page: name with its labels as printed -> value. */
export type MetricSamples = ReadonlyMap<string, number>;

export function parseMetrics(text: string): MetricSamples {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const end = line.includes('}') ? line.lastIndexOf('}') + 1 : line.indexOf(' ');
    const value = Number(line.slice(end).trim().split(' ')[0]);
    if (!Number.isNaN(value)) samples.set(line.slice(0, end), value);
  }
  return samples;
}

/** Sum of what the samples of one metric grew by; `label` (`result="hit"`) narrows them. */
export function metricGrowth(before: MetricSamples, after: MetricSamples, name: string, label = ''): number {
  let sum = 0;
  for (const [key, value] of after) {
    const isMetric = key === name || key.startsWith(`${name}{`);
    if (isMetric && key.includes(label)) sum += value - (before.get(key) ?? 0);
  }
  return sum;
}

export async function scrapeMetrics(origin: string): Promise<MetricSamples> {
  const response = await fetch(`${origin}/metrics`);
  if (response.status !== 200) throw new Error(`expected 200 of ${origin}/metrics, got ${response.status}`);
  return parseMetrics(await response.text());
}
