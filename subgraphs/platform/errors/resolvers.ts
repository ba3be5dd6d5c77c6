import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';

export const errorQueries = {
  errors: (_parent, { filter, ...page }, { service, scope }) => service.errors.errors(scope, filter, page) as never,
  errorGroups: (_parent, { statuses }, { service, scope }) => service.errors.groups(scope, statuses ?? null) as never,
  errorGroup: (_parent, { fingerprint }, { service, scope }) => service.errors.group(scope, fingerprint) as never,
  errorStatistics: (_parent, range, { service, scope }) => service.errors.statistics(scope, range),
  errorNotificationRules: (_parent, _args, { service, scope }) => service.errorRules.rules(scope) as never,
} satisfies QueryResolvers;

export const errorMutations = {
  captureError: (_parent, { input }, { service, scope }) => ({
    ...service.errors.capture(scope, input),
    userErrors: [],
  }),
  resolveErrorGroup: async (_parent, { idempotencyKey, ...change }, { service, scope }) => ({
    group: (await service.errors.changeGroup(scope, change, idempotencyKey)) as never,
    userErrors: [],
  }),
  retryError: async (_parent, { errorId, idempotencyKey }, { service, scope }) => ({
    ...(await service.errors.retry(scope, errorId, idempotencyKey)),
    userErrors: [],
  }),
  createNotificationRule: async (_parent, { input, idempotencyKey }, { service, scope }) => ({
    rule: (await service.errorRules.putRule(scope, input, idempotencyKey)) as never,
    userErrors: [],
  }),
  deleteNotificationRule: async (_parent, { name, idempotencyKey }, { service, scope }) => ({
    name: await service.errorRules.deleteRule(scope, name, idempotencyKey),
    userErrors: [],
  }),
} satisfies MutationResolvers;
