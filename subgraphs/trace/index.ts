import { defineSubgraph } from '#shared/subgraph.ts';
import { traceCodec } from './codec.ts';
import { traceErasure } from './erasure.ts';
import { traceExports } from './exports.ts';
import { createTraceLoaders } from './loaders.ts';
import { traceLocators } from './locators.ts';
import { tracePartitions } from './partitions.ts';
import { resolvers } from './resolvers.ts';
import { createTraceService } from './service.ts';
import { traceSubscriptions } from './subscriptions.ts';
import { traceCrontab } from './upkeep.ts';

export const traceSubgraph = defineSubgraph({
  name: 'trace',
  exports: traceExports,
  erasure: traceErasure,
  locators: traceLocators,
  resolvers,
  createService: createTraceService,
  createLoaders: createTraceLoaders,
  subscriptions: traceSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: traceCrontab,
  partitions: tracePartitions,
  codec: traceCodec,
  start: (_runtime, service) => service.follow(),
});
