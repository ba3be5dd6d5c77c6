import type { CoreDocument, CoreModuleDocument } from '../../../schema/protocol/index.ts';

/** What an imported manifest holds beyond the columns, to the letter. */
export type ManifestRemainder = Omit<CoreDocument, 'core_id' | 'protocol_version' | 'status' | 'modules'>;

export interface ManifestRow {
  readonly tenantId: string;
  readonly id: string;
  readonly protocolVersion: string;
  readonly status: CoreDocument['status'];
  readonly modules: readonly CoreModuleDocument[];
  readonly protocol: ManifestRemainder | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}
