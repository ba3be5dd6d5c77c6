import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import { shownProfile } from './profiling.ts';

export const performanceQueries = {
  performanceMetric: (_parent, { operation, ...range }, { service, scope }) =>
    service.performance.metric(scope, operation, range) as never,
  performanceBudgets: (_parent, range, { service, scope }) => service.performance.budgets(scope, range) as never,
  budgetViolations: async (_parent, range, { service, scope }) =>
    (await service.performance.budgets(scope, range)).filter(({ status }) => status === 'VIOLATED'),
  performanceReport: (_parent, range, { service, scope }) => service.performance.report(scope, range) as never,
  analyzePerformance: (_parent, { operation, ...range }, { service, scope }) =>
    service.performance.analyze(scope, operation ?? null, range) as never,
  bottlenecks: (_parent, range, { service, scope }) => service.performance.bottlenecks(scope, range) as never,
  optimizationRecommendations: (_parent, { target, ...range }, { service, scope }) =>
    service.performance.recommendations(scope, target ?? null, range) as never,
  profile: (_parent, _args, { service, scope }) => {
    const profile = service.profiling.current(scope);
    return profile && shownProfile(profile);
  },
} satisfies QueryResolvers;

export const performanceMutations = {
  applyRecommendation: async (_parent, { recommendationId, idempotencyKey }, { service, scope }) => ({
    recommendation: await service.performance.apply(scope, recommendationId, idempotencyKey),
    userErrors: [],
  }),
  startProfiling: async (_parent, given, { service, scope }) => ({
    profile: shownProfile(await service.profiling.start(scope, given)),
    userErrors: [],
  }),
  stopProfiling: async (_parent, _args, { service, scope }) => ({
    profile: shownProfile(await service.profiling.stop(scope)),
    userErrors: [],
  }),
} satisfies MutationResolvers;
