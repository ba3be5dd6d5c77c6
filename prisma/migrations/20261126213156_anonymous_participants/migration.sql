ALTER TABLE "dialog"."participant" ADD COLUMN     "anonymous" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "identity" TEXT;

-- Until now everybody took part under their own name.
UPDATE "dialog"."participant" SET "identity" = "subject";

DROP INDEX "dialog"."participant_tenant_id_subject_status_idx";

CREATE INDEX "participant_tenant_id_identity_status_idx" ON "dialog"."participant"("tenant_id", "identity", "status");

CREATE UNIQUE INDEX "participant_tenant_id_dialog_id_identity_key" ON "dialog"."participant"("tenant_id", "dialog_id", "identity");
