import { flatten, trustLevels } from './manifest/permissions.ts';
import type { ExtensionTrustLevel } from './resolvers.generated.ts';
import type { ExtensionExecutionRow, ExtensionRow } from './rows.ts';

/** Rows as subscribers get them: GraphQL's names, enums in SCREAMING_SNAKE. */
export function extensionPayload(row: ExtensionRow): Readonly<Record<string, unknown>> {
  const {
    tenantId,
    currentReleaseId,
    previousReleaseId,
    protocol,
    integrationTargets,
    governance,
    grants,
    publisher,
    lastError,
    ...shown
  } = row;
  return {
    __typename: 'Extension',
    ...shown,
    extensionId: row.id,
    extensionType: row.extensionType.toUpperCase(),
    status: row.status.toUpperCase(),
    runtimeState: row.runtimeState.toUpperCase(),
    trustLevel: trustLevels[row.trustLevel]!.toUpperCase(),
    grants: flatten(grants),
    publisher: publisherPayload(row),
    lifecycle: lifecyclePayload(row),
    lastError: lastError && { at: null, ...lastError },
  };
}

export function publisherPayload({ publisher, trustLevel }: ExtensionRow) {
  return (
    publisher && {
      ...{ email: null, website: null, ...publisher },
      verified: trustLevels[trustLevel] === 'verified',
      trustLevel: trustLevels[trustLevel]!.toUpperCase() as ExtensionTrustLevel,
    }
  );
}

export function lifecyclePayload(row: ExtensionRow) {
  const { installedAt, activatedAt, deactivatedAt, reloadedAt, activationCount } = row;
  return { installedAt, activatedAt, deactivatedAt, reloadedAt, activationCount };
}

export function invocationPayload(execution: ExtensionExecutionRow) {
  return {
    capabilityId: execution.capabilityId,
    extensionId: execution.extensionId,
    executionId: execution.id,
    method: execution.method,
    caller: execution.caller,
    status: execution.status.toUpperCase(),
    executionTimeMs: execution.durationMs,
    cacheHit: execution.cacheHit,
    error: execution.error && { at: null, ...execution.error },
  };
}
