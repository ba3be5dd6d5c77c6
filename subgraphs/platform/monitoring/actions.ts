import type { ModuleRuntime } from '#shared/subgraph.ts';
import { openAlertGroup } from '../errors/alertGroup.ts';
import type { AlertActions } from './evaluation.ts';
import { createMetricReading, queryMetric } from './reading.ts';

/** Instances that answered requests this long ago can take over, ms. */
const aliveMs = 90_000;
const windowMs = 120_000;

/** What alerts of the operators set off. */
export function createAlertActions({ sql }: Pick<ModuleRuntime, 'sql'>): AlertActions {
  const reading = createMetricReading(sql);
  return {
    /** The event itself is the signal: each process shows it to who scrapes it. */
    SCALE_UP: async () => ({ outcome: 'mplp_scale_up_requested is set' }),

    async INVESTIGATE(tx, alert) {
      const { figures } = await reading.snapshot(alert.tenantId, null);
      const fingerprint = await openAlertGroup(tx, alert, figures);
      return { outcome: `error group ${fingerprint}` };
    },

    /** Takes the gateway with the largest share of failures out of readiness, where another one is there. */
    async FAILOVER(tx, { tenantId }) {
      const alive = (await tx.unsafe(
        `SELECT DISTINCT s.instance FROM platform.metric_series s JOIN platform.metric_sample m ON m.tenant_id = s.tenant_id AND m.series_id = s.id
         WHERE s.tenant_id = $1 AND s.name = 'mplp_requests_total' AND s.instance <> '' AND m.at > now() - $2::int * interval '1 ms'
           AND NOT EXISTS (SELECT 1 FROM platform.alert a WHERE a.tenant_id = $1 AND a.instance = s.instance AND a.resolved_at IS NULL)
         ORDER BY 1`,
        [tenantId, aliveMs],
      )) as unknown as { instance: string }[];
      const shares = await queryMetric(
        tx,
        tenantId,
        {
          metric: 'error_rate',
          fn: 'INCREASE',
          labels: { severity: 'critical' },
          by: ['instance'],
          dividedBy: 'mplp_requests_total',
        },
        { fromMs: Date.now() + 1 - windowMs, stepMs: windowMs, steps: 1 },
      );
      const [worst] = shares
        .flatMap(({ labels, points }) => ({ instance: labels[0]?.value, share: points[0]?.value ?? 0 }))
        .filter(({ instance }) => alive.some((one) => one.instance === instance))
        .toSorted((one, two) => two.share - one.share);
      if (worst?.instance === undefined) return { outcome: 'no instance that fails was found' };
      if (alive.length < 2) return { outcome: `${worst.instance} fails, and there is no other instance to take over` };
      return { outcome: `${worst.instance} is taken out of readiness`, instance: worst.instance };
    },
  };
}
