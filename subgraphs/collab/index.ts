import { defineSubgraph } from '#shared/subgraph.ts';
import { collabCodec } from './codec.ts';
import { createCollabLoaders } from './loaders.ts';
import { collabLocators } from './locators.ts';
import { resolvers } from './resolvers.ts';
import { createCollabService } from './service.ts';
import { collabSubscriptions } from './subscriptions.ts';
import { collabCrontab } from './timers.ts';

export const collabSubgraph = defineSubgraph({
  name: 'collab',
  locators: collabLocators,
  resolvers,
  createService: (runtime) => createCollabService(runtime),
  createLoaders: createCollabLoaders,
  subscriptions: collabSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: collabCrontab,
  codec: collabCodec,
  start: (_runtime, service) => service.start(),
});
