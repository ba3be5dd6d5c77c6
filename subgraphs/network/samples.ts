import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isoText } from '#shared/record.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import type { Commands } from './commands.ts';
import { findAnomalies } from './forecast/anomalies.ts';
import { forecast } from './forecast/holtWinters.ts';
import * as inputs from './inputs.ts';
import type { LinkMeasured } from './rows.ts';
import { findNetworks, read } from './store.ts';
import { holdsClause } from './waiting.ts';

export interface SampleRow {
  readonly tenantId: string;
  readonly networkId: string;
  readonly contextId: string;
  readonly createdAt: string;
  readonly maxUtilization: number;
  readonly meanUtilization: number;
  readonly latencyMs: number | null;
  readonly lossRate: number | null;
  readonly connections: number;
  readonly unreachableNodes: number;
}

const columns = {
  MAX_UTILIZATION: 'max_utilization',
  MEAN_UTILIZATION: 'mean_utilization',
  LATENCY_MS: 'latency_ms',
  LOSS_RATE: 'loss_rate',
  CONNECTIONS: 'connections',
  UNREACHABLE_NODES: 'unreachable_nodes',
} as const;
export type SampleMetric = keyof typeof columns;

/** Values of the past that a forecast looks at. */
const maxObserved = 10_080;
const minuteMs = 60_000;

