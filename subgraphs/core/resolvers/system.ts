import { approversShape } from '#shared/approvers.ts';
import { shapeGovernance } from '#shared/governance.ts';
import { isId } from '#shared/ids.ts';
import { subgraphNames } from '../../names.ts';
import { toAmounts, toVector } from '../allocation/vector.ts';
import type { RequestContext } from '../context.ts';
import { shownStatus } from '../execution/shown.ts';
import { toDocument } from '../manifest/document.ts';
import { isBuiltIn } from '../orchestration/builtInRules.ts';
import { listDecisions } from '../orchestration/decisions.ts';
import type { MutationResolvers, QueryResolvers, Resolvers } from '../resolvers.generated.ts';
import { countByStatus } from '../status.ts';

const upper = <Text extends string>(text: Text) => text.toUpperCase() as Uppercase<Text>;
const lower = <Text extends string>(text: Text) => text.toLowerCase() as Lowercase<Text>;

async function manifestPayload({ loaders }: RequestContext, pending: Promise<string>) {
  const id = await pending;
  loaders.manifest.clearAll();
  return { manifest: await loaders.manifest.load(id), userErrors: [] };
}

export const systemQueries = {
  coreManifest: async (_parent, { manifestId }, { loaders, service, scope }) => {
    scope.readTags.add('manifests');
    if (manifestId != null) return isId(manifestId) ? loaders.manifest.load(manifestId) : null;
    return service.manifests.current(scope.principal.tenantId);
  },
  systemHealth: async (_parent, _args, { service, scope }) => {
    await service.callRates.take(scope, 'health');
    const { overall, components, metrics, issues, alerts, ...rest } = await service.health.snapshot();
    return {
      ...{ ...rest, overall: upper(overall), components: [...components], metrics: [...metrics], issues: [...issues] },
      alerts: alerts.map(({ severity, ...alert }) => ({ ...alert, severity: upper(severity) })),
    };
  },
  systemStatus: async (_parent, _args, { service, scope, principal }) => {
    await service.callRates.take(scope, 'status');
    const [{ overall }, counts] = await Promise.all([
      service.health.snapshot(),
      countByStatus(service.sql, principal.tenantId),
    ]);
    return {
      ...counts,
      ...{
        health: upper(overall),
        modules: [...subgraphNames],
        runningSteps: service.worker.running,
        slots: service.settings.current().slots,
        circuits: service.circuits.openOf(principal.tenantId).map(({ state, module, operation, retryAt }) => ({
          ...{ module, operation, retryAt, state: upper(state) },
        })),
      },
    };
  },
  orchestrationDecision: (_parent, { decisionId }, { loaders }) =>
    isId(decisionId) ? loaders.decision.load(decisionId) : null,
  orchestrationDecisions: (_parent, { filter, ...page }, { service, scope }) =>
    listDecisions(service.sql, scope, filter, page),
  orchestrationRules: (_parent, _args, { service, scope }) => {
    scope.readTags.add('orchestrationRules');
    return service.orchestration.findRules(scope.principal.tenantId);
  },
} satisfies QueryResolvers;

export const systemMutations = {
  createManifest: (_parent, { input }, context) =>
    manifestPayload(context, context.service.manifests.create(context.scope, input)),
  changeManifestStatus: (_parent, { manifestId, status, ...options }, context) =>
    manifestPayload(context, context.service.manifests.setStatus(context.scope, manifestId, lower(status), options)),
  setModuleStatus: (_parent, { manifestId, moduleId, status, ...options }, context) =>
    manifestPayload(
      context,
      context.service.manifests.setModule(context.scope, manifestId, lower(moduleId), lower(status), options),
    ),
  putOrchestrationRule: async (_parent, { input }, { service, scope }) => {
    const id = await service.orchestration.putRule(scope, input);
    const rules = await service.orchestration.findRules(scope.principal.tenantId);
    return { rule: rules.find((rule) => rule.id === id) ?? null, userErrors: [] };
  },
  deleteOrchestrationRule: async (_parent, { ruleId, ...options }, { service, scope }) => ({
    ruleId: await service.orchestration.removeRule(scope, ruleId, options),
    deleted: true,
    userErrors: [],
  }),
  coordinateModules: async (_parent, { input }, { service, scope, loaders }) => {
    const { executionId, actions } = await service.coordinate(scope, input);
    const steps = await loaders.steps.load(executionId);
    return {
      execution: await loaders.execution.load(executionId),
      results: steps.map((step) => ({
        ...{ module: upper(step.stepId as 'plan'), action: actions.get(step.stepId) ?? '', status: shownStatus(step) },
        ...{ output: step.output, error: step.error },
      })),
      userErrors: [],
    };
  },
  publishSystemEvent: async (_parent, { input }, { service, scope }) => ({
    eventId: await service.publishSystemEvent(scope, input),
    userErrors: [],
  }),
  decideOrchestration: async (_parent, { input }, { service, scope, loaders }) => {
    const { id } = await service.orchestration.decide(scope, input);
    return { decision: await loaders.decision.load(id), userErrors: [] };
  },
} satisfies MutationResolvers;

export const systemTypes = {
  CoreOrchestrationDecision: {
    __resolveReference: ({ id }, { loaders }) => loaders.decision.load(id),
    context: ({ contextId }) => (contextId === null ? null : { id: contextId }),
    execution: ({ executionId }, _args, { loaders }) =>
      executionId === null ? null : loaders.execution.load(executionId),
    actions: ({ actions }) => [...actions],
    deferred: ({ deferred }) => [...deferred],
    rejected: ({ rejected }) => [...rejected],
  },
  CoreOrchestrationDecisionConnection: {
    edges: (row) => [...row.edges],
    nodes: (row) => [...row.nodes],
  },
  CoreOrchestrationRule: {
    builtIn: ({ id }) => isBuiltIn(id),
    actions: ({ actions }) =>
      actions.map(({ module, action, input, requires }) => ({
        ...{ module, action, input },
        requires: requires == null ? null : toAmounts(toVector(requires)),
      })),
  },
  CoreManifest: {
    __resolveReference: ({ id }, { loaders }) => loaders.manifest.load(id),
    manifestId: (row) => row.id,
    status: (row) => upper(row.status),
    modules: (row) =>
      row.modules.map(({ module_id, status, required, description, version }) => ({
        ...{ moduleId: upper(module_id), status: upper(status), version },
        ...{ required: required ?? false, description: description ?? null },
      })),
    approval: ({ approval }) => approval && approversShape(approval),
    pendingChange: ({ pending }) =>
      pending && {
        ...{ requestedBy: pending.requestedBy, requestedAt: pending.requestedAt, confirmId: pending.confirmId },
        status: pending.status && upper(pending.status),
        moduleId: pending.moduleId === null ? null : upper(pending.moduleId as 'plan'),
        moduleStatus: pending.moduleStatus && upper(pending.moduleStatus),
      },
    governance: ({ protocol }) =>
      shapeGovernance((protocol?.governance ?? null) as Readonly<Record<string, unknown>> | null),
    document: (row) => toDocument(row),
  },
} satisfies Resolvers;
