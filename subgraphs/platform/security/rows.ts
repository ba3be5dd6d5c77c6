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

/** Select list over api_token; the digest of the secret is read where tokens are verified and nowhere else. */
export const apiTokenColumns = `t.id, t.name, t.subject, t.subject_type AS "subjectType", t.scopes, t.created_by AS "createdBy",
  ${isoText('t.created_at')} AS "createdAt", ${isoText('t.expires_at')} AS "expiresAt", ${isoText('t.last_used_at')} AS "lastUsedAt",
  ${isoText('t.revoked_at')} AS "revokedAt", t.revoked_by AS "revokedBy"`;

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
  readonly kind: 'token' | 'subject';
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
  return { ...row, kind: kind.toUpperCase() as 'TOKEN' | 'SUBJECT' };
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
