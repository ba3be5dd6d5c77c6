import { defineSubgraph } from '#shared/subgraph.ts';
import { createSealer } from './audit/sealer.ts';
import { configChanged } from './configuration/stream.ts';
import { eventReceived } from './events/stream.ts';
import { resolvers } from './resolvers.ts';
import { createPlatformService } from './service.ts';

export const platformSubgraph = defineSubgraph({
  name: 'platform',
  resolvers,
  createService: createPlatformService,
  createLoaders: () => ({}),
  jobs: (_runtime, service) => service.jobs(),
  subscriptions: { configChanged, eventReceived },
  crontab: ['27 * * * * platform.sweepEvents', '37 * * * * platform.sweepFiles', '47 * * * * platform.pruneAudit'],
  async start(runtime, service) {
    const started = [createSealer(runtime), await service.events.start()];
    return {
      async close() {
        for (const part of started) await part.close();
      },
    };
  },
});
