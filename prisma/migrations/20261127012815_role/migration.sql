-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "role";

-- CreateTable
CREATE TABLE "role"."event" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "tags" TEXT[],
    "traceparent" TEXT,
    "position" BIGSERIAL NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_pkey" PRIMARY KEY ("tenant_id","stream_id","sequence","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers, so that a late job never refuses a write.
CREATE TABLE "role"."event_default" PARTITION OF "role"."event" DEFAULT;

-- CreateTable
CREATE TABLE "role"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "role"."audit" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "action" TEXT NOT NULL,
    "resource" TEXT NOT NULL,
    "resource_id" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "detail" JSONB NOT NULL,
    "traceparent" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_pkey" PRIMARY KEY ("tenant_id","id","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers, so that a late job never refuses a write.
CREATE TABLE "role"."audit_default" PARTITION OF "role"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "role"."idempotency" (
    "tenant_id" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "request_hash" BYTEA NOT NULL,
    "response" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_pkey" PRIMARY KEY ("tenant_id","subject","key")
);

-- CreateTable
CREATE TABLE "role"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "role"."replica" (
    "tenant_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "detail" JSONB NOT NULL,
    "sequence" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "replica_pkey" PRIMARY KEY ("tenant_id","type","id")
);

-- CreateTable
CREATE TABLE "role"."tenant" (
    "tenant_id" TEXT NOT NULL,
    "revision" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "tenant_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "role"."role" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "scope_key" TEXT NOT NULL,
    "display_name" TEXT,
    "description" TEXT,
    "role_type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "scope" JSONB NOT NULL,
    "security_level" TEXT NOT NULL,
    "permissions" JSONB NOT NULL,
    "capabilities" TEXT[],
    "capability_profiles" JSONB NOT NULL,
    "attributes" JSONB NOT NULL,
    "separation_of_duties" JSONB NOT NULL,
    "assignment_rules" JSONB NOT NULL,
    "constraints" JSONB,
    "max_holders" INTEGER,
    "effective_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "governance" JSONB,
    "protocol" JSONB,
    "version" INTEGER NOT NULL DEFAULT 1,
    "revision" BIGINT NOT NULL,
    "deleted_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "role_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "role"."inheritance" (
    "tenant_id" TEXT NOT NULL,
    "role_id" UUID NOT NULL,
    "parent_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "excluded_permissions" TEXT[],
    "conditions" JSONB,
    "ordinal" INTEGER NOT NULL,

    CONSTRAINT "inheritance_pkey" PRIMARY KEY ("tenant_id","role_id","parent_id")
);

-- CreateTable
CREATE TABLE "role"."assignment" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "role_id" UUID NOT NULL,
    "subject_id" TEXT NOT NULL,
    "context_id" UUID,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "assigned_by" TEXT NOT NULL,
    "reason" TEXT,
    "status_reason" TEXT,
    "valid_from" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "constraints" JSONB,
    "approval" JSONB,
    "version" INTEGER NOT NULL DEFAULT 1,
    "revision" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "assignment_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "role"."delegation" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "delegator_id" TEXT NOT NULL,
    "delegate_id" TEXT NOT NULL,
    "permissions" TEXT[],
    "context_id" UUID,
    "status" TEXT NOT NULL,
    "reason" TEXT,
    "max_depth" INTEGER NOT NULL DEFAULT 1,
    "starts_at" TIMESTAMPTZ(3),
    "ends_at" TIMESTAMPTZ(3) NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "revision" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "delegation_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "role"."subject" (
    "tenant_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "display_name" TEXT,
    "attributes" JSONB NOT NULL,
    "capabilities" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "revision" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "subject_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "role"."decision" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "subject_id" TEXT NOT NULL,
    "asked_by" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "resource_type" TEXT NOT NULL,
    "resource_id" TEXT,
    "context_id" TEXT,
    "decision" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "granting_role_id" TEXT,
    "permission_id" TEXT,
    "evaluation_us" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "decision_pkey" PRIMARY KEY ("tenant_id","id","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers, so that a late job never refuses a write.
CREATE TABLE "role"."decision_default" PARTITION OF "role"."decision" DEFAULT;

-- CreateIndex
CREATE INDEX "event_position_idx" ON "role"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "role"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "role"."idempotency"("created_at");

-- CreateIndex
CREATE INDEX "role_tenant_id_created_at_id_idx" ON "role"."role"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "role_tenant_id_revision_idx" ON "role"."role"("tenant_id", "revision");

-- CreateIndex
CREATE INDEX "inheritance_tenant_id_parent_id_idx" ON "role"."inheritance"("tenant_id", "parent_id");

-- CreateIndex
CREATE INDEX "assignment_tenant_id_subject_id_created_at_id_idx" ON "role"."assignment"("tenant_id", "subject_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "assignment_tenant_id_role_id_created_at_id_idx" ON "role"."assignment"("tenant_id", "role_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "assignment_tenant_id_revision_idx" ON "role"."assignment"("tenant_id", "revision");

-- CreateIndex
CREATE INDEX "delegation_tenant_id_delegate_id_idx" ON "role"."delegation"("tenant_id", "delegate_id");

-- CreateIndex
CREATE INDEX "delegation_tenant_id_delegator_id_idx" ON "role"."delegation"("tenant_id", "delegator_id");

-- CreateIndex
CREATE INDEX "delegation_tenant_id_revision_idx" ON "role"."delegation"("tenant_id", "revision");

-- CreateIndex
CREATE INDEX "subject_tenant_id_revision_idx" ON "role"."subject"("tenant_id", "revision");

-- CreateIndex
CREATE INDEX "decision_tenant_id_created_at_id_idx" ON "role"."decision"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "decision_tenant_id_subject_id_created_at_id_idx" ON "role"."decision"("tenant_id", "subject_id", "created_at" DESC, "id");

-- What must be unique among those that stand; the service checks it first, under the tenant's lock.
CREATE UNIQUE INDEX "role_name_idx" ON "role"."role"("tenant_id", "scope_key", "name") WHERE "deleted_at" IS NULL;
CREATE UNIQUE INDEX "assignment_standing_idx" ON "role"."assignment"("tenant_id", "subject_id", "role_id", (COALESCE("context_id", '00000000-0000-0000-0000-000000000000'::uuid))) WHERE "status" IN ('pending', 'active', 'suspended');

-- What is to expire.
CREATE INDEX "assignment_expiry_idx" ON "role"."assignment"("expires_at") WHERE "status" IN ('pending', 'active', 'suspended') AND "expires_at" IS NOT NULL;
CREATE INDEX "delegation_expiry_idx" ON "role"."delegation"("ends_at") WHERE "status" = 'active';

-- The words of the state machines, also for whoever writes past the service.
ALTER TABLE "role"."role" ADD CONSTRAINT "role_status_check" CHECK ("status" IN ('active', 'inactive', 'suspended', 'deprecated', 'archived'));
ALTER TABLE "role"."assignment" ADD CONSTRAINT "assignment_status_check" CHECK ("status" IN ('pending', 'active', 'suspended', 'expired', 'revoked'));
ALTER TABLE "role"."delegation" ADD CONSTRAINT "delegation_status_check" CHECK ("status" IN ('active', 'revoked', 'expired'));
ALTER TABLE "role"."inheritance" ADD CONSTRAINT "inheritance_self_check" CHECK ("role_id" <> "parent_id");
ALTER TABLE "role"."delegation" ADD CONSTRAINT "delegation_self_check" CHECK ("delegator_id" <> "delegate_id");
