import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Commands } from './commands.ts';
import { type AlertSeries, dayOfBuckets, type NetworkAlertValue } from './forecast/alerts.ts';
import type { ForeseeTask } from './foreseeThread.ts';
import type { NetworkAlertRow } from './rows.ts';
import { read } from './store.ts';

const thread = new URL('./foreseeThread.ts', import.meta.url);
const bucketMinutes = 15;
/** A week: as many seasons as a forecast needs, and some. */
const maxBuckets = 7 * dayOfBuckets;
/** Networks that are looked at together. */
const pageSize = 50;
const timeoutMs = 60_000;
const minuteMs = 60_000;

interface Watched {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly inService: boolean;
  readonly alerts: readonly NetworkAlertRow[];
}

interface Bucket {
  readonly capacity: number;
  readonly latency: number | null;
  readonly errors: number | null;
  readonly failure: number;
}

/** Looks ahead for all networks in service, and tells where something is to be expected that should not be. */
export function createForesight({ sql, compute }: Pick<ModuleRuntime, 'sql' | 'compute'>, commands: Commands) {
  async function readPage(after: { readonly tenantId: string; readonly id: string } | null) {
    return read<Watched>(
      sql,
      `SELECT n.tenant_id AS "tenantId", n.id, n.context_id AS "contextId", n.status IN ('active', 'degraded') AS "inService", n.alerts
       FROM network.network n WHERE (n.status IN ('active', 'degraded') OR n.alerts <> '[]') AND ($1::text IS NULL OR (n.tenant_id, n.id) > ($1, $2::uuid))
       ORDER BY n.tenant_id, n.id LIMIT ${pageSize}`,
      [after?.tenantId ?? null, after?.id ?? null],
    );
  }

  /** Quarters of an hour that are over, oldest first. */
  async function readBuckets({ tenantId, id }: Watched): Promise<readonly Bucket[]> {
    const rows = await read<Bucket>(
      sql,
      `SELECT avg(s.max_utilization)::float8 AS capacity, avg(s.latency_ms)::float8 AS latency, avg(s.loss_rate)::float8 AS errors,
         avg(s.unreachable_nodes)::float8 AS failure
       FROM network.sample s WHERE s.tenant_id = $1 AND s.network_id = $2 AND s.created_at >= now() - interval '7 days'
         AND s.created_at < date_bin('${bucketMinutes} minutes', now(), 'epoch')
       GROUP BY date_bin('${bucketMinutes} minutes', s.created_at, 'epoch')
       ORDER BY date_bin('${bucketMinutes} minutes', s.created_at, 'epoch') DESC LIMIT ${maxBuckets}`,
      [tenantId, id],
    );
    return rows.toReversed();
  }

  async function store(network: Watched, found: readonly NetworkAlertValue[]): Promise<boolean> {
    const { tenantId, id, contextId, alerts } = network;
    const known = new Map(alerts.map((alert) => [alert.kind, alert]));
    const nowMs = Date.now();
    const next = found.map(
      ({ steps, ...alert }): NetworkAlertRow => ({
        ...alert,
        expectedAt: new Date(nowMs + steps * bucketMinutes * minuteMs).toISOString(),
        raisedAt: known.get(alert.kind)?.raisedAt ?? new Date(nowMs).toISOString(),
      }),
    );
    const raised = next.filter(({ kind }) => !known.has(kind)).map(({ kind }) => kind);
    const cleared = alerts.filter(({ kind }) => !next.some((one) => one.kind === kind)).map(({ kind }) => kind);
    if (next.length + alerts.length === 0) return false;
    return commands.runAs(tenantId, 'system', async (tx) => {
      await tx.unsafe(
        'UPDATE network.network SET alerts = $3::text::jsonb WHERE tenant_id = $1 AND id = $2',
        [tenantId, id, JSON.stringify(next)],
        { prepare: true },
      );
      const tags = [`Network:${id}`];
      const isNews = raised.length + cleared.length > 0;
      return {
        response: isNews,
        events: isNews
          ? [
              {
                streamId: id,
                type: 'network.alerts.changed',
                data: { networkId: id, contextId, alerts: next, raised, cleared },
                tags,
              },
            ]
          : [],
      };
    });
  }

  return {
    /** Answers of how many networks the alerts are others now. */
    async run(): Promise<number> {
      let changed = 0;
      for (let page = await readPage(null); page.length > 0; page = await readPage(page.at(-1)!)) {
        const networks: ForeseeTask['networks'][number][] = [];
        for (const network of page) {
          const buckets = network.inService ? await readBuckets(network) : [];
          const of = (name: 'capacity' | 'latency' | 'errors' | 'failure') =>
            buckets.flatMap((bucket) => bucket[name] ?? []);
          const series: AlertSeries = {
            capacity: of('capacity'),
            latency: of('latency'),
            errors: of('errors'),
            failure: of('failure'),
          };
          networks.push({ series, standing: network.alerts.map(({ kind }) => kind) });
        }
        const task: ForeseeTask = { networks };
        const found = await compute.run<readonly (readonly NetworkAlertValue[])[]>(thread, 'foresee', task, {
          lane: 'background',
          timeoutMs,
        });
        for (const [at, network] of page.entries()) changed += Number(await store(network, found[at]!));
      }
      return changed;
    },
  };
}
