import { defineSubgraph } from '#shared/subgraph.ts';
import { roleCodec } from './codec.ts';
import { roleSubscriptions } from './events.ts';
import { createRoleLoaders } from './loaders.ts';
import { resolvers } from './resolvers.ts';
import { createRoleService } from './service.ts';

export { createRoleAuthorizer, type RoleAuthorizer } from './authorizer.ts';
export { readRoleLimits } from './limits.ts';

import { roleLocators } from './locators.ts';

export const roleSubgraph = defineSubgraph({
  name: 'role',
  locators: roleLocators,
  resolvers,
  createService: createRoleService,
  createLoaders: createRoleLoaders,
  subscriptions: roleSubscriptions,
  jobs: (_runtime, { upkeep }) => upkeep.jobs,
  crontab: ['* * * * * role.expire'],
  partitions: [{ schema: 'role', table: 'decision', unit: 'month', keep: 12, ahead: 2 }],
  codec: roleCodec,
  textIds: ['Subject', 'RoleAssignment'],
  async start(_runtime, service) {
    const [upkeep, contexts, hooks] = await Promise.all([
      service.upkeep.start(),
      service.contexts.follow(),
      service.hooks.follow(),
    ]);
    return {
      async close() {
        await upkeep.close();
        await contexts.close();
        await hooks.close();
        await service.drain();
      },
    };
  },
});
