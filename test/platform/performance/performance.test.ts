import { readFileSync } from 'node:fs';
import { buildSchema } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendSamples } from '#shared/metrics/history.ts';
import { latencyBucketsMs } from '#shared/telemetry.ts';
import { budgetRowsFile, renderBudgetRows } from '../../../perf/writeBudgetRows.ts';
import { toBuckets } from '../../../subgraphs/platform/monitoring/recording.ts';
import { budgetRows } from '../../../subgraphs/platform/performance/budgetRows.generated.ts';
import { operationsByRow } from '../../../subgraphs/platform/performance/operations.ts';
import { type Json, openPlatformRig, type PlatformRig, somebody } from '../observeRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ METRIC_SAMPLE_MS: '3600000' });
  await rig.logs.prepare();
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof somebody>;
const minuteMs = 60_000;
const errors = 'userErrors { code message path }';

const took = (
  tenantId: string,
  operation: string,
  observations: readonly number[],
  atMs = Date.now() - 10 * minuteMs,
) =>
  appendSamples(rig.sql, [
    {
      series: {
        tenantId,
        name: 'mplp_operation_ms',
        kind: 'HISTOGRAM',
        labels: { operation },
        instance: 'one',
        isDelta: true,
        bounds: latencyBucketsMs,
        unit: null,
        help: null,
      },
      atMs,
      value: observations.reduce((sum, one) => sum + one, 0),
      count: observations.length,
      buckets: toBuckets(observations, latencyBucketsMs),
    },
  ]);
const counted = (
  tenantId: string,
  name: string,
  value: number,
  labels: Record<string, string> = {},
  kind: 'COUNTER' | 'GAUGE' = 'COUNTER',
) =>
  appendSamples(rig.sql, [
    {
      series: {
        tenantId,
        name,
        kind,
        labels,
        instance: 'one',
        isDelta: kind === 'COUNTER',
        bounds: [],
        unit: null,
        help: null,
      },
      atMs: Date.now() - 10 * minuteMs,
      value,
      count: null,
      buckets: null,
    },
  ]);
const times = (count: number, ms: number) => new Array<number>(count).fill(ms);

