-- AlterTable
ALTER TABLE "confirm"."decision" ADD COLUMN     "search" tsvector;

UPDATE "confirm"."decision" d SET "search" = to_tsvector('simple', c."title" || ' ' || coalesce(d."rationale", ''))
FROM "confirm"."confirm" c WHERE c."tenant_id" = d."tenant_id" AND c."id" = d."confirm_id";

ALTER TABLE "confirm"."decision" ALTER COLUMN "search" SET NOT NULL;

-- CreateIndex
CREATE INDEX "decision_tenant_id_decided_at_confirm_id_sequence_idx" ON "confirm"."decision"("tenant_id", "decided_at" DESC, "confirm_id" DESC, "sequence" DESC);

-- Words within a tenant: another tenant's matches are not read. The condition holds for all; partial indexes need not stand
-- in the model, which cannot name this one.
CREATE INDEX "decision_tenant_id_search_idx" ON "confirm"."decision" USING GIN ("tenant_id" text_ops, "search") WHERE "sequence" > 0;
