import { toDocument } from '../document.ts';
import { executionsTag } from '../execution/recorder.ts';
import { requireHours } from '../figures.ts';
import { hostOperations } from '../host/operations.ts';
import { integrationsOf } from '../integrations.ts';
import { readFilter } from '../lists.ts';
import { incompatibilityOf, missingOptional } from '../manifest/compatibility.ts';
import { flatten, trustLevels } from '../manifest/permissions.ts';
import { lifecyclePayload, publisherPayload } from '../payload.ts';
import type {
  ExtensionCapabilityStatus,
  ExtensionExecutionStatus,
  ExtensionHookPhase,
  ExtensionMonitoringLevel,
  ExtensionPermissionScope,
  ExtensionRuntimeState,
  ExtensionSandboxStatus,
  ExtensionStatus,
  ExtensionTrustLevel,
  ExtensionType,
  Resolvers,
} from '../resolvers.generated.ts';

const upper = <Enum extends string>(value: string) => value.toUpperCase() as Enum;
const trustOf = (level: number) => upper<ExtensionTrustLevel>(trustLevels[level] ?? 'untrusted');

export const types: Omit<Resolvers, 'Query' | 'Mutation'> = {
  Extension: {
    __resolveReference: ({ id }, { loaders }) => loaders.extension.load(id),
    extensionId: ({ id }) => id,
    context: ({ contextId }) => ({ id: contextId }),
    extensionType: (row) => upper<ExtensionType>(row.extensionType),
    status: (row) => upper<ExtensionStatus>(row.status),
    runtimeState: (row) => upper<ExtensionRuntimeState>(row.runtimeState),
    keywords: ({ keywords }) => [...keywords],
    publisher: (row) => publisherPayload(row),
    trustLevel: (row) => trustOf(row.trustLevel),
    grants: ({ grants }) => [...flatten(grants)],
    requestedPermissions: async ({ currentReleaseId }, _args, { loaders }) => {
      const release = currentReleaseId === null ? null : await loaders.release.load(currentReleaseId);
      return release === null ? [] : [...flatten(release.manifest.security_requirements.permissions)];
    },
    currentRelease: ({ currentReleaseId }, _args, { loaders }) =>
      currentReleaseId === null ? null : loaders.release.load(currentReleaseId),
    previousRelease: ({ previousReleaseId }, _args, { loaders }) =>
      previousReleaseId === null ? null : loaders.release.load(previousReleaseId),
    releases: async ({ id }, _args, { loaders }) => [...(await loaders.releases.load(id))],
    capabilities: async ({ id }, _args, { loaders }) => [...(await loaders.capabilities.load(id))],
    hooks: async ({ id }, _args, { loaders }) => [...(await loaders.hooks.load(id))],
    permissions: ({ grants }) =>
      grants.map(({ resource, actions, scope, conditions = [] }) => ({
        ...{ resource, actions: [...actions], scope: upper<ExtensionPermissionScope>(scope) },
        conditions: [...conditions],
      })),
    integrations: async (row, _args, { loaders }) => {
      const [capabilities, hooks] = await Promise.all([loaders.capabilities.load(row.id), loaders.hooks.load(row.id)]);
      return integrationsOf(row, { capabilities, hooks });
    },
    sandbox: async ({ id }, _args, { loaders }) => (await loaders.sandboxes.load(id))[0] ?? null,
    lifecycle: (row) => lifecyclePayload(row),
    governance: ({ governance }) =>
      governance && {
        lifecyclePhase: governance.lifecyclePhase ?? null,
        truthDomain: governance.truthDomain ?? null,
        locked: governance.locked ?? false,
        lastConfirmId: governance.lastConfirmRef?.id ?? null,
      },
    executions: ({ id }, page, { loaders, scope }) => {
      scope.readTags.add(executionsTag(id));
      return loaders.executions.load(id, {}, page);
    },
    document: (row) => toDocument(row),
  },
  ExtensionRelease: {
    __resolveReference: ({ id }, { loaders }) => loaders.release.load(id),
    isSigned: ({ keyId }) => keyId !== null,
    validationStatus: ({ validation }) =>
      Object.values(validation).every(Boolean)
        ? 'PASSED'
        : validation.manifestValid && validation.packageIntegrityVerified && validation.compatibilityVerified
          ? 'PENDING'
          : 'FAILED',
    trustLevel: (row) => trustOf(row.trustLevel),
    async compatibility({ manifest, tenantId }, _args, { service, scope }) {
      scope.readTags.add('manifests');
      const closed = await service.modules.of(tenantId);
      const closedModules = manifest.compatibility.required_modules.filter((name) => closed.has(name));
      const reason = incompatibilityOf(manifest);
      return {
        compatible: reason === null && closedModules.length === 0,
        reason,
        closedModules,
        missingOptionalModules: [...missingOptional(manifest, closed)],
      };
    },
  },
  ExtensionCapability: {
    __resolveReference: ({ id }, { loaders }) => loaders.capability.load(id),
    capabilityId: ({ id }) => id,
    extension: ({ extensionId }, _args, { loaders }) => loaders.extension.load(extensionId),
    status: (row) => upper<ExtensionCapabilityStatus>(row.status),
    metrics: ({ id }, _args, { loaders }) => loaders.capabilityFigures.load(id),
    interfaces: ({ interfaces }) =>
      interfaces.map(({ interface_name, version, methods }) => ({
        interfaceName: interface_name,
        version,
        methods: methods.map((method) => ({
          methodName: method.method_name,
          description: method.description ?? null,
          inputSchema: method.input_schema ?? null,
          outputSchema: method.output_schema ?? null,
          errorCodes: method.error_codes,
          pure: method.pure,
        })),
      })),
  },
  ExtensionSettings: {
    maxCpuPercent: ({ maxCpuPercent }) => maxCpuPercent ?? 100,
    monitoringLevel: ({ monitoringLevel }) => upper<ExtensionMonitoringLevel>(monitoringLevel ?? 'detailed'),
  },
  ExtensionSandbox: {
    monitoringLevel: async ({ extensionId }, _args, { loaders }) => {
      const extension = await loaders.extension.load(extensionId);
      return upper<ExtensionMonitoringLevel>(extension?.settings.monitoringLevel ?? 'detailed');
    },
    __resolveReference: ({ id }, { loaders }) => loaders.sandboxById.load(id),
    isolationLevel: () => 'VM',
    runtime: () => 'QuickJS in WebAssembly',
    status: (row) => upper<ExtensionSandboxStatus>(row.status),
    errors: ({ errors }) => [...errors],
    usage: async ({ extensionId, limits }, { hours }, { loaders }) => {
      requireHours(hours);
      const usage = await loaders.sandboxUsage.load({ extensionId, hours });
      return { ...usage, memoryPeakShare: usage.memoryPeakBytes / limits.memoryBytes };
    },
    allowedOperations: ({ extensionId }, _args, { loaders }) => operations(loaders.extension.load(extensionId), true),
    blockedOperations: ({ extensionId }, _args, { loaders }) => operations(loaders.extension.load(extensionId), false),
  },
  ExtensionHook: {
    phase: ({ phase }) => upper<ExtensionHookPhase>(phase),
  },
  ExtensionExecution: {
    __resolveReference: ({ id }, { loaders }) => loaders.execution.load(id),
    executionId: ({ id }) => id,
    extension: ({ extensionId }, _args, { loaders }) => loaders.extension.load(extensionId),
    status: (row) => upper<ExtensionExecutionStatus>(row.status),
    executionTimeMs: ({ durationMs }) => durationMs,
    cpuTimeMs: ({ cpuMs }) => cpuMs,
    memoryPeakBytes: ({ memoryBytes }) => memoryBytes,
    logs: ({ logs }) => [...(logs ?? [])],
    hostOperations: ({ hostOperations }) => [...(hostOperations ?? [])],
  },
  ExtensionPublisherKey: {
    trustLevel: (row) => trustOf(row.trustLevel),
  },
  ExtensionConnection: {
    totalCount: (connection) => connection.count(),
  },
  ExtensionExecutionConnection: {
    totalCount: (connection) => connection.count(),
  },
  ExtensionDiscoveryEdge: {
    reasons: ({ reasons }) => [...reasons],
    matchedCapabilities: async ({ node, wanted }, _args, { loaders }) => {
      if (wanted.id === null && wanted.name === null) return [];
      const rows = await loaders.capabilities.load(node.id);
      return rows.filter(({ id, name }) => id === wanted.id || name === wanted.name);
    },
  },
  Context: {
    __resolveReference: ({ id }) => ({ id }),
    extensions: ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Context:${id}:extensions`);
      return loaders.contextExtensions.load(id, readFilter({ status }), page);
    },
  },
};

/** Host operations that the grant of an extension opens, or leaves closed. */
async function operations(
  extension: Promise<{ readonly grants: Parameters<typeof flatten>[0] } | null>,
  allowed: boolean,
): Promise<string[]> {
  const held = flatten((await extension)?.grants ?? []);
  return Object.entries(hostOperations)
    .filter(([, { permission }]) => held.includes(permission) === allowed)
    .map(([name]) => name);
}
