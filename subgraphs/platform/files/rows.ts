import { isoText } from '#shared/record.ts';

export type FilePurpose = 'audit' | 'report' | 'subject';
export type FileFormat = 'csv' | 'json' | 'ndjson';
export type FileStatus = 'queued' | 'running' | 'ready' | 'failed' | 'cancelled';

export interface FileRow {
  readonly tenantId: string;
  readonly id: string;
  readonly purpose: FilePurpose;
  readonly format: FileFormat;
  readonly name: string;
  /** What was asked for, as the writer of the purpose reads it. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly contextId: string | null;
  readonly status: FileStatus;
  /** 0 to 1. */
  readonly progress: number;
  readonly rowCount: number;
  readonly byteCount: number;
  readonly partCount: number;
  /** Hex; null until the file is ready. */
  readonly sha256: string | null;
  readonly failure: string | null;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  readonly expiresAt: string;
}

export const fileColumns = `f.tenant_id AS "tenantId", f.id, f.purpose, f.format, f.name, f.request, f.context_id AS "contextId",
  f.status, f.progress, f.row_count AS "rowCount", f.byte_count AS "byteCount", f.part_count AS "partCount",
  encode(f.sha256, 'hex') AS sha256, f.failure, f.created_by AS "createdBy", ${isoText('f.created_at')} AS "createdAt",
  ${isoText('f.finished_at')} AS "finishedAt", ${isoText('f.expires_at')} AS "expiresAt"`;

export const mediaTypes: Readonly<Record<FileFormat, string>> = {
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
};

const purposes = { audit: 'AUDIT_EXPORT', report: 'REPORT', subject: 'SUBJECT_EXPORT' } as const;

/** A file in the shape of GraphQL. */
export function shownFile(row: FileRow) {
  const { tenantId: _tenant, request: _request, purpose, format, status, ...rest } = row;
  return {
    ...rest,
    purpose: purposes[purpose],
    format: format.toUpperCase() as 'CSV' | 'JSON' | 'NDJSON',
    status: status.toUpperCase() as 'QUEUED' | 'RUNNING' | 'READY' | 'FAILED' | 'CANCELLED',
    mediaType: mediaTypes[format],
    downloadPath: status === 'ready' ? `/v1/files/${row.id}` : null,
  };
}
