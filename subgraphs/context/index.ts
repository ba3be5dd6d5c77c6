import { defineSubgraph } from '#shared/subgraph.ts';
import { contextCodec } from './codec.ts';
import { followConfirms } from './confirms.ts';
import { contextErasure } from './erasure.ts';
import { contextSubscriptions } from './events.ts';
import { contextExports } from './exports.ts';
import { createContextLoaders } from './loaders.ts';
import { resolvers } from './resolvers.ts';
import { createContextService } from './service.ts';
import { contextJobs, startTimers } from './timers.ts';

export const contextSubgraph = defineSubgraph({
  name: 'context',
  exports: contextExports,
  erasure: contextErasure,
  resolvers,
  createService: createContextService,
  createLoaders: createContextLoaders,
  subscriptions: contextSubscriptions,
  jobs: (runtime, service) => contextJobs(runtime, service.upkeep),
  codec: contextCodec,
  async start(runtime, service) {
    await service.names.adopt();
    const timers = await startTimers(runtime, service.upkeep);
    const confirms = await followConfirms(runtime, service.participants);
    const hooks = await service.hooks.follow();
    return {
      async close() {
        await confirms.close();
        await hooks.close();
        await timers.close();
        await service.drain();
        service.search.close();
      },
    };
  },
});
