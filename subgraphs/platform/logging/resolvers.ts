import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';

export const loggingQueries = {
  logs: (_parent, { filter, ...page }, { service, scope }) => service.logging.logs(scope, filter, page) as never,
  log: (_parent, { logId }, { service, scope }) => service.logging.log(scope, logId),
  logAggregation: (_parent, { filter, groupBy, interval }, { service, scope }) =>
    service.logging.aggregate(scope, filter, groupBy, interval),
  logLevels: async (_parent, _args, { service, scope }) => [...(await service.logging.rules(scope))],
} satisfies QueryResolvers;

export const loggingMutations = {
  writeLog: (_parent, { input }, { service, scope }) => ({ ...service.logging.writeLog(scope, input), userErrors: [] }),
  writeLogs: (_parent, { inputs }, { service, scope }) => ({
    ...service.logging.writeLogs(scope, inputs),
    userErrors: [],
  }),
  setLogLevel: async (_parent, { idempotencyKey, ...rule }, { service, scope }) => ({
    rule: await service.logging.setLevel(scope, rule, idempotencyKey),
    userErrors: [],
  }),
} satisfies MutationResolvers;
