import type { ErasureRules } from '#shared/erasure/rules.ts';

/** Files with the subject in them go, exports and reports alike; API tokens of the subject end. */
export const platformErasure: ErasureRules = {
  derived: [
    {
      table: 'file',
      // A part ends where a row does, so that no name is cut in two.
      where: `t.request->>'subject' = $2 OR EXISTS (SELECT 1 FROM platform.file_part p
        WHERE p.tenant_id = $1 AND p.file_id = t.id AND position(convert_to($2, 'UTF8') IN p.bytes) > 0)`,
      parts: { table: 'file_part', of: 'file_id' },
    },
    {
      table: 'api_token',
      where: `t.subject = $2 AND (t.revoked_at IS NULL OR t.name <> '[erased]')`,
      set: `revoked_at = coalesce(t.revoked_at, now()), revoked_by = coalesce(t.revoked_by, 'platform'), name = '[erased]'`,
    },
  ],
};
