-- Lists and search stay within a tenant: its id leads the inverted indexes. Both extensions are trusted ones.
CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

DROP INDEX "context"."context_search_idx";
DROP INDEX "context"."context_tags_idx";

-- One index serves both directions only when all its keys turn round together.
DROP INDEX "context"."context_tenant_id_created_at_id_idx";
DROP INDEX "context"."context_tenant_id_updated_at_id_idx";

ALTER TABLE "context"."context" ADD COLUMN "is_private" BOOLEAN NOT NULL DEFAULT false;
UPDATE "context"."context" SET "is_private" = true WHERE "access_control"->>'visibility' = 'PRIVATE';

CREATE INDEX "context_tenant_id_created_at_id_idx" ON "context"."context"("tenant_id", "created_at", "id");
CREATE INDEX "context_tenant_id_updated_at_id_idx" ON "context"."context"("tenant_id", "updated_at", "id");
CREATE INDEX "context_tenant_id_search_idx" ON "context"."context" USING GIN ("tenant_id" text_ops, "search") WHERE "deleted_at" IS NULL;
CREATE INDEX "context_tenant_id_tags_idx" ON "context"."context" USING GIN ("tenant_id" text_ops, "tags") WHERE "deleted_at" IS NULL;
CREATE INDEX "context_tenant_id_title_idx" ON "context"."context" USING GIN ("tenant_id" text_ops, "title" gin_trgm_ops) WHERE "deleted_at" IS NULL;

ALTER TABLE "context"."metadata_version" ADD COLUMN "replaced_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;
CREATE INDEX "metadata_version_replaced_at_idx" ON "context"."metadata_version"("replaced_at");

-- Lists of a tenant without private contexts are the same for everyone: this answers which tenant that is.
CREATE INDEX "context_private_idx" ON "context"."context"("tenant_id") WHERE "is_private" AND "deleted_at" IS NULL;

-- What the timers look for.
CREATE INDEX "context_expiry_idx" ON "context"."context"("expires_at") WHERE "status" IN ('draft', 'active', 'suspended') AND "deleted_at" IS NULL;
CREATE INDEX "context_closed_idx" ON "context"."context"("closed_at") WHERE "status" = 'closed';
CREATE INDEX "context_deleted_idx" ON "context"."context"("deleted_at") WHERE "deleted_at" IS NOT NULL;
CREATE INDEX "participant_activity_idx" ON "context"."participant"("last_activity_at") WHERE "status" = 'ACTIVE';

-- Counters and shared state change in place: room on the page keeps such an update out of every index.
ALTER TABLE "context"."context" SET (fillfactor = 85);
