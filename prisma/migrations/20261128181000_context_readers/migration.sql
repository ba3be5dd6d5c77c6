-- AlterTable
ALTER TABLE "context"."context" ADD COLUMN "readers" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- What the access lists that stand already show, as the service works it out from now on.
WITH listed AS (
  SELECT c."tenant_id", c."id", array_agg(DISTINCT (CASE lower(p->>'principalType') WHEN 'role' THEN 'role:' ELSE 'subject:' END) || (p->>'principal')) AS "readers"
  FROM "context"."context" c CROSS JOIN LATERAL jsonb_array_elements(c."access_control"->'permissions') AS p
  WHERE jsonb_typeof(c."access_control"->'permissions') = 'array' AND p->>'resource' IN ('context', '*') AND lower(p->>'principalType') <> 'group'
    AND jsonb_typeof(p->'actions') = 'array' AND jsonb_array_length(p->'actions') > 0
    AND coalesce(nullif(p->'conditions', 'null'), '{}') = '{}'
  GROUP BY 1, 2
)
UPDATE "context"."context" c SET "readers" = l."readers" FROM listed l WHERE c."tenant_id" = l."tenant_id" AND c."id" = l."id";

CREATE INDEX "context_readers_idx" ON "context"."context" USING GIN ("tenant_id", "readers") WHERE "is_private" AND "deleted_at" IS NULL AND "readers" <> '{}';

-- Replicas in the same database. One in a database of its own shows such a context with its next change.
DO $$
DECLARE module text;
BEGIN
  FOREACH module IN ARRAY ARRAY['plan', 'confirm', 'trace', 'extension', 'collab', 'network', 'core'] LOOP
    EXECUTE format(
      'UPDATE %I.replica r SET detail = r.detail || jsonb_build_object(''readers'', to_jsonb(c.readers)) FROM context.context c
       WHERE r.type = ''Context'' AND c.tenant_id = r.tenant_id AND c.id = r.id AND c.readers <> ''{}''', module);
  END LOOP;
END $$;
