import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import type { RequestContext } from '../context.ts';
import { findHistory } from '../metrics/reads.ts';
import * as inputs from '../optimization/inputs.ts';
import { findOptimization, listOptimizations } from '../optimization/store.ts';
import type { MutationResolvers, QueryResolvers, Resolvers } from '../resolvers.generated.ts';
import { platformTenant } from '../settings.ts';

const upper = <Text extends string>(text: Text) => text.toUpperCase() as Uppercase<Text>;

async function payload({ service, principal }: RequestContext, pending: Promise<string>) {
  return { run: await findOptimization(service.sql, principal.tenantId, await pending), userErrors: [] };
}

export const optimizationQueries = {
  optimizationRun: (_parent, { runId }, { service, principal }) =>
    isId(runId) ? findOptimization(service.sql, principal.tenantId, runId) : null,
  optimizationRuns: (_parent, { filter, ...page }, { service, principal }) =>
    listOptimizations(service.sql, principal.tenantId, filter, page),
  metricHistory: (_parent, args, { service, principal }) => {
    const { series, since, until, stepMs, platform } = parseInput(inputs.history, args, []);
    if (platform && !service.optimizations.isOperator(principal.tenantId))
      throw new PlatformError('PERMISSION_DENIED', 'what all tenants share is shown to the operator of the platform', {
        path: ['platform'],
      });
    const stretch = {
      tenantId: platform ? platformTenant : principal.tenantId,
      from: since.toISOString(),
      until: (until ?? new Date()).toISOString(),
    };
    return findHistory(service.sql, series, stretch, stepMs);
  },
} satisfies QueryResolvers;

export const optimizationMutations = {
  optimizeWorkflow: (_parent, { input }, context) =>
    payload(context, context.service.tunings.optimize(context.scope, input)),
  optimizeSystem: (_parent, { input }, context) =>
    payload(context, context.service.optimizations.optimizeSystem(context.scope, input)),
} satisfies MutationResolvers;

export const optimizationTypes = {
  CoreOptimizationRun: {
    runId: (row) => row.id,
    kind: (row) => upper(row.kind),
    scope: (row) => row.scope.map(upper),
    status: (row) => upper(row.status),
    applied: (row) => row.appliedAt !== null,
    rolledBack: (row) => row.status === 'returned',
    observedFrom: (row) => row.observed.from,
    observedUntil: (row) => row.observed.until,
    observations: (row) => row.observed.observations,
    bottlenecks: (row) => [...row.bottlenecks],
    changes: (row) => [...row.changes],
    guards: (row) => [...row.guards],
    workflow: ({ workflow }) =>
      workflow && {
        ...workflow,
        timeBudgetExhausted: workflow.timeBudgetExhausted ?? false,
        criticalPath: [...workflow.criticalPath],
        steps: [...workflow.steps],
      },
    measuredGain: async ({ measuredGain, workflow }, _args, { loaders }) => {
      if (workflow?.publishedVersion == null) return measuredGain;
      const ms = await loaders.medianMs.load(`${workflow.workflowId}/${workflow.publishedVersion}`);
      return ms === null || workflow.measuredMs === 0 ? null : 1 - ms / workflow.measuredMs;
    },
  },
  CoreOptimizationRunConnection: {
    edges: (row) => [...row.edges],
    nodes: (row) => [...row.nodes],
  },
} satisfies Resolvers;