/** Figures of networks by the minute, what is measured on links, and what is to be expected. */
export function createSamples({ sql }: ModuleRuntime, commands: Commands) {
  return {
    /** Takes over measures of links; those that are left out stay as they were. @throws {NOT_FOUND} */
    async report(scope: RequestScope, raw: unknown): Promise<number> {
      const { networkId, links } = parseInput(inputs.reportMetrics, raw, ['input']);
      const { tenantId } = scope.principal;
      await requireVisible(sql, scope.principal, networkId);
      const at = new Date().toISOString();
      const rows = links.map(({ linkId, ...given }) => ({
        id: linkId,
        measured: {
          ...Object.fromEntries(Object.entries(given).filter(([, value]) => value != null)),
          at,
        } satisfies LinkMeasured,
      }));
      return commands.run(scope, { operation: 'reportMetrics', input: null }, async (tx) => {
        const [network] = await findNetworks(tx, tenantId, [networkId]);
        if (!network) throw unknownNetwork();
        const updated = await read<{ id: string }>(
          tx,
          `UPDATE network.link l SET measured = coalesce(l.measured, '{}') || x.measured FROM json_to_recordset($3::text::json) AS x(id uuid, measured jsonb)
           WHERE l.tenant_id = $1 AND l.network_id = $2 AND l.id = x.id RETURNING l.id`,
          [tenantId, networkId, JSON.stringify(rows)],
        );
        const known = new Set(updated.map(({ id }) => id));
        const missing = links.findIndex(({ linkId }) => !known.has(linkId));
        if (missing !== -1)
          throw new PlatformError('NOT_FOUND', 'the network has no such link', {
            path: ['input', 'links', missing, 'linkId'],
          });
        return {
          response: known.size,
          events: [
            {
              streamId: networkId,
              type: 'link.measured',
              data: { measured: rows, contextId: network.contextId, networkId },
              tags: [`Network:${networkId}:links`],
            },
          ],
        };
      });
    },

    /** Writes the figures of this minute for every network in service that has none yet; one instance writes each. */
    async sample(): Promise<number> {
      const rows = await read<SampleRow>(
        sql,
        `WITH figures AS (
           SELECT n.tenant_id, n.id, n.context_id, date_trunc('minute', now()) AS at,
             coalesce(max(u.used), 0) AS max_used, coalesce(avg(u.used), 0) AS mean_used, avg((l.measured->>'latencyMs')::float8) AS latency,
             avg((l.measured->>'lossRate')::float8) AS loss
           FROM network.network n LEFT JOIN network.link l ON l.tenant_id = n.tenant_id AND l.network_id = n.id AND l.status = 'active'
           LEFT JOIN LATERAL (SELECT CASE WHEN l.capacity_kbps > 0
             THEN (l.reserved_real_time + l.reserved_interactive + l.reserved_bulk + l.reserved_management)::float8 / l.capacity_kbps END AS used) u ON true
           WHERE n.status IN ('active', 'degraded') AND NOT EXISTS (
             SELECT 1 FROM network.sample s WHERE s.tenant_id = n.tenant_id AND s.network_id = n.id AND s.created_at = date_trunc('minute', now()))
           GROUP BY n.tenant_id, n.id, n.context_id
         ), written AS (
           INSERT INTO network.sample (tenant_id, network_id, created_at, max_utilization, mean_utilization, latency_ms, loss_rate, connections, unreachable_nodes)
           SELECT f.tenant_id, f.id, f.at, f.max_used, f.mean_used, f.latency, f.loss,
             (SELECT count(*) FROM network.connection c WHERE c.tenant_id = f.tenant_id AND c.network_id = f.id AND ${holdsClause}),
             (SELECT count(*) FROM network.node d WHERE d.tenant_id = f.tenant_id AND d.network_id = f.id AND d.status = 'unreachable')
           FROM figures f ON CONFLICT DO NOTHING RETURNING *
         )
         SELECT w.tenant_id AS "tenantId", w.network_id AS "networkId", f.context_id AS "contextId", ${isoText('w.created_at')} AS "createdAt",
           w.max_utilization AS "maxUtilization", w.mean_utilization AS "meanUtilization", w.latency_ms AS "latencyMs", w.loss_rate AS "lossRate",
           w.connections, w.unreachable_nodes AS "unreachableNodes"
         FROM written w JOIN figures f ON f.tenant_id = w.tenant_id AND f.id = w.network_id`,
        [],
      );
      for (const [tenantId, samples] of Map.groupBy(rows, (row) => row.tenantId))
        await commands.runAs(tenantId, 'system', async () => ({
          response: null,
          events: samples.map((sample) => ({
            streamId: sample.networkId,
            type: 'metrics.sampled',
            data: { sample },
            tags: [],
          })),
        }));
      return rows.length;
    },

    /** @throws {NOT_FOUND} {VALIDATION_FAILED} */
    async forecast(
      scope: RequestScope,
      networkId: string,
      {
        metric,
        steps,
        season,
        bucketMinutes,
      }: {
        readonly metric: SampleMetric;
        readonly steps: number;
        readonly season: number;
        readonly bucketMinutes: number;
      },
    ) {
      for (const [name, value, most] of [
        ['steps', steps, 1_440],
        ['season', season, 1_440],
        ['bucketMinutes', bucketMinutes, 1_440],
      ] as const)
        if (value < 1 || value > most)
          throw new PlatformError('VALIDATION_FAILED', `${name}: expected 1 to ${most}, got ${value}`, {
            path: [name],
          });
      const { tenantId } = scope.principal;
      const [network] = await findNetworks(sql, tenantId, [networkId]);
      if (!network) throw unknownNetwork();
      await requireVisible(sql, scope.principal, networkId);
      const rows = await read<{ at: string; value: number }>(
        sql,
        `SELECT ${isoText('b.at')} AS at, b.value FROM (
           SELECT date_bin($3::int * interval '1 minute', s.created_at, 'epoch') AS at, avg(s.${columns[metric]})::float8 AS value
           FROM network.sample s WHERE s.tenant_id = $1 AND s.network_id = $2 AND s.${columns[metric]} IS NOT NULL
           GROUP BY 1 ORDER BY 1 DESC LIMIT $4
         ) b ORDER BY b.at`,
        [tenantId, networkId, bucketMinutes, maxObserved],
      );
      const values = rows.map(({ value }) => value);
      const found = forecast(values, steps, season);
      const last = Date.parse(rows.at(-1)?.at ?? '');
      return {
        metric,
        observed: values.length,
        season: found?.season ?? 1,
        error: found?.error ?? null,
        points: (found?.points ?? []).map((point, at) => ({
          at: new Date(last + (at + 1) * bucketMinutes * minuteMs),
          ...point,
        })),
        anomalies: findAnomalies(values).map(({ index, ...anomaly }) => ({
          at: new Date(rows[index]!.at),
          ...anomaly,
          method: anomaly.method as string,
        })),
      };
    },
  };
}
