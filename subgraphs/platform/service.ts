import { readFileSync } from 'node:fs';
import { operatorTenantOf } from '#shared/config.ts';
import type { JobHandler } from '#shared/jobs.ts';
import { openLogs } from '#shared/logs/openLogs.ts';
import { createOnce } from '#shared/once.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { subgraphNames } from '../names.ts';
import { createLogging } from './logging/service.ts';
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
  const operatorTenant = operatorTenantOf(runtime.config);
  const logs = runtime.logs ?? openLogs({ ...runtime, operatorTenant });
  const logging = createLogging(runtime, { logs, once });
  return {
    describe: () => ({ name, version, protocolVersion: '1.0.0', subgraphs: [...subgraphNames], startedAt }),
    importer: createImporter(runtime),
    exporter: createExporter(runtime),
    logging,
    jobs: (): Readonly<Record<string, JobHandler>> => ({ sweepLogs: () => logging.sweepLogs() }),
    start: async (): Promise<StartedModule> => ({
      async close() {
        if (runtime.logs === undefined) await logs.close();
      },
    }),
  };
}
