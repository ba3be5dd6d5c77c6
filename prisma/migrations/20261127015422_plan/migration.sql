-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "plan";

-- CreateTable
CREATE TABLE "plan"."event" (
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
CREATE TABLE "plan"."event_default" PARTITION OF "plan"."event" DEFAULT;

-- CreateTable
CREATE TABLE "plan"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "plan"."audit" (
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
CREATE TABLE "plan"."audit_default" PARTITION OF "plan"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "plan"."idempotency" (
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
CREATE TABLE "plan"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "plan"."replica" (
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
CREATE TABLE "plan"."plan" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "objective" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "priority" TEXT NOT NULL,
    "requires_approval" BOOLEAN NOT NULL,
    "confirm_id" UUID,
    "status_reason" TEXT,
    "replans" INTEGER NOT NULL DEFAULT 0,
    "definition" JSONB NOT NULL,
    "summary" JSONB NOT NULL,
    "schedule" JSONB,
    "protocol" JSONB,
    "step_count" INTEGER NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "plan_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "plan"."step" (
    "tenant_id" TEXT NOT NULL,
    "plan_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "place" INTEGER NOT NULL,
    "name" TEXT,
    "description" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "priority" TEXT NOT NULL,
    "agent_role" TEXT,
    "order_index" INTEGER,
    "duration_ms" BIGINT NOT NULL,
    "capabilities" TEXT[],
    "assigned_agents" TEXT[],
    "details" JSONB NOT NULL,
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "result" JSONB,
    "error" TEXT,
    "retry_count" INTEGER NOT NULL DEFAULT 0,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "protocol" JSONB,

    CONSTRAINT "step_pkey" PRIMARY KEY ("tenant_id","plan_id","id")
);

-- CreateTable
CREATE TABLE "plan"."dependency" (
    "tenant_id" TEXT NOT NULL,
    "plan_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "place" INTEGER NOT NULL,
    "source_id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "lag_ms" BIGINT NOT NULL,
    "criticality" TEXT NOT NULL,
    "condition" TEXT,

    CONSTRAINT "dependency_pkey" PRIMARY KEY ("tenant_id","plan_id","id")
);

-- CreateTable
CREATE TABLE "plan"."execution" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "plan_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "mode" TEXT NOT NULL,
    "max_concurrent" INTEGER NOT NULL,
    "lease_ms" INTEGER NOT NULL,
    "plan_version" INTEGER NOT NULL,
    "policy" JSONB NOT NULL,
    "total_steps" INTEGER NOT NULL,
    "ended_steps" INTEGER NOT NULL DEFAULT 0,
    "running_steps" INTEGER NOT NULL DEFAULT 0,
    "total_work_ms" BIGINT NOT NULL,
    "done_work_ms" BIGINT NOT NULL DEFAULT 0,
    "paused_by" TEXT,
    "status_reason" TEXT,
    "version" INTEGER NOT NULL DEFAULT 1,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_by" TEXT NOT NULL,
    "completed_at" TIMESTAMPTZ(3),
    "deadline_at" TIMESTAMPTZ(3),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "execution_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "plan"."step_execution" (
    "tenant_id" TEXT NOT NULL,
    "execution_id" UUID NOT NULL,
    "step_id" UUID NOT NULL,
    "plan_id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "rank" INTEGER NOT NULL,
    "waits" INTEGER NOT NULL,
    "finish_waits" INTEGER NOT NULL,
    "ready_at" TIMESTAMPTZ(3),
    "retry_at" TIMESTAMPTZ(3),
    "finish_at" TIMESTAMPTZ(3),
    "capabilities" TEXT[],
    "agents" TEXT[],
    "agent_role" TEXT,
    "demands" JSONB NOT NULL,
    "duration_ms" BIGINT NOT NULL,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "rollbacks" INTEGER NOT NULL DEFAULT 0,
    "lease_epoch" INTEGER NOT NULL DEFAULT 0,
    "lease_owner" TEXT,
    "lease_subject" TEXT,
    "lease_until" TIMESTAMPTZ(3),
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "result" JSONB,
    "error" TEXT,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "step_execution_pkey" PRIMARY KEY ("tenant_id","execution_id","step_id")
);

-- CreateTable
CREATE TABLE "plan"."analysis" (
    "tenant_id" TEXT NOT NULL,
    "plan_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "result" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "analysis_pkey" PRIMARY KEY ("tenant_id","plan_id","version","key")
);

-- CreateIndex
CREATE INDEX "event_position_idx" ON "plan"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "plan"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "plan"."idempotency"("created_at");

-- CreateIndex
CREATE INDEX "plan_tenant_id_created_at_id_idx" ON "plan"."plan"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "plan_tenant_id_context_id_created_at_id_idx" ON "plan"."plan"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "plan_tenant_id_status_created_at_id_idx" ON "plan"."plan"("tenant_id", "status", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "step_tenant_id_plan_id_place_idx" ON "plan"."step"("tenant_id", "plan_id", "place");

-- CreateIndex
CREATE INDEX "dependency_tenant_id_plan_id_source_id_idx" ON "plan"."dependency"("tenant_id", "plan_id", "source_id");

-- CreateIndex
CREATE INDEX "dependency_tenant_id_plan_id_target_id_idx" ON "plan"."dependency"("tenant_id", "plan_id", "target_id");

-- CreateIndex
CREATE INDEX "execution_tenant_id_plan_id_started_at_id_idx" ON "plan"."execution"("tenant_id", "plan_id", "started_at" DESC, "id");

-- CreateIndex
CREATE INDEX "execution_tenant_id_context_id_idx" ON "plan"."execution"("tenant_id", "context_id");

-- What claims and recovery look for: steps that wait for an agent in their order, and leases by their end.
CREATE INDEX "step_execution_ready_idx" ON "plan"."step_execution"("tenant_id", "execution_id", "rank") WHERE "status" = 'pending' AND "waits" = 0;
CREATE INDEX "step_execution_lease_idx" ON "plan"."step_execution"("lease_until") WHERE "status" = 'leased';
CREATE INDEX "step_execution_finish_idx" ON "plan"."step_execution"("finish_at") WHERE "status" = 'finishing';
CREATE INDEX "execution_deadline_idx" ON "plan"."execution"("deadline_at") WHERE "status" IN ('RUNNING', 'PAUSED');
-- One run of a plan at a time.
CREATE UNIQUE INDEX "execution_active_key" ON "plan"."execution"("tenant_id", "plan_id") WHERE "status" IN ('RUNNING', 'PAUSED');
-- Rows that every claim rewrites: room on the page keeps their updates off the index.
ALTER TABLE "plan"."execution" SET (fillfactor = 50);
ALTER TABLE "plan"."step_execution" SET (fillfactor = 70);

-- The words of the frozen protocol, also for whoever writes past the service.
ALTER TABLE "plan"."plan" ADD CONSTRAINT "plan_status_check" CHECK ("status" IN ('draft', 'proposed', 'approved', 'in_progress', 'completed', 'cancelled', 'failed'));
ALTER TABLE "plan"."step" ADD CONSTRAINT "step_status_check" CHECK ("status" IN ('pending', 'in_progress', 'completed', 'blocked', 'skipped', 'failed'));
ALTER TABLE "plan"."dependency" ADD CONSTRAINT "dependency_type_check" CHECK ("type" IN ('finish_to_start', 'start_to_start', 'finish_to_finish', 'start_to_finish'));
ALTER TABLE "plan"."execution" ADD CONSTRAINT "execution_status_check" CHECK ("status" IN ('RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'CANCELLED'));
ALTER TABLE "plan"."execution" ADD CONSTRAINT "execution_capacity_check" CHECK ("running_steps" BETWEEN 0 AND "max_concurrent");
