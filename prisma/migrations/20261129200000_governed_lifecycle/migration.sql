-- Who was let in by an approval while the context was full waits for a place.
ALTER TABLE "context"."participant" ADD COLUMN IF NOT EXISTS "approved_by" TEXT, ADD COLUMN IF NOT EXISTS "approved_at" TIMESTAMPTZ(3);
CREATE INDEX IF NOT EXISTS "participant_approved_idx" ON "context"."participant"("tenant_id", "context_id", "approved_at") WHERE "status" = 'JOINING' AND "approved_at" IS NOT NULL;

-- Templates that stand already bind plans as those do that are told from now on.
INSERT INTO "plan"."replica" ("tenant_id", "type", "id", "status", "detail", "sequence")
SELECT t."tenant_id", 'WorkflowTemplate', t."id", CASE WHEN t."active" THEN 'active' ELSE 'inactive' END, v."triggers", 0
FROM "confirm"."template" t
JOIN "confirm"."template_version" v ON v."tenant_id" = t."tenant_id" AND v."template_id" = t."id" AND v."version" = t."latest_version"
ON CONFLICT DO NOTHING;
