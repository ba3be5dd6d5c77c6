import { appendSamples, type SeriesKey } from '#shared/metrics/history.ts';
import { createAlertActions } from '../../../subgraphs/platform/monitoring/actions.ts';
import { createEvaluation } from '../../../subgraphs/platform/monitoring/evaluation.ts';
import { type Json, openPlatformRig, operators, type PlatformRig, somebody } from '../observeRig.ts';

export type Who = ReturnType<typeof somebody>;
export const operator = somebody(operators);
export const errors = 'userErrors { code message path }';
export const minuteMs = 60_000;

/** A platform whose looks at the rules are the test's own, at times of its choice. */
export async function openAlertRig(): Promise<PlatformRig> {
  const rig = await openPlatformRig({ METRIC_SAMPLE_MS: '3600000', WEBHOOK_NETWORKS: '127.0.0.1' });
  await rig.logs.prepare();
  return rig;
}

/** Calls that tests of alerts make, on the rig that is open then. */
export function alertCalls(of: () => PlatformRig) {
  const append = (
    series: Pick<SeriesKey, 'tenantId' | 'name' | 'kind' | 'labels' | 'instance'>,
    value: number,
    atMs: number,
  ) =>
    appendSamples(of().sql, [
      {
        series: { ...series, isDelta: false, bounds: [], unit: null, help: null },
        atMs,
        value,
        count: null,
        buckets: null,
      },
    ]);
  const alertsOf = (who: Who): Promise<Json[]> =>
    of().ask(
      who,
      '{ alerts { id ruleName state severity action outcome metric value threshold firedAt resolvedAt acknowledgedBy } }',
    );
  return {
    evaluate(nowMs: number): Promise<boolean> {
      const runtime = { sql: of().sql, publisher: of().publisher } as never;
      return createEvaluation(runtime, createAlertActions(runtime)).evaluate(nowMs, (rule, error) => {
        throw new Error(`${rule}: ${String(error)}`);
      });
    },
    gauge: (tenantId: string, name: string, value: number, atMs: number, instance = '') =>
      append({ tenantId, name, kind: 'GAUGE', labels: {}, instance }, value, atMs),
    total: (name: string, value: number, atMs: number, instance = 'one', labels: Record<string, string> = {}) =>
      append({ tenantId: operators, name, kind: 'COUNTER', labels, instance }, value, atMs),
    alertsOf,
    alertOf: async (who: Who, rule: string): Promise<Json> =>
      (await alertsOf(who)).find(({ ruleName }) => ruleName === rule),
    createRule: (who: Who, input: object): Promise<Json> =>
      of().ask(
        who,
        `mutation ($input: PlatformAlertRuleInput!) { createAlertRule(input: $input) { rule { id name version } ${errors} } }`,
        { input },
      ),
    above: (metric: string, threshold: number, more: object = {}) => ({
      query: { metric, fn: 'LAST' },
      threshold,
      ...more,
    }),
    clear: () => of().sql`TRUNCATE platform.metric_sample, platform.metric_series, platform.alert`,
  };
}
