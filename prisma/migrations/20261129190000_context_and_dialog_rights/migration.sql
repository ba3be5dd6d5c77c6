-- Entries of metadata that are written again after they were removed do not begin anew at version 1: what
-- stands in place of an entry would be taken for it by who still holds its version.
ALTER TABLE "context"."context" ADD COLUMN IF NOT EXISTS "metadata_floor" INTEGER NOT NULL DEFAULT 0;

-- Permissions to analyse and to summarise bind from now on: who had what its role brings keeps what it could do.
UPDATE "dialog"."participant" p SET "permissions" = p."permissions" || ARRAY(SELECT m FROM unnest(ARRAY['ANALYZE', 'SUMMARIZE']) m WHERE m <> ALL (p."permissions"))
FROM (VALUES
  ('CONTRIBUTOR', ARRAY['READ', 'WRITE', 'INITIATE_TOPICS', 'ATTACH_DOCUMENTS', 'SUGGEST']),
  ('REQUESTER', ARRAY['READ', 'WRITE', 'INITIATE_TOPICS', 'ATTACH_DOCUMENTS', 'SUGGEST', 'REQUEST_CHANGES']),
  ('APPROVER', ARRAY['READ', 'WRITE', 'INITIATE_TOPICS', 'ATTACH_DOCUMENTS', 'SUGGEST', 'APPROVE', 'REJECT', 'REQUEST_CHANGES']),
  ('REVIEWER', ARRAY['READ', 'WRITE', 'INITIATE_TOPICS', 'ATTACH_DOCUMENTS', 'SUGGEST', 'REQUEST_CHANGES', 'ANALYZE'])
) AS r(role, brought)
WHERE p."role" = r.role AND p."permissions" @> r.brought AND p."permissions" <@ r.brought;
