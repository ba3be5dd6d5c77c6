import { isoText } from '#shared/record.ts';

export interface ApiTokenRow {
  readonly id: string;
  readonly name: string;
  readonly subject: string;
  readonly subjectType: string;
  readonly scopes: readonly string[];
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
  readonly revokedBy: string | null;
}

/** When the token itself, or all its subject had by then, was revoked; null while it counts. */
const revoked = (column: 'created_at' | 'created_by') =>
  `(SELECT r.${column} FROM platform.revocation r WHERE r.tenant_id = t.tenant_id AND r.expires_at > now()
     AND ((r.kind = 'token' AND r.key = t.id::text) OR (r.kind = 'subject' AND r.key = t.subject AND t.created_at <= r.not_after))
   ORDER BY r.created_at LIMIT 1)`;

/** Select list over api_token; the digest of the secret is read where tokens are verified and nowhere else. */
export const apiTokenColumns = `t.id, t.name, t.subject, t.subject_type AS "subjectType", t.scopes, t.created_by AS "createdBy",
  ${isoText('t.created_at')} AS "createdAt", ${isoText('t.expires_at')} AS "expiresAt", ${isoText('t.last_used_at')} AS "lastUsedAt",
  ${isoText(`coalesce(t.revoked_at, ${revoked('created_at')})`)} AS "revokedAt", coalesce(t.revoked_by, ${revoked('created_by')}) AS "revokedBy"`;

export function shownApiToken({ subjectType, ...row }: ApiTokenRow, nowMs = Date.now()) {
  const ended = Date.parse(row.expiresAt) <= nowMs ? ('EXPIRED' as const) : ('ACTIVE' as const);
  return {
    ...row,
    scopes: [...row.scopes],
    subjectType: subjectType.toUpperCase() as 'AGENT' | 'HUMAN' | 'SERVICE',
    status: row.revokedAt === null ? ended : ('REVOKED' as const),
  };
}

export interface RevocationRow {
  readonly kind: 'token' | 'subject' | 'erased';
  readonly key: string;
  readonly notAfter: string;
  readonly reason: string | null;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export const revocationColumns = `r.kind, r.key, ${isoText('r.not_after')} AS "notAfter", r.reason, r.created_by AS "createdBy",
  ${isoText('r.created_at')} AS "createdAt", ${isoText('r.expires_at')} AS "expiresAt"`;

export function shownRevocation({ kind, ...row }: RevocationRow) {
  return { ...row, kind: kind.toUpperCase() as 'TOKEN' | 'SUBJECT' | 'ERASED' };
}

export interface DataKeyRow {
  readonly version: number;
  readonly masterKeyId: string;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly retiredAt: string | null;
}

export const dataKeyColumns = `k.version, k.master_key_id AS "masterKeyId", k.created_by AS "createdBy",
  ${isoText('k.created_at')} AS "createdAt", ${isoText('k.retired_at')} AS "retiredAt"`;

export function shownDataKey(row: DataKeyRow) {
  return { ...row, algorithm: 'AES-256-GCM' };
}
