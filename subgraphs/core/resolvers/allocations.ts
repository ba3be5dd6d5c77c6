import { PlatformError, toUserError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { listAllocations, readUsage } from '../allocation/lists.ts';
import { findNodes } from '../allocation/store.ts';
import { overuseOf } from '../allocation/usage.ts';
import { toAmounts } from '../allocation/vector.ts';
import type { RequestContext } from '../context.ts';
import * as inputs from '../inputs.ts';
import type { MutationResolvers, QueryResolvers, Resolvers } from '../resolvers.generated.ts';

const upper = <Text extends string>(text: Text) => text.toUpperCase() as Uppercase<Text>;

async function payload({ loaders }: RequestContext, pending: Promise<string>) {
  const id = await pending;
  loaders.allocation.clearAll();
  return { allocation: await loaders.allocation.load(id), suggestions: [], userErrors: [] };
}

export const allocationQueries = {
  allocation: (_parent, { allocationId }, { loaders }) =>
    isId(allocationId) ? loaders.allocation.load(allocationId) : null,
  allocations: (_parent, { filter, ...page }, { service, scope }) => listAllocations(service.sql, scope, filter, page),
  resourceNodes: (_parent, { pool }, { service, principal }) =>
    findNodes(service.sql, principal.tenantId, pool ?? null),
  resourceUsage: (_parent, _args, { service, principal }) => readUsage(service.sql, principal.tenantId),
} satisfies QueryResolvers;

export const allocationMutations = {
  async allocateResources(_parent, { input }, context) {
    const { allocations } = context.service;
    try {
      return await payload(context, allocations.allocate(context.scope, input));
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      const found = await allocations.suggest(context.scope, input, error);
      if (found.length === 0) throw error;
      const suggestions = found.map(({ kind, wanted, waitMs, message }) => ({
        ...{ kind: upper(kind), requirements: toAmounts(wanted), waitMs, message },
      }));
      const { path, ...rest } = toUserError(error);
      return { allocation: null, suggestions, userErrors: [{ ...rest, path: path === null ? null : [...path] }] };
    }
  },
  allocateResourceGang: async (_parent, { input }, { service, scope, loaders }) => {
    const ids = await service.allocations.allocateGang(scope, input);
    loaders.allocation.clearAll();
    const rows = await Promise.all(ids.map((id) => loaders.allocation.load(id)));
    return { allocations: rows.flatMap((row) => (row === null ? [] : [row])), userErrors: [] };
  },
  renewAllocation: (_parent, { allocationId, ...options }, context) =>
    payload(context, context.service.allocations.renew(context.scope, allocationId, options)),
  reportResourceUsage: (_parent, { input }, context) =>
    payload(context, context.service.allocations.reportUsage(context.scope, input)),
  releaseResources: (_parent, { allocationId, ...options }, context) =>
    payload(context, context.service.allocations.release(context.scope, allocationId, options)),
  putResourceNode: async (_parent, { input }, { service, scope }) => {
    const id = await service.allocations.putNode(scope, input);
    const nodes = await findNodes(service.sql, scope.principal.tenantId);
    return { node: nodes.find((node) => node.id === id) ?? null, userErrors: [] };
  },
  setQuota: async (_parent, { input }, { service, scope }) => {
    const owner = await service.allocations.setQuota(scope, input);
    const usage = await readUsage(service.sql, scope.principal.tenantId);
    return { owner: usage.owners.find((one) => one.owner === owner) ?? null, userErrors: [] };
  },
} satisfies MutationResolvers;

export const allocationTypes = {
  // An error that the guard turned into a payload brings none.
  CoreAllocationPayload: { suggestions: (row) => row.suggestions ?? [] },
  CoreResourceAllocation: {
    __resolveReference: ({ id }, { loaders }) => loaders.allocation.load(id),
    allocationId: (row) => row.id,
    context: (row) => (row.contextId === null ? null : { id: row.contextId }),
    requested: (row) => toAmounts(row.requested),
    capabilities: (row) => [...row.capabilities],
    priority: (row) => inputs.priorities[row.priority] ?? 'MEDIUM',
    status: (row) => upper(row.status),
    epoch: (row) => row.leaseEpoch,
    usage: ({ usage }) =>
      usage && {
        ...{ current: toAmounts(usage.current), peak: toAmounts(usage.peak), average: toAmounts(usage.average) },
        reportedAt: usage.reportedAt,
      },
    overuse: (row) => [...overuseOf(row)],
    estimatedWaitMs: (row, _args, { loaders }) => (row.status === 'queued' ? loaders.waitMs.load(row.id) : null),
    queuePosition: (row, _args, { loaders }) => (row.status === 'queued' ? loaders.queuePosition.load(row.id) : null),
  },
  CoreResourceAllocationConnection: {
    edges: (row) => [...row.edges],
    nodes: (row) => [...row.nodes],
  },
  CoreResourceNode: {
    labels: ({ labels }) => Object.entries(labels).map(([name, value]) => ({ name, value })),
    capabilities: (row) => [...row.capabilities],
    capacity: (row) => toAmounts(row.capacity),
    used: (row) => toAmounts(row.used),
  },
} satisfies Resolvers;
