import { defineSubgraph } from '#shared/subgraph.ts';
import { createTraceLoaders } from './loaders.ts';
import { tracePartitions } from './partitions.ts';
import { resolvers } from './resolvers.ts';
import { createTraceService } from './service.ts';

export const traceSubgraph = defineSubgraph({
  name: 'trace',
  resolvers,
  createService: createTraceService,
  createLoaders: createTraceLoaders,
  partitions: tracePartitions,
  async start(_runtime, service) {
    const following = await service.follow();
    return {
      async close() {
        await following.close();
        await service.drain();
      },
    };
  },
});
