import { subjectBoundTag } from '#shared/context.ts';
import { isId } from '#shared/ids.ts';
import type { RequestContext } from '../context.ts';
import { executionsTag } from '../execution/recorder.ts';
import { hookPoints } from '../hookPoints.ts';
import { listExtensions, noExecutions, readExecutionFilter, readFilter } from '../lists.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';
import type { ExtensionRow } from '../rows.ts';

const find = async ({ loaders }: RequestContext, id: string): Promise<ExtensionRow | null> =>
  isId(id) ? loaders.extension.load(id) : null;

export const queries: QueryResolvers = {
  extension: (_parent, { id }, context) => find(context, id),
  extensions: (_parent, { filter, ...page }, { service, scope }) =>
    listExtensions(service.sql, scope, readFilter(filter), page),
  discoverExtensions: (_parent, { query, ...page }, { service, scope }) =>
    service.discovery.discover(scope, query, page) as never,
  extensionCapabilities: async (_parent, { id }, context) => {
    const extension = await find(context, id);
    return extension && [...(await context.loaders.capabilities.load(extension.id))];
  },
  extensionMetrics: async (_parent, { id, hours }, context) => {
    const extension = await find(context, id);
    context.scope.readTags.add(executionsTag(id));
    return extension && context.service.metrics(extension, hours);
  },
  extensionHealth: async (_parent, { id }, context) => {
    const extension = await find(context, id);
    // How breakers stand is this instance's own.
    context.scope.readTags.add(subjectBoundTag);
    if (extension === null) return null;
    const [sandbox] = await context.loaders.sandboxes.load(extension.id);
    const health = await context.service.health(extension, sandbox ?? null);
    return {
      ...health,
      openCircuits: [...health.openCircuits],
      runtimeState: health.runtimeState.toUpperCase() as never,
    };
  },
  dependencyGraph: async (_parent, { id }, context) => {
    const extension = await find(context, id);
    return extension && ((await context.service.dependencyGraph(extension)) as never);
  },
  extensionExecution: (_parent, { id }, { loaders }) => (isId(id) ? loaders.execution.load(id) : null),
  extensionExecutions: async (_parent, { filter, ...page }, context) => {
    const { extensionId, ...rest } = readExecutionFilter(filter);
    const extension = await find(context, extensionId);
    context.scope.readTags.add(executionsTag(extensionId));
    return extension === null ? noExecutions : context.loaders.executions.load(extension.id, rest, page);
  },
  publisherKeys: async (_parent, _args, { service, scope }) => [...(await service.keys.list(scope))],
  extensionHookPoints: () =>
    hookPoints.map(({ point, phases, events }) => ({
      point,
      phases: phases.map((phase) => (phase === 'before' ? 'BEFORE' : 'AFTER')),
      events: [...events],
    })),
};
