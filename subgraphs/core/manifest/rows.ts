import type { Approvers } from '#shared/approvers.ts';
import type { CoreDocument, CoreModuleDocument } from '../../../schema/protocol/index.ts';

/** What an imported manifest holds beyond the columns, to the letter. */
export type ManifestRemainder = Omit<CoreDocument, 'core_id' | 'protocol_version' | 'status' | 'modules'>;

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
  readonly protocol: ManifestRemainder | null;
  readonly approval: Approvers | null;
  readonly pending: ManifestChange | null;
  readonly refusal: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}
