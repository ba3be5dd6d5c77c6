import type { Registry } from 'prom-client';
import { type Config, operatorTenantOf } from '#shared/config.ts';
import { followAlerts } from '#shared/metrics/alertSignals.ts';
import { collectDatabaseState } from '#shared/metrics/databaseState.ts';
import { collectResources } from '#shared/metrics/resources.ts';
import { startSampler } from '#shared/metrics/sampler.ts';
import { type Logger, moduleMetrics } from '#shared/telemetry.ts';
import { subgraphNames } from './names.ts';
import type { Connections } from './open.ts';

export interface ObserveOptions {
  readonly connections: Connections;
  readonly config: Config;
  readonly logger: Logger;
  /** Names the process. */
  readonly instance: string;
  /** Takes the figures of the process; what modules count is sampled beside it. */
  readonly registry: Registry;
  /** What the process does when an alert has another one take over. @default nothing */
  readonly setAside?: (isAside: boolean) => void;
}

/** Watches a process: its use of resources, the history of its metrics, and what alerts ask of it. */
export function observeProcess({
  connections,
  config,
  logger,
  instance,
  registry,
  setAside = () => {},
}: ObserveOptions): () => Promise<void> {
  const sql = connections.sqlOf('platform');
  const operatorTenant = operatorTenantOf(config);
  const resources = collectResources({
    registry,
    dataDir: process.cwd(),
    isSampled: config.METRIC_HISTORY,
    async latencyMs() {
      const beganMs = performance.now();
      await sql`SELECT 1`;
      return performance.now() - beganMs;
    },
  });
  const databases = collectDatabaseState({
    registry,
    modules: subgraphNames,
    ...connections,
    tail: connections.bus,
    backupStampFile: config.BACKUP_STAMP_FILE,
  });
  const unfollow = followAlerts({ bus: connections.bus, sql, registry, logger, operatorTenant, instance, setAside });
  const sampler = config.METRIC_HISTORY
    ? startSampler({
        registries: [registry, moduleMetrics],
        sql,
        prepare: connections.logs.prepare,
        logger,
        operatorTenant,
        instance,
        intervalMs: config.METRIC_SAMPLE_MS,
        onSampled: resources.sampled,
      })
    : null;
  return async () => {
    unfollow();
    resources.close();
    await databases.close();
    await sampler?.close();
  };
}
