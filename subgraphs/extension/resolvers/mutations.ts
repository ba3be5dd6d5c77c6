import { type ErrorCode, isErrorCode, PlatformError, toUserError } from '#shared/errors.ts';
import type { RequestContext } from '../context.ts';
import type { Executed } from '../execution/execute.ts';
import type { Loaded } from '../registry/starting.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';
import type { ExtensionRow } from '../rows.ts';

/** What an earlier mutation of the same request has read is stale now. */
function payload({ loaders }: RequestContext, extension: ExtensionRow) {
  for (const loader of Object.values(loaders)) loader.clearAll();
  loaders.extension.prime(extension.id, extension);
  return { extension, userErrors: [] };
}

function loadPayload(context: RequestContext, loaded: Loaded) {
  return {
    ...payload(context, loaded.extension),
    sandbox: loaded.sandbox,
    registeredCapabilities: [...loaded.capabilities],
    validationResults: loaded.validation,
    loadedDependencies: [...loaded.dependencies],
    phases: loaded.phases,
  };
}

function executePayload({ loaders }: RequestContext, { execution, result, cache }: Executed) {
  loaders.execution.prime(execution.id, execution);
  const { error } = execution;
  return {
    executionId: execution.id,
    status: execution.status.toUpperCase() as 'COMPLETED' | 'FAILED',
    result,
    executionTimeMs: execution.durationMs,
    memoryPeakBytes: execution.memoryBytes,
    cacheInfo: cache,
    traceparent: execution.traceparent,
    execution,
    userErrors: error === null ? [] : [refusalOf(error)],
  };
}

/** A failure of a method as the table has it; a code of its own stands in the execution. */
function refusalOf({ code, message }: { readonly code: string; readonly message: string }) {
  const known: ErrorCode = isErrorCode(code) ? code : 'EXTENSION_FAILED';
  const { path: _path, ...error } = toUserError(new PlatformError(known, `${code}: ${message}`));
  return { ...error, path: null };
}

export const mutations: MutationResolvers = {
  registerPublisherKey: async (_parent, { input }, { service, scope }) => ({
    key: await service.keys.register(scope, input),
    userErrors: [],
  }),
  revokePublisherKey: async (_parent, { keyId, idempotencyKey }, { service, scope }) => ({
    key: await service.keys.revoke(scope, keyId, idempotencyKey),
    userErrors: [],
  }),
  registerExtension: async (_parent, { input }, context) =>
    payload(context, await context.service.registration.register(context.scope, input)),
  publishVersion: async (_parent, { input }, context) => {
    const { extension, release } = await context.service.registration.publish(context.scope, input);
    return { ...payload(context, extension), release };
  },
  installExtension: async (_parent, { input }, context) =>
    payload(context, await context.service.loading.install(context.scope, input)),
  loadExtension: async (_parent, { input }, context) =>
    loadPayload(context, await context.service.loading.load(context.scope, input)),
  activateExtension: async (_parent, args, context) =>
    loadPayload(context, await context.service.loading.load(context.scope, args)),
  deactivateExtension: async (_parent, { extensionId, ...options }, context) =>
    payload(context, await context.service.lifecycle.deactivate(context.scope, extensionId, options)),
  uninstallExtension: async (_parent, { extensionId, ...options }, context) =>
    payload(context, await context.service.lifecycle.uninstall(context.scope, extensionId, options)),
  updateExtensionConfig: async (_parent, { input }, context) =>
    payload(context, await context.service.loading.updateConfig(context.scope, input)),
  executeExtension: async (_parent, { input }, context) =>
    executePayload(context, await context.service.execute.execute(context.scope, input)),
  runExtensionHooks: async (_parent, { input }, { service, scope }) => {
    const result = await service.hooks.run(scope, input);
    return { ...result, asked: [...result.asked], failed: [...result.failed], userErrors: [] };
  },
  hotReloadExtension: async (_parent, { input }, context) => {
    const { extension, ...rest } = await context.service.reload.hotReload(context.scope, input);
    return { ...payload(context, extension), ...rest };
  },
  grantPermission: async (_parent, { extensionId, ...options }, context) =>
    payload(
      context,
      await context.service.lifecycle.setPermission(context.scope, extensionId, { ...options, granted: true }),
    ),
  revokePermission: async (_parent, { extensionId, ...options }, context) =>
    payload(
      context,
      await context.service.lifecycle.setPermission(context.scope, extensionId, { ...options, granted: false }),
    ),
  quarantineExtension: async (_parent, { extensionId, ...options }, context) =>
    payload(context, await context.service.lifecycle.quarantine(context.scope, extensionId, options)),
  requestExtensionApproval: async (_parent, { input }, context) =>
    payload(context, await context.service.lifecycle.requestApproval(context.scope, input)),
  resetExtension: async (_parent, { extensionId, ...options }, context) =>
    payload(context, await context.service.lifecycle.reset(context.scope, extensionId, options)),
  deprecateExtension: async (_parent, { extensionId, ...options }, context) =>
    payload(context, await context.service.lifecycle.deprecate(context.scope, extensionId, options)),
};
