import { defineSubgraph } from '#shared/subgraph.ts';
import { planCodec } from './codec.ts';
import { planSubscriptions } from './events.ts';
import { planExports } from './exports.ts';
import { createPlanLoaders } from './loaders.ts';
import { planLocators } from './locators.ts';
import { resolvers } from './resolvers.ts';
import { createPlanService, planCrontab } from './service.ts';

export const planSubgraph = defineSubgraph({
  name: 'plan',
  exports: planExports,
  textIds: ['Subject'],
  locators: planLocators,
  resolvers,
  createService: createPlanService,
  createLoaders: createPlanLoaders,
  subscriptions: planSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: planCrontab,
  codec: planCodec,
  start: (_runtime, service) => service.start(),
});
