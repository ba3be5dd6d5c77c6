import { readFile } from 'node:fs/promises';
import { load } from 'js-yaml';
import type { Metric, Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectDatabaseState } from '#shared/metrics/databaseState.ts';
import { collectResources } from '#shared/metrics/resources.ts';
import { createMetrics, moduleMetrics } from '#shared/telemetry.ts';
import { renderRules, ruleExpression, rulesFile } from '../../deploy/prometheus/rules.ts';
import { allGuideRules, type GuideRule } from '../../subgraphs/platform/monitoring/guideRules.ts';
import { type Platform, sharePlatform } from '../support/platform.ts';

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly for?: string;
      readonly labels: { readonly severity: string };
    }[];
  }[];
}

const written = async () => (load(await readFile(rulesFile, 'utf8')) as RuleFile).groups.flatMap(({ rules }) => rules);
const rule = (name: string) => allGuideRules().find((one) => one.name === name)!;

describe('the rules for Prometheus', () => {
  it('are what the platform’s own come to', async () => {
    expect(await readFile(rulesFile, 'utf8')).toBe(renderRules());
    const rules = await written();
    expect(rules.map(({ alert }) => alert)).toEqual(allGuideRules().map(({ name }) => name));
    for (const { alert, for: held, labels } of rules) {
      const { forSeconds, severity } = rule(alert);
      expect([alert, held ?? '0s', labels.severity]).toEqual([alert, `${forSeconds}s`, severity.toLowerCase()]);
    }
  });

  it('say what each kind of condition means', () => {
    const expressions = new Map(allGuideRules().map((one) => [one.name, ruleExpression(one)]));
    expect(expressions.get('high_response_time')).toBe(
      '(sum (increase(api_response_time_sum[60s])) / sum (increase(api_response_time_count[60s]))) > 500',
    );
    expect(expressions.get('low_availability')).toBe(
      'sum (increase(error_rate{severity="critical"}[60s])) / sum (increase(mplp_requests_total[60s])) > 0.001',
    );
    expect(expressions.get('resource_exhaustion')).toBe(
      '(avg by (instance) (avg_over_time(mplp_cpu_percent[60s])) > 90) or (avg by (instance) (avg_over_time(mplp_system_memory_percent[60s])) > 95)',
    );
    expect(expressions.get('memory_leak_detection')).toBe(
      'max by (instance) (deriv(mplp_heap_floor_bytes[1800s]) * 3600) > 67108864',
    );
    expect(expressions.get('storage_monitoring')).toBe(
      '(max by (instance) (max_over_time(mplp_sample_age_seconds[300s])) > 60) or (max by (instance) (time() - max_over_time(timestamp(mplp_sample_age_seconds)[900s:15s])) > 60)',
    );
    expect(expressions.get('slo_fast_burn')).toContain(') and (');
    const other: GuideRule = {
      ...rule('high_response_time'),
      conditions: [
        {
          query: {
            metric: 'api_response_time',
            fn: 'P95',
            labels: { method: 'POST' },
            by: ['endpoint'],
            dividedBy: null,
          },
          ...{ windowSeconds: 60, comparison: 'BELOW', threshold: 1 },
        },
      ],
    };
    expect(ruleExpression(other)).toBe(
      'histogram_quantile(0.95, sum by (le, endpoint) (increase(api_response_time_bucket{method="POST"}[60s]))) < 1',
    );
  });

  it('name no metric and no label that processes do not tell', () => {
    const { registry } = createMetrics('one');
    const resources = collectResources({ registry, dataDir: '.', latencyMs: async () => 1 });
    collectDatabaseState({
      ...{ registry, modules: [], backupStampFile: 'nowhere', tail: { waiting: async () => [] } },
      ...{ sqlOf: () => ({}) as never, consumerSqlOf: () => ({}) as never },
    });
    resources.close();
    const metricOf = (name: string) =>
      [registry, moduleMetrics].flatMap((one: Registry) => one.getSingleMetric(name) ?? [])[0] as
        | (Metric & { readonly labelNames: readonly string[]; readonly type?: string })
        | undefined;
    for (const { name, conditions } of allGuideRules())
      for (const { query } of conditions)
        for (const metric of [query.metric, query.dividedBy]) {
          if (metric === null) continue;
          const found = metricOf(metric);
          expect([name, metric, found !== undefined]).toEqual([name, metric, true]);
          const labels = metric === query.metric ? [...Object.keys(query.labels), ...(query.by ?? [])] : [];
          // The target is Prometheus's own.
          expect([...found!.labelNames, 'instance']).toEqual(expect.arrayContaining(labels));
        }
  });
});

describe('the example of what is scraped', () => {
  it('reads those rules, as often as they need it', async () => {
    const example = load(await readFile(new URL('./prometheus.yml', rulesFile), 'utf8')) as {
      global: { scrape_interval: string };
      rule_files: string[];
      scrape_configs: { metrics_path: string }[];
    };
    expect(example).toMatchObject({
      global: { scrape_interval: '15s' },
      rule_files: ['rules.yml'],
      scrape_configs: [{ metrics_path: '/metrics' }],
    });
  });
});

describe.each(['one process', 'distributed'] as const)('a platform that is scraped, %s', (mode) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
  });
  afterAll(() => platform?.close());

  it('offers every metric that a rule names', async () => {
    const text = await (await fetch(`${platform.url}/metrics`)).text();
    const told = new Set(Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name]) => name));
    const named = new Set(
      allGuideRules().flatMap(({ conditions }) =>
        conditions.flatMap(({ query }) => [query.metric, ...(query.dividedBy === null ? [] : [query.dividedBy])]),
      ),
    );
    // It is told where BACKUP_STAMP_FILE says of which file.
    named.delete('mplp_base_backup_age_seconds');
    expect([...named].filter((name) => !told.has(name))).toEqual([]);
  });
});
