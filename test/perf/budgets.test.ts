import { existsSync, readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { allRows, isLatencyRow, readBudgets } from '../../perf/budgets.ts';

const source = new URL('../../../shared/spec/budgets.yaml', import.meta.url);
const budgets = readBudgets();

test('all 80 latency and 20 throughput rows are there, each with its load', () => {
  expect(budgets.latency).toHaveLength(80);
  expect(budgets.throughput).toHaveLength(20);
  for (const row of allRows(budgets)) expect(Object.keys(row.load.mix).length).toBeGreaterThan(0);
});

test('ids say layer, area and operation', () => {
  for (const row of budgets.latency) expect(row.id).toBe(`${row.layer.toLowerCase()}.${row.area}.${row.operation}`);
  for (const row of budgets.throughput) expect(row.id).toBe(`throughput.${row.area}.${row.operation}`);
});

test('rows below 5 ms are measured at the service boundary', () => {
  for (const row of budgets.latency) if (row.max_ms < 5) expect(row.load.measuredAt, row.id).toBe('service');
});

test('context and dialog run at the rates they are promised, in mixes that hold every bounded operation', () => {
  const rates = { context_module: 1_000, dialog_module: 2_000 } as const;
  for (const row of budgets.latency) {
    if (row.area !== 'context_module' && row.area !== 'dialog_module') continue;
    expect(Object.keys(row.load.mix), row.id).toContain(
      row.operation === 'real_time_updates' ? 'send_message' : row.operation,
    );
    if (row.load.measuredAt === 'gateway') expect(row.load.ratePerSecond, row.id).toBe(rates[row.area]);
  }
});

test('every figure is the guide’s', () => {
  if (!existsSync(source)) {
    console.warn(
      'NOT CHECKED: ../shared/spec/budgets.yaml is not there, so the figures of perf/budgets.yaml were compared with nothing',
    );
    return;
  }
  const guide = load(readFileSync(source, 'utf8')) as Record<string, unknown>;
  const { mixes: _mixes, dataSets: _dataSets, ...ours } = budgets;
  const withoutLoad = (rows: readonly { load: unknown }[]): unknown[] => rows.map(({ load: _load, ...row }) => row);
  expect({ ...ours, latency: withoutLoad(ours.latency), throughput: withoutLoad(ours.throughput) }).toEqual(guide);
});

test('a bound is either a latency or a rate', () => {
  expect(allRows(budgets).filter(isLatencyRow)).toHaveLength(80);
});
