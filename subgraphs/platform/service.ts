import { readFileSync } from 'node:fs';
import { operatorTenantOf } from '#shared/config.ts';
import type { JobHandler } from '#shared/jobs.ts';
import { openLogs } from '#shared/logs/openLogs.ts';
import { createOnce } from '#shared/once.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { subgraphNames } from '../names.ts';
import { createNotificationRules } from './errors/notificationRules.ts';
import { createErrors } from './errors/service.ts';
import { createLogging } from './logging/service.ts';
import { createMonitoring } from './monitoring/service.ts';
import { createNotifications } from './notifications/notifications.ts';
import { createPerformance } from './performance/service.ts';
import { createExporter } from './protocol/exporter.ts';
import { createImporter } from './protocol/importer.ts';

export type PlatformService = ReturnType<typeof createPlatformService>;

export function createPlatformService(runtime: ModuleRuntime) {
  const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    name: string;
    version: string;
  };
  const startedAt = new Date();
  const once = createOnce('platform', runtime);
  const logs = runtime.logs ?? openLogs(runtime);
  const logging = createLogging(runtime, { logs, once });
  const monitoring = createMonitoring(runtime, { logs, once });
  const notifications = createNotifications(runtime, { once, log: logs.buffer });
  const errors = createErrors({
    sql: runtime.sql,
    capture: logs.errors,
    once,
    operatorTenant: operatorTenantOf(runtime.config),
  });
  return {
    describe: () => ({ name, version, protocolVersion: '1.0.0', subgraphs: [...subgraphNames], startedAt }),
    importer: createImporter(runtime),
    exporter: createExporter(runtime),
    logging,
    monitoring,
    notifications,
    errors,
    errorRules: createNotificationRules({ sql: runtime.sql, once }),
    performance: createPerformance(runtime, { logging, once }),
    jobs: (): Readonly<Record<string, JobHandler>> => ({
      sweepLogs: () => logging.sweepLogs(),
      rollUpMetrics: () => monitoring.rollUp(),
      sweepMetrics: () => monitoring.sweepMetrics(),
      notify: (payload) => notifications.send(payload),
      sweepNotifications: () => notifications.sweepNotifications(),
      sweepErrors: () => errors.sweepErrors(),
    }),
    start: async (): Promise<StartedModule> => {
      const watching = await monitoring.start();
      return {
        async close() {
          await watching.close();
          if (runtime.logs === undefined) await logs.close();
        },
      };
    },
  };
}
