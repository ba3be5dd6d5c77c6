import { defineSubgraph } from '#shared/subgraph.ts';
import { confirmCodec } from './codec.ts';
import { confirmErasure } from './erasure.ts';
import { confirmExports } from './exports.ts';
import { createConfirmLoaders } from './loaders.ts';
import { confirmLocators } from './locators.ts';
import { resolvers } from './resolvers.ts';
import { createConfirmService } from './service.ts';
import { confirmSubscriptions } from './subscriptions.ts';
import { confirmCrontab } from './timers.ts';

export const confirmSubgraph = defineSubgraph({
  name: 'confirm',
  exports: confirmExports,
  erasure: confirmErasure,
  textIds: ['Subject'],
  locators: confirmLocators,
  resolvers,
  createService: (runtime) => createConfirmService(runtime),
  createLoaders: createConfirmLoaders,
  subscriptions: confirmSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: confirmCrontab,
  codec: confirmCodec,
  start: (_runtime, service) => service.start(),
});
