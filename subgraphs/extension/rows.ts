import type { Connection } from '#shared/connection.ts';
import type { Manifest } from './manifest/manifest.ts';
import type { Permission } from './manifest/permissions.ts';
import type { PackageFormat } from './packages/readPackage.ts';

export type Json = Readonly<Record<string, unknown>>;
export type ExtensionTypeValue = 'capability' | 'policy' | 'integration' | 'transformation' | 'validation' | 'other';
export type ExtensionStatusValue = 'registered' | 'active' | 'inactive' | 'deprecated';
export type RuntimeStateValue =
  | 'registered'
  | 'installing'
  | 'installed'
  | 'activating'
  | 'active'
  | 'reloading'
  | 'deactivating'
  | 'inactive'
  | 'quarantined'
  | 'error'
  | 'uninstalled';

export type MonitoringLevel = 'none' | 'basic' | 'detailed' | 'comprehensive';

/** What a call asked of the platform. */
export interface HostOperationValue {
  readonly operation: string;
  readonly durationMs: number;
  /** Null where it was answered. */
  readonly errorCode: string | null;
}

/** Limits and times of a sandbox. */
export interface SettingsValue {
  readonly autoStart: boolean;
  readonly maxMemoryMb: number;
  /** Of one core of an instance, percent. @default 100 */
  readonly maxCpuPercent?: number;
  /** What is kept of calls. @default detailed */
  readonly monitoringLevel?: MonitoringLevel;
  readonly initializationTimeoutMs: number;
  readonly operationTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
}

export interface FailureValue {
  readonly type: string;
  readonly code: string;
  readonly message: string;
  readonly at?: string;
}

export interface GovernanceValue {
  readonly lifecyclePhase?: string;
  readonly truthDomain?: string;
  readonly locked?: boolean;
  readonly lastConfirmRef?: { readonly id: string; readonly module: string; readonly description?: string };
}

/** Who published a release; releases of before know the first two alone. */
export interface PublisherValue {
  readonly publisherId: string;
  readonly name: string;
  readonly email?: string | null;
  readonly website?: string | null;
}

export interface IntegrationTargetValue {
  readonly module: string;
  /** What hooks at the module's points are told beside. */
  readonly configuration: Json | null;
}

export interface ExtensionProtocolValue {
  readonly meta?: unknown;
  readonly trace?: unknown;
  readonly events?: unknown;
}

export interface ExtensionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly name: string;
  readonly extensionType: ExtensionTypeValue;
  readonly version: string;
  readonly status: ExtensionStatusValue;
  readonly runtimeState: RuntimeStateValue;
  readonly displayName: string | null;
  readonly description: string | null;
  readonly category: string | null;
  readonly keywords: readonly string[];
  readonly license: string | null;
  readonly homepage: string | null;
  readonly repository: string | null;
  readonly publisher: PublisherValue | null;
  readonly trustLevel: number;
  readonly config: Json | null;
  readonly settings: SettingsValue;
  /** Modules that it works into; null for all that its release names. */
  readonly integrationTargets: readonly IntegrationTargetValue[] | null;
  readonly grants: readonly Permission[];
  readonly currentReleaseId: string | null;
  readonly previousReleaseId: string | null;
  readonly reloadedAt: string | null;
  readonly deprecatedAt: string | null;
  readonly installedAt: string | null;
  readonly activatedAt: string | null;
  readonly deactivatedAt: string | null;
  readonly activationCount: number;
  readonly errorCount: number;
  readonly lastError: FailureValue | null;
  readonly quarantine: { readonly reason: string; readonly by: string; readonly at: string } | null;
  readonly governance: GovernanceValue | null;
  readonly protocol: ExtensionProtocolValue | null;
  readonly revision: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export interface ValidationValue {
  readonly manifestValid: boolean;
  readonly dependenciesResolved: boolean;
  readonly securityApproved: boolean;
  readonly compatibilityVerified: boolean;
  readonly packageIntegrityVerified: boolean;
}

