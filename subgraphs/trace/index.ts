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
  start: async (_runtime, service) => ({ close: () => service.drain() }),
});
