import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import { appendSamples, type NewSample } from '#shared/metrics/history.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { latencyBucketsMs } from '#shared/telemetry.ts';
import { parseInput } from '#shared/validation.ts';
import { sampleInput } from './inputs.ts';

const maxSamples = 1_000;
const maxSeries = 10_000;

export const metricType = 'platform.metric.recorded';
/** The figures of a tenant as they come. */
export const metricStream = (tenantId: string) => derivedId(`metrics ${tenantId}`);

/** Counts by bucket, the last one open. */
export function toBuckets(observations: readonly number[], bounds: readonly number[]): number[] {
  const buckets = new Array<number>(bounds.length + 1).fill(0);
  for (const one of observations) {
    const at = bounds.findIndex((bound) => one <= bound);
    buckets[at < 0 ? bounds.length : at]! += 1;
  }
  return buckets;
}

/** Figures that tenants record. */
export function createRecording(
  { publisher }: ModuleRuntime,
  { once, prepare }: { readonly once: Once; readonly prepare: () => Promise<void> },
) {
  function readSample(tenantId: string, given: unknown, at: number): NewSample {
    const { name, kind, value, observations, labels, unit, timestamp } = parseInput(sampleInput, given, [
      'samples',
      at,
    ]);
    const isObserved = observations != null;
    const sum = observations?.reduce((total, one) => total + one, 0);
    return {
      series: {
        tenantId,
        name,
        kind: isObserved ? 'HISTOGRAM' : (kind as 'COUNTER' | 'GAUGE'),
        labels,
        instance: '',
        isDelta: kind !== 'GAUGE',
        bounds: isObserved ? latencyBucketsMs : [],
        unit: kind === 'TIMER' ? 'ms' : (unit ?? null),
        help: null,
      },
      atMs: timestamp?.getTime() ?? Date.now(),
      value: sum ?? value!,
      count: observations?.length ?? null,
      buckets: observations == null ? null : toBuckets(observations, latencyBucketsMs),
    };
  }

  return {
    /** @throws {VALIDATION_FAILED} where one breaks a rule: then none is recorded. {QUOTA_EXCEEDED} */
    async record(scope: RequestScope, given: readonly unknown[], key: string | null | undefined): Promise<number> {
      const { tenantId, subject } = scope.principal;
      if (given.length < 1 || given.length > maxSamples)
        throw new PlatformError('VALIDATION_FAILED', `samples: expected 1 to ${maxSamples}, got ${given.length}`, {
          path: ['samples'],
        });
      const samples = given.map((one, at) => readSample(tenantId, one, at));
      await prepare();
      const recorded = await once<number>(scope, {
        call: callOf(scope, key, 'recordMetricSamples', given),
        repeat: async (response) => (response as { recorded: number }).recorded,
        async write(tx) {
          await appendSamples(tx, samples);
          const [row] = (await tx.unsafe(
            'SELECT count(*)::int AS count FROM platform.metric_series WHERE tenant_id = $1',
            [tenantId],
          )) as unknown as { count: number }[];
          if (row!.count > maxSeries)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxSeries} series`, { path: ['samples'] });
          // A key is kept with a change: without one nothing but the samples is written.
          const changes = key == null ? [] : [{ events: [] }];
          return { row: samples.length, response: { recorded: samples.length }, changes };
        },
      });
      for (const { series, atMs, value } of samples)
        publisher.ephemeral({
          tenantId,
          module: 'platform',
          streamId: metricStream(tenantId),
          type: metricType,
          actor: subject,
          data: {
            name: series.name,
            kind: series.kind,
            labels: Object.entries(series.labels).map(([name, label]) => ({ name, value: label })),
            value,
          },
          createdAt: new Date(atMs).toISOString(),
        });
      return recorded;
    },
  };
}
