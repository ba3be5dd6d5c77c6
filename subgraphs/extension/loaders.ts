import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { keepVisible } from './access.ts';
import {
  type CapabilityFigures,
  readCapabilityFigures,
  readSandboxUsage,
  type SandboxUsage,
  type UsageKey,
} from './figures.ts';
import { type ExecutionFilterInput, type ExtensionFilterInput, executionsBelow, extensionsBelow } from './lists.ts';
import type {
  ExtensionCapabilityRow,
  ExtensionExecutionRow,
  ExtensionHookRow,
  ExtensionReleaseRow,
  ExtensionRow,
  ExtensionSandboxRow,
} from './rows.ts';
import type { ExtensionService } from './service.ts';
import {
  type Db,
  findCapabilities,
  findCapabilitiesOf,
  findExecutions,
  findExtensions,
  findHooksOf,
  findReleases,
  findReleasesOf,
  findSandboxes,
  findSandboxesOf,
} from './store.ts';

export type ExtensionLoaders = ReturnType<typeof createExtensionLoaders>;

type Find<Row> = (db: Db, tenantId: string, ids: readonly string[]) => Promise<readonly Row[]>;

export function createExtensionLoaders(
  { sql, contexts }: Pick<ExtensionService, 'sql' | 'contexts'>,
  scope: RequestScope,
) {
  const { tenantId } = scope.principal;

  /** Rows by id that the caller may see. */
  const byId = <Row extends { readonly id: string; readonly contextId: string }>(find: Find<Row>, type: string) =>
    createRowLoader<string, Row>({
      scope,
      fetch: async (ids) => keepVisible(sql, scope, await find(sql, tenantId, ids), contexts.learn),
      keyOf: ({ id }) => id,
      tagOf: (id) => `${type}:${id}`,
    });

  /** Lists below extensions that have been seen already. */
  const below = <Row extends { readonly extensionId: string }>(find: Find<Row>) =>
    createListLoader<string, Row>({
      scope,
      fetch: (ids) => find(sql, tenantId, ids),
      keyOf: ({ extensionId }) => extensionId,
      tagOf: (id) => `Extension:${id}`,
    });

  return {
    extension: byId<ExtensionRow>(findExtensions, 'Extension'),
    release: byId<ExtensionReleaseRow>(findReleases, 'ExtensionRelease'),
    capability: byId<ExtensionCapabilityRow>(findCapabilities, 'ExtensionCapability'),
    sandboxById: byId<ExtensionSandboxRow>(findSandboxes, 'ExtensionSandbox'),
    execution: byId<ExtensionExecutionRow>(findExecutions, 'ExtensionExecution'),
    releases: below<ExtensionReleaseRow>(findReleasesOf),
    capabilities: below<ExtensionCapabilityRow>(findCapabilitiesOf),
    hooks: below<ExtensionHookRow>(findHooksOf),
    sandboxes: below<ExtensionSandboxRow>(findSandboxesOf),
    capabilityFigures: createPageLoader<string, CapabilityFigures>((ids) => readCapabilityFigures(sql, tenantId, ids)),
    sandboxUsage: createPageLoader<UsageKey, SandboxUsage>((keys) => readSandboxUsage(sql, tenantId, keys)),
    contextExtensions: createChildPageLoader(sql, (filter: ExtensionFilterInput) =>
      extensionsBelow(scope.principal, filter),
    ),
    executions: createChildPageLoader(sql, (filter: Omit<ExecutionFilterInput, 'extensionId'>) =>
      executionsBelow(tenantId, filter),
    ),
  };
}
