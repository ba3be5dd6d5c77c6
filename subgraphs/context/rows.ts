import type { Connection, PageInfoShape } from '#shared/connection.ts';
import type { ContextSelection } from './filter.ts';
import type { StoredState } from './stateShape.ts';

/** A context as it lies in the database; `Context` in the graph is resolved from it. */
export interface ContextRow {
  readonly tenantId: string;
  readonly id: string;
  readonly title: string;
  readonly status: ContextStatusValue;
  readonly root: Readonly<Record<string, unknown>>;
  readonly domain: string;
  readonly environment: string;
  readonly summary: string | null;
  readonly tags: readonly string[];
  readonly language: string | null;
  readonly ownerRole: string | null;
  readonly constraints: Readonly<Record<string, unknown>> | null;
  readonly governance: GovernanceValue | null;
  readonly protocol: ProtocolRemainder | null;
  readonly type: string;
  readonly lifecycleStage: string;
  readonly ownerId: string;
  readonly ownerType: string;
  /** The title where the owner has it but once; null where names may repeat. */
  readonly uniqueName: string | null;
  readonly configuration: ContextConfigurationValue;
  readonly accessControl: ContextAccessControlValue;
  readonly priority: string;
  readonly category: string | null;
  readonly customData: unknown;
  /** Words of the metadata entries, for the search vector. */
  readonly metadataText: string;
  /** SHA-256 of the join token, hex. */
  readonly joinTokenHash: string | null;
  readonly version: number;
  readonly participantCount: number;
  readonly sessionCount: number;
  readonly sharedVersion: number;
  readonly sharedChecksum: string;
  readonly sharedUpdatedAt: string;
  readonly lastActivityAt: string;
  readonly expiresAt: string | null;
  readonly closeReason: string | null;
  readonly closedAt: string | null;
  readonly deletedAt: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** The frozen protocol's own words. */
export type ContextStatusValue = 'draft' | 'active' | 'suspended' | 'closed' | 'archived';

export interface GovernanceValue {
  readonly lifecyclePhase?: string;
  readonly truthDomain?: string;
  readonly locked?: boolean;
  readonly lastConfirmRef?: { readonly id: string; readonly module: string; readonly description?: string };
}

/** What the columns cannot give back to the letter. */
export interface ProtocolRemainder {
  readonly meta?: unknown;
  readonly trace?: unknown;
  readonly events?: unknown;
  /** Imported text of the date-times, verbatim; absent when the object had none. */
  readonly createdAt?: string;
  readonly updatedAt?: string;
  /** True for an imported object: only what it had is exported. */
  readonly imported?: boolean;
  readonly hasTags?: boolean;
}

export interface ContextConfigurationValue {
  readonly maxParticipants: number;
  readonly maxSessions: number;
  readonly timeoutMs: number;
  readonly persistenceLevel: string;
  readonly isolationLevel: string;
  readonly autoCleanup: boolean;
  readonly cleanupDelayMs: number;
}

export interface ContextAccessControlValue {
  readonly visibility: string;
  readonly joinPolicy: string;
  readonly requiredCapabilities: readonly string[];
  readonly requiredRoles: readonly string[];
  readonly permissions: readonly unknown[];
  readonly policies: readonly unknown[];
}

/** Shared state of a context with the version that its checksum is of. */
export interface ContextSharedStateRow extends StoredState {
  readonly version: number;
  readonly checksum: string;
  readonly updatedAt: string;
}

export interface ContextParticipantRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly agentId: string;
  readonly type: string;
  readonly displayName: string | null;
  readonly status: string;
  readonly roles: readonly string[];
  readonly capabilities: readonly string[];
  readonly permissions: readonly string[];
  readonly joinedAt: string;
  readonly leftAt: string | null;
  readonly lastActivityAt: string;
  readonly maxConcurrentTasks: number;
  readonly timeoutMs: number;
  readonly notifications: unknown;
  /** Who let in one that asked to join and found no place, and when: it is in once a place comes free. */
  readonly approvedBy: string | null;
  readonly approvedAt: string | null;
  readonly version: number;
}

export interface ContextSessionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly name: string;
  readonly type: string;
  readonly status: string;
  readonly participantIds: readonly string[];
  readonly activeParticipantIds: readonly string[];
  readonly maxDurationMs: number;
  readonly persistState: boolean;
  readonly isolationLevel: string;
  readonly autoSave: boolean;
  readonly compression: boolean;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly version: number;
}

/** A page of contexts, with what its totals are counted from. */
export interface ContextConnectionRow extends Connection<ContextRow> {
  readonly selection: ContextSelection;
}

export interface ContextSearchEdgeRow {
  readonly cursor: string;
  readonly node: ContextRow;
  readonly score: number | null;
  readonly query: string | null;
}

export interface ContextSearchConnectionRow {
  readonly edges: readonly ContextSearchEdgeRow[];
  readonly nodes: readonly ContextRow[];
  readonly pageInfo: PageInfoShape;
  readonly selection: ContextSelection;
  /** All matches, where the page's own statement has counted them. */
  readonly total: number | null;
}

export interface ContextParticipantConnectionRow extends Connection<ContextParticipantRow> {
  readonly list: ChildListKey;
}

export interface ContextSessionConnectionRow extends Connection<ContextSessionRow> {
  readonly list: ChildListKey;
}

export interface ContextMetadataConnectionRow extends Connection<ContextMetadataEntryRow> {
  readonly list: ChildListKey;
}

export interface ContextMetadataEntryRow {
  readonly contextId: string;
  readonly key: string;
  readonly value: unknown;
  readonly type: string;
  readonly description: string | null;
  readonly accessLevel: string;
  readonly version: number;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export interface ContextMetadataVersionRow {
  readonly contextId: string;
  readonly key: string;
  readonly version: number;
  readonly value: unknown;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export interface ContextVersionRow {
  readonly contextId: string;
  readonly version: number;
  readonly document: unknown;
  readonly changed: readonly string[];
  readonly changedAt: string;
  readonly changedBy: string;
}

export interface ContextVersionConnectionRow extends Connection<ContextVersionRow> {
  readonly list: ChildListKey;
}

/** Which rows of a parent a list holds, without its page. */
export interface ChildListKey {
  readonly contextId: string;
  /** Statuses, or the pattern of metadata keys. */
  readonly statuses?: readonly string[] | null;
  readonly pattern?: string | null;
}
