-- CreateTable
CREATE TABLE "role"."permission_request" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "subject_id" TEXT NOT NULL,
    "permission_id" TEXT NOT NULL,
    "granting_role_id" UUID NOT NULL,
    "action" TEXT NOT NULL,
    "resource_type" TEXT NOT NULL,
    "resource_id" TEXT,
    "context_id" UUID,
    "plan_id" UUID,
    "status" TEXT NOT NULL,
    "reason" TEXT,
    "status_reason" TEXT,
    "threshold" INTEGER NOT NULL,
    "approver_roles" TEXT[],
    "approval" JSONB NOT NULL,
    "ends_at" TIMESTAMPTZ(3) NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "revision" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "permission_request_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE INDEX "permission_request_tenant_id_created_at_id_idx" ON "role"."permission_request"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "permission_request_tenant_id_subject_id_created_at_id_idx" ON "role"."permission_request"("tenant_id", "subject_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "permission_request_tenant_id_revision_idx" ON "role"."permission_request"("tenant_id", "revision");

ALTER TABLE "role"."permission_request" ADD CONSTRAINT "permission_request_status_check"
    CHECK ("status" IN ('pending', 'approved', 'rejected', 'revoked', 'expired'));

-- What is still open ends by the clock.
CREATE INDEX "permission_request_expiry_idx" ON "role"."permission_request"("ends_at") WHERE "status" IN ('pending', 'approved');
