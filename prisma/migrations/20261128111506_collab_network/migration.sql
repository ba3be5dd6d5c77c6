-- AlterTable
ALTER TABLE "collab"."collaboration" ADD COLUMN     "network_id" UUID;

-- CreateIndex
CREATE INDEX "collaboration_tenant_id_network_id_created_at_id_idx" ON "collab"."collaboration"("tenant_id", "network_id", "created_at" DESC, "id");