export interface PackageValue {
  readonly format: PackageFormat;
  /** SHA-256 of its bytes, hex: what the signature is over. */
  readonly checksum: string;
  readonly sizeBytes: number;
}

export interface ExtensionReleaseRow {
  readonly tenantId: string;
  readonly id: string;
  readonly extensionId: string;
  readonly contextId: string;
  readonly version: string;
  readonly manifest: Manifest;
  /** SHA-256 of the bundle, hex. */
  readonly checksum: string;
  readonly sizeBytes: number;
  /** The package that the bundle came in; null where it came by itself. */
  readonly package: PackageValue | null;
  readonly signature: string | null;
  readonly keyId: string | null;
  readonly trustLevel: number;
  readonly validation: ValidationValue;
  readonly qualityScore: number;
  readonly approvedBy: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
}

/** With its code: read only to be run. */
export interface RunnableRelease extends ExtensionReleaseRow {
  readonly bundle: string;
}

export type CapabilityStatusValue = 'available' | 'active' | 'inactive' | 'error' | 'deprecated';

export interface ExtensionCapabilityRow {
  readonly tenantId: string;
  readonly id: string;
  readonly extensionId: string;
  readonly contextId: string;
  readonly name: string;
  readonly description: string | null;
  readonly version: string;
  readonly type: string;
  readonly status: CapabilityStatusValue;
  readonly interfaces: Manifest['capabilities'][number]['interfaces'];
}

export type SandboxStatusValue = 'created' | 'starting' | 'running' | 'paused' | 'stopped' | 'error';

export interface SandboxLimitsValue {
  readonly memoryBytes: number;
  readonly stackBytes: number;
  readonly timeoutMs: number;
  readonly outputBytes: number;
  readonly hostCalls: number;
}

export interface ExtensionSandboxRow {
  readonly tenantId: string;
  readonly id: string;
  readonly extensionId: string;
  readonly contextId: string;
  readonly releaseId: string;
  readonly status: SandboxStatusValue;
  readonly limits: SandboxLimitsValue;
  readonly errors: readonly FailureValue[];
  readonly recoveryAttempts: number;
  readonly healthFailures: number;
  readonly healthCheckedAt: string | null;
  readonly startedAt: string | null;
}

export interface ExtensionHookRow {
  readonly tenantId: string;
  readonly extensionId: string;
  readonly contextId: string;
  readonly point: string;
  readonly phase: 'before' | 'after';
  readonly method: string;
  readonly priority: number;
}

export interface ExtensionExecutionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly extensionId: string;
  readonly contextId: string;
  readonly capabilityId: string;
  readonly releaseId: string;
  readonly method: string;
  readonly caller: string;
  readonly status: 'completed' | 'failed';
  readonly crashed: boolean;
  readonly durationMs: number;
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly hostCalls: number;
  readonly cacheHit: boolean;
  readonly error: FailureValue | null;
  readonly logs: readonly { readonly level: string; readonly text: string }[] | null;
  readonly hostOperations: readonly HostOperationValue[] | null;
  readonly traceparent: string | null;
  readonly createdAt: string;
}

export interface ExtensionPublisherKeyRow {
  readonly tenantId: string;
  readonly id: string;
  readonly publisherId: string;
  readonly name: string;
  readonly email: string | null;
  readonly website: string | null;
  readonly publicKey: string;
  readonly fingerprint: string;
  readonly trustLevel: number;
  readonly revokedAt: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
}

interface Counted<Row> extends Connection<Row> {
  count(): Promise<number>;
}

export interface ExtensionConnectionRow extends Counted<ExtensionRow> {}
export interface ExtensionExecutionConnectionRow extends Counted<ExtensionExecutionRow> {}

export interface ExtensionDiscoveryEdgeRow {
  readonly cursor: string;
  readonly node: ExtensionRow;
  readonly score: number;
  readonly reasons: readonly string[];
  /** What the query names. */
  readonly wanted: { readonly id: string | null; readonly name: string | null };
}

export interface ContextRow {
  readonly id: string;
}
