-- CreateTable
CREATE TABLE "core"."node" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "pool" TEXT NOT NULL,
    "labels" JSONB NOT NULL,
    "capabilities" TEXT[],
    "capacity" DOUBLE PRECISION[],
    "used" DOUBLE PRECISION[],
    "overcommit" DOUBLE PRECISION NOT NULL DEFAULT 1,
    "healthy" BOOLEAN NOT NULL DEFAULT true,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "node_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "core"."quota" (
    "tenant_id" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "hard" DOUBLE PRECISION[],
    "soft" DOUBLE PRECISION[],
    "weight" DOUBLE PRECISION NOT NULL DEFAULT 1,
    "used" DOUBLE PRECISION[],
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "quota_pkey" PRIMARY KEY ("tenant_id","owner")
);

-- CreateTable
CREATE TABLE "core"."allocation" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "owner" TEXT NOT NULL,
    "context_id" UUID,
    "type" TEXT NOT NULL,
    "purpose" TEXT,
    "requested" DOUBLE PRECISION[],
    "capabilities" TEXT[],
    "labels" JSONB NOT NULL,
    "priority" INTEGER NOT NULL,
    "preemptible" BOOLEAN NOT NULL,
    "status" TEXT NOT NULL,
    "reason" TEXT,
    "node_id" UUID,
    "lease_epoch" INTEGER NOT NULL DEFAULT 0,
    "lease_ms" BIGINT NOT NULL,
    "queued_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "allocated_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "created_by" TEXT NOT NULL,

    CONSTRAINT "allocation_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "core"."manifest" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "protocol_version" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "modules" JSONB NOT NULL,
    "protocol" JSONB,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "manifest_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "core"."rule" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    "condition" TEXT,
    "actions" JSONB NOT NULL,
    "rank" INTEGER NOT NULL,
    "enabled" BOOLEAN NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "rule_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "core"."decision" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "trigger" JSONB NOT NULL,
    "actions" JSONB NOT NULL,
    "deferred" JSONB NOT NULL,
    "rejected" JSONB NOT NULL,
    "latency_ms" DOUBLE PRECISION NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "decision_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "node_name_key" ON "core"."node"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "allocation_tenant_id_queued_at_id_idx" ON "core"."allocation"("tenant_id", "queued_at" DESC, "id");

-- CreateIndex
CREATE INDEX "allocation_tenant_id_owner_queued_at_id_idx" ON "core"."allocation"("tenant_id", "owner", "queued_at" DESC, "id");

-- CreateIndex
CREATE INDEX "allocation_tenant_id_context_id_idx" ON "core"."allocation"("tenant_id", "context_id");

-- CreateIndex
CREATE UNIQUE INDEX "rule_name_key" ON "core"."rule"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "decision_tenant_id_created_at_id_idx" ON "core"."decision"("tenant_id", "created_at" DESC, "id");

-- Whoever reserves, no node is ever oversubscribed.
ALTER TABLE "core"."node" ADD CONSTRAINT "node_vectors_check" CHECK (cardinality("capacity") = 5 AND cardinality("used") = 5 AND "overcommit" >= 1);
ALTER TABLE "core"."quota" ADD CONSTRAINT "quota_vectors_check" CHECK (cardinality("hard") = 5 AND cardinality("soft") = 5 AND cardinality("used") = 5 AND "weight" > 0);
CREATE INDEX "allocation_queue_idx" ON "core"."allocation"("tenant_id", "queued_at") WHERE "status" = 'queued';
CREATE INDEX "allocation_expiry_idx" ON "core"."allocation"("expires_at") WHERE "status" = 'active';
CREATE INDEX "allocation_node_idx" ON "core"."allocation"("tenant_id", "node_id") WHERE "status" = 'active';
ALTER TABLE "core"."node" SET (fillfactor = 70);
