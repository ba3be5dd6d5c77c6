import type { ExemptRows } from '#shared/erasure/moduleErasure.ts';
import type { ErasedContent } from '#shared/erasure/words.ts';
import { isoText } from '#shared/record.ts';
import type { SubgraphName } from '../../names.ts';

export interface TableCount {
  readonly module: SubgraphName;
  readonly table: string;
  readonly rows: number;
}

export interface ErasureExempt extends ExemptRows {
  readonly module: SubgraphName;
}

export type ErasureStatus = 'pending' | 'running' | 'done' | 'cancelled';

export interface ErasureRow {
  readonly tenantId: string;
  readonly id: string;
  readonly subject: string;
  readonly pseudonym: string;
  readonly content: ErasedContent;
  readonly dryRun: boolean;
  readonly status: ErasureStatus;
  readonly reason: string | null;
  readonly requestedBy: string;
  readonly requestedAt: string;
  readonly startsAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly cancelledBy: string | null;
  readonly cancelledAt: string | null;
  readonly progress: number;
  readonly pages: number;
  readonly counts: readonly TableCount[];
  readonly exempt: readonly ErasureExempt[];
  readonly certificate: ErasureCertificate | null;
}

/** What a finished erasure attests; its SHA-256 stands in the sealed audit. */
export interface ErasureCertificate {
  /** HMAC of tenant and subject under the deployment's secret: shows whose it was to who names the subject again. */
  readonly subjectDigest: string;
  readonly finishedAt: string;
  /** Of the canonical JSON (RFC 8785) of the rest and of what was erased, hex. */
  readonly sha256: string;
}

export const erasureColumns = `e.tenant_id AS "tenantId", e.id, e.subject, e.pseudonym, e.content, e.dry_run AS "dryRun", e.status,
  e.reason, e.requested_by AS "requestedBy", ${isoText('e.requested_at')} AS "requestedAt", ${isoText('e.starts_at')} AS "startsAt",
  ${isoText('e.started_at')} AS "startedAt", ${isoText('e.finished_at')} AS "finishedAt", e.cancelled_by AS "cancelledBy",
  ${isoText('e.cancelled_at')} AS "cancelledAt", e.progress, e.pages, e.counts, e.exempt, e.certificate`;

/** An erasure in the shape of GraphQL. */
export function shownErasure({ tenantId: _tenant, content, status, exempt, counts, ...row }: ErasureRow) {
  return {
    ...row,
    content: content.toUpperCase() as 'KEEP' | 'REDACT',
    status: status.toUpperCase() as 'PENDING' | 'RUNNING' | 'DONE' | 'CANCELLED',
    counts: [...counts],
    rowCount: counts.reduce((sum, { rows }) => sum + rows, 0),
    exemptions: exempt.map(({ columns, ...rest }) => ({ ...rest, columns: [...columns] })),
  };
}