describe('performance', () => {
  it('serves the rows of the budget file, and names root fields that are there', async () => {
    // Written by `node perf/writeBudgetRows.ts`; the formatter may break its lines.
    const plain = (text: string) => text.replace(/[\s,]/g, '');
    expect(plain(readFileSync(budgetRowsFile, 'utf8'))).toBe(plain(await renderBudgetRows()));
    const api = buildSchema(readFileSync(new URL('../../../schema/api.graphql', import.meta.url), 'utf8'));
    const roots = { ...api.getQueryType()!.getFields(), ...api.getMutationType()!.getFields() };
    for (const [row, operation] of Object.entries(operationsByRow))
      expect([row, operation in roots, budgetRows.some(({ id }) => id === row)]).toEqual([row, true, true]);
    expect(await rig.ask(somebody(), '{ performanceBudgets { id status } }')).toHaveLength(budgetRows.length);
  });

  it('holds rows against what was measured, and scores by weight', async () => {
    const [who, other] = [somebody(), somebody()];
    // Within 50 ms at p95 and 100 at p99; a writeLog over its millisecond; a plan that is too slow at p99 alone.
    await took(who.tenantId, 'context', [...times(97, 15), ...times(3, 90)]);
    await took(who.tenantId, 'writeLog', times(100, 3));
    await took(who.tenantId, 'createPlan', [...times(98, 100), ...times(2, 900)]);
    const budgets: Json[] = await rig.ask(
      who,
      '{ performanceBudgets { id operation status count p95Ms p99Ms maxMs weight } }',
    );
    const of = (id: string) => budgets.find((row) => row.id === id);
    expect(of('l2.context_module.get_context')).toMatchObject({
      status: 'HELD',
      count: 100,
      operation: 'context',
      weight: 2,
    });
    expect(of('l2.context_module.get_context').p95Ms).toBeLessThanOrEqual(20);
    expect(of('l1.logging.log_write')).toMatchObject({ status: 'VIOLATED', weight: 1 });
    expect(of('l2.plan_module.create_plan')).toMatchObject({ status: 'VIOLATED', weight: 2 });
    expect(of('l2.role_module.create_role').status).toBe('UNMEASURED');
    expect((await rig.ask(who, '{ budgetViolations { id } }')).map(({ id }: Json) => id)).toEqual([
      'l1.logging.log_write',
      'l2.plan_module.create_plan',
    ]);
    const report = await rig.ask(
      who,
      '{ performanceReport { score coverage overallScore scoreFormula budgetsHeld budgetsViolated budgetsUnmeasured topOperations { operation } slowestOperations { operation } } }',
    );
    const allWeights = budgetRows.reduce((sum, { layer }) => sum + (layer === 'L1' ? 1 : 2), 0);
    expect(report).toMatchObject({
      score: 2 / 5,
      coverage: 5 / allWeights,
      overallScore: 2 / allWeights,
      budgetsHeld: 1,
      budgetsViolated: 2,
      budgetsUnmeasured: budgetRows.length - 3,
    });
    expect(report.scoreFormula).toContain('L1 1, L2 2, L3 2');
    expect(report.slowestOperations.map(({ operation }: Json) => operation)[2]).toBe('writeLog');
    const metric = (by: Who) => rig.ask(by, '{ performanceMetric(operation: "writeLog") { count meanMs p50Ms } }');
    expect(await metric(who)).toEqual({ count: 100, meanMs: 3, p50Ms: 3.5 });
    expect(await metric(other)).toBeNull();
    const asked = await rig.ask(
      who,
      '{ performanceMetric(operation: "writeLog", percentiles: [99.9, 50, 0]) { p50Ms percentiles { percentile ms } } }',
    );
    expect(asked.percentiles).toEqual([
      { percentile: 99.9, ms: expect.any(Number) },
      { percentile: 50, ms: asked.p50Ms },
      { percentile: 0, ms: expect.any(Number) },
    ]);
    expect(asked.percentiles[0].ms).toBeGreaterThan(asked.p50Ms);
    await expect(
      rig.ask(who, '{ performanceMetric(operation: "writeLog", percentiles: [101]) { p50Ms } }'),
    ).rejects.toThrow('percentiles');
    expect(await rig.ask(other, '{ performanceReport { score coverage overallScore } }')).toEqual({
      score: null,
      coverage: 0,
      overallScore: 0,
    });
  });

  it('finds what holds it up, against the range before, and what the evidence recommends', async () => {
    const who = somebody();
    await took(who.tenantId, 'traces', times(100, 150));
    await took(who.tenantId, 'traces', times(100, 30), Date.now() - 70 * minuteMs);
    await took(who.tenantId, 'roles', times(100, 150));
    await counted(who.tenantId, 'mplp_cpu_percent', 84, {}, 'GAUGE');
    await counted(who.tenantId, 'mplp_system_memory_percent', 95, {}, 'GAUGE');
    await counted(who.tenantId, 'mplp_network_latency_ms', 100, {}, 'GAUGE');
    await counted(who.tenantId, 'mplp_cache_requests_total', 600, { grain: 'response', result: 'l1' });
    await counted(who.tenantId, 'mplp_cache_requests_total', 400, { grain: 'response', result: 'miss' });
    const found: Json[] = await rig.ask(who, '{ bottlenecks { kind subject severity value threshold } }');
    expect(found.map(({ kind, severity }) => [kind, severity])).toEqual([
      ['MEMORY', 'CRITICAL'],
      ['CPU', 'HIGH'],
      ['OPERATION', 'MEDIUM'],
    ]);
    expect(found[2]).toMatchObject({ subject: 'traces', threshold: 100 });
    const analysis = await rig.ask(
      who,
      '{ analyzePerformance(operation: "traces") { score baselineScore trends { operation p95Ms baselineP95Ms change } recommendations { kind target } } }',
    );
    expect(analysis).toMatchObject({
      score: 0,
      baselineScore: 1,
      recommendations: [{ kind: 'SLOW_OPERATION', target: 'traces' }],
    });
    expect(analysis.trends).toEqual([
      { operation: 'traces', p95Ms: 195, baselineP95Ms: 48.5, change: expect.closeTo(195 / 48.5 - 1) },
    ]);
    const all: Json[] = await rig.ask(who, '{ optimizationRecommendations { kind expectedGain safe evidence } }');
    expect(all.map(({ kind, safe }) => [kind, safe])).toEqual([
      ['CACHE_TOO_SMALL', false],
      ['SLOW_OPERATION', false],
      ['ADD_INSTANCE', false],
    ]);
    expect(all[0].expectedGain).toBeCloseTo(0.3);
    expect(all[1].expectedGain).toBeCloseTo(0.5 * (1 - 100 / 195));
    expect(await rig.ask(somebody(), '{ optimizationRecommendations { id } }')).toEqual([]);
  });

  it('tells how the objectives stand', async () => {
    const who = somebody();
    await counted(who.tenantId, 'mplp_requests_total', 10_000);
    await counted(who.tenantId, 'error_rate', 4, { severity: 'critical' });
    await counted(who.tenantId, 'error_rate', 500, { severity: 'warning' });
    await counted(who.tenantId, 'mplp_jobs_total', 99, { status: 'done' });
    await counted(who.tenantId, 'mplp_jobs_total', 1, { status: 'failed' });
    for (const minutes of [9, 8, 7, 6, 5, 3, 2, 1, 0])
      await appendSamples(rig.sql, [
        {
          series: {
            tenantId: who.tenantId,
            name: 'mplp_sample_age_seconds',
            kind: 'GAUGE',
            labels: {},
            instance: 'one',
            isDelta: false,
            bounds: [],
            unit: null,
            help: null,
          },
          atMs: Date.now() - minutes * minuteMs - 50,
          value: 1,
          count: null,
          buckets: null,
        },
      ]);
    const { objectives, errorRate } = await rig.ask(
      who,
      '{ performanceReport { errorRate objectives { name target actual held } } }',
    );
    expect(errorRate).toBeCloseTo(0.0504);
    expect(objectives).toEqual([
      { name: 'api_availability', target: 0.9995, actual: expect.closeTo(0.9996), held: true },
      { name: 'real_time_services', target: 0.999, actual: null, held: null },
      { name: 'batch_processing', target: 0.995, actual: expect.closeTo(0.99), held: false },
      { name: 'monitoring_services', target: 0.9999, actual: expect.closeTo(0.9), held: false },
    ]);
  });

  it('applies what is safe, and that brings what it said; what is not safe it leaves', async () => {
    const who = somebody();
    const write = (count: number, level: string) =>
      rig.ask(who, `mutation ($inputs: [PlatformLogInput!]!) { writeLogs(inputs: $inputs) { accepted ${errors} } }`, {
        inputs: Array.from({ length: count }, () => ({ level, module: 'chatty', message: 'm' })),
      });
    const minute = async () => {
      await write(1_000, 'DEBUG');
      await write(50, 'WARN');
      await rig.logs.writer.flush();
      const [row] = await rig.sql`SELECT count(*)::int AS count FROM platform.log WHERE tenant_id = ${who.tenantId}`;
      return row!['count'] as number;
    };
    const before = await minute();
    await took(who.tenantId, 'roles', times(10, 1));
    await took(who.tenantId, 'traces', times(10, 400));
    const all: Json[] = await rig.ask(
      who,
      '{ optimizationRecommendations { id kind target expectedGain safe evidence undo } }',
    );
    const [quiet, slow] = [all.find(({ safe }) => safe), all.find(({ safe }) => !safe)];
    expect(quiet).toMatchObject({
      kind: 'RAISE_LOG_LEVEL',
      target: 'chatty',
      expectedGain: 1_000 / 1_050,
      evidence: { records: 1_050, belowWarn: 1_000 },
    });
    const apply = (by: Who, id: string, key: string | null = null): Promise<Json> =>
      rig.ask(
        by,
        `mutation ($id: ID!, $key: String) { applyRecommendation(recommendationId: $id, idempotencyKey: $key) { recommendation { id } ${errors} } }`,
        { id, key },
      );
    expect((await apply(who, slow.id)).userErrors[0].code).toBe('INVALID_STATE');
    expect((await apply(somebody(), quiet.id)).userErrors[0].code).toBe('NOT_FOUND');
    expect((await apply(who, quiet.id, 'key')).recommendation.id).toBe(quiet.id);
    expect((await apply(who, quiet.id, 'key')).recommendation.id).toBe(quiet.id);
    expect((await apply(who, quiet.id)).userErrors[0].code).toBe('NOT_FOUND');
    await expect.poll(() => rig.logs.levels.keeps(who.tenantId, 'chatty', 'DEBUG')).toBe(false);
    const added = (await minute()) - before;
    expect(1 - added / before).toBeCloseTo(quiet.expectedGain);
  });
});
