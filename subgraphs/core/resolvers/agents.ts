import { parseInput } from '#shared/validation.ts';
import * as inputs from '../agents/inputs.ts';
import { discover, listAgents } from '../agents/store.ts';
import type { RequestContext } from '../context.ts';
import type { MutationResolvers, QueryResolvers, Resolvers } from '../resolvers.generated.ts';

const upper = <Text extends string>(text: Text) => text.toUpperCase() as Uppercase<Text>;

async function payload({ loaders }: RequestContext, pending: Promise<string>) {
  const id = await pending;
  loaders.agent.clearAll();
  return { agent: await loaders.agent.load(id), userErrors: [] };
}

export const agentQueries = {
  registeredAgent: (_parent, { agentId }, { loaders }) => loaders.agent.load(agentId),
  registeredAgents: (_parent, { filter, ...page }, { service, principal }) =>
    listAgents(service.sql, principal.tenantId, filter, page),
  discoverAgents: (_parent, { query, first }, { service, principal }) =>
    discover(service.sql, principal.tenantId, {
      ...parseInput(inputs.query, query ?? { free: 1 }, ['query']),
      first: parseInput(inputs.first, first, ['first']),
    }),
} satisfies QueryResolvers;

export const agentMutations = {
  registerAgent: (_parent, { input }, context) =>
    payload(context, context.service.agents.register(context.scope, input)),
  unregisterAgent: async (_parent, { agentId, ...options }, { service, scope }) => ({
    agentId: await service.agents.unregister(scope, agentId, options),
    userErrors: [],
  }),
  agentHeartbeat: (_parent, { input }, context) =>
    payload(context, context.service.agents.heartbeat(context.scope, input)),
} satisfies MutationResolvers;

export const agentTypes = {
  CoreAgent: {
    capabilities: (row) => [...row.capabilities],
    status: (row) => upper(row.status),
  },
  CoreAgentConnection: {
    edges: (row) => [...row.edges],
    nodes: (row) => [...row.nodes],
  },
} satisfies Resolvers;
