import type { Approvers } from '#shared/approvers.ts';
import type { BaseEventDocument, CoreDocument, CoreModuleDocument } from '../../../schema/protocol/index.ts';

/** What an imported manifest holds beyond the columns, to the letter. */
export type ManifestRemainder = Omit<CoreDocument, 'core_id' | 'protocol_version' | 'status' | 'modules'>;

/** The remainder of one that was imported, and what has happened to a manifest here since. */
export interface ManifestProtocol extends Partial<ManifestRemainder> {
  readonly told?: readonly BaseEventDocument[];
}

/** A change as it was asked for: of the status, or of the status of one module. */
export interface ManifestChange {
  readonly id: string;
  readonly status: CoreDocument['status'] | null;
  readonly moduleId: string | null;
  readonly moduleStatus: CoreModuleDocument['status'] | null;
  readonly requestedBy: string;
  readonly requestedAt: string;
  /** Null until the confirm module has opened it. */
  readonly confirmId: string | null;
}

export interface ManifestRow {
  readonly tenantId: string;
  readonly id: string;
  readonly protocolVersion: string;
  readonly status: CoreDocument['status'];
  readonly modules: readonly CoreModuleDocument[];
  readonly protocol: ManifestProtocol | null;
  readonly approval: Approvers | null;
  readonly pending: ManifestChange | null;
  readonly refusal: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}
