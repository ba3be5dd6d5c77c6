import { isoText } from '#shared/record.ts';

export interface CacheEntryRow {
  readonly key: string;
  readonly value: unknown;
  readonly tags: readonly string[];
  readonly version: number;
  readonly bytes: number;
  readonly expiresAt: string;
  readonly updatedBy: string;
  readonly updatedAt: string;
}

/** Select list over cache_entry. */
export const entryColumns = `e.key, e.value, e.tags, e.version, e.bytes, ${isoText('e.expires_at')} AS "expiresAt",
  e.updated_by AS "updatedBy", ${isoText('e.updated_at')} AS "updatedAt"`;

export const shownEntry = ({ tags, ...row }: CacheEntryRow) => ({ ...row, tags: [...tags] });
