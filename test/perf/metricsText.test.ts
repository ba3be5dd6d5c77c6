import { expect, test } from 'vitest';
import { metricGrowth, parseMetrics } from '../../perf/metricsText.ts';

const page = (hits: number, misses: number): string => `# HELP cache_reads_total reads
# TYPE cache_reads_total counter
cache_reads_total{result="hit",level="l1 {x}"} ${hits}
cache_reads_total{result="miss",level="l1"} ${misses}
cache_reads_total_more 7
process_cpu_seconds_total 1.5e1
`;

test('samples are read with their labels', () => {
  expect(parseMetrics(page(3, 1)).get('process_cpu_seconds_total')).toBe(15);
  expect(parseMetrics(page(3, 1)).get('cache_reads_total{result="hit",level="l1 {x}"}')).toBe(3);
});

test('growth sums the samples of one metric, and of one label', () => {
  const before = parseMetrics(page(3, 1));
  const after = parseMetrics(page(13, 5));
  expect(metricGrowth(before, after, 'cache_reads_total')).toBe(14);
  expect(metricGrowth(before, after, 'cache_reads_total', 'result="hit"')).toBe(10);
});
