-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "core";

-- CreateTable
CREATE TABLE "core"."workflow" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "status" TEXT NOT NULL,
    "latest_version" INTEGER NOT NULL,
    "max_executions" INTEGER,
    "running" INTEGER NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "workflow_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "core"."workflow_version" (
    "tenant_id" TEXT NOT NULL,
    "workflow_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "definition" JSONB NOT NULL,
    "plan" JSONB NOT NULL,
    "change" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "workflow_version_pkey" PRIMARY KEY ("tenant_id","workflow_id","version")
);

-- CreateTable
CREATE TABLE "core"."execution" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "workflow_id" UUID NOT NULL,
    "workflow_version" INTEGER NOT NULL,
    "body" TEXT[],
    "context_id" UUID,
    "parent_id" UUID,
    "parent_step_id" TEXT,
    "depth" INTEGER NOT NULL DEFAULT 0,
    "status" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "input" JSONB NOT NULL,
    "output" JSONB,
    "error" JSONB,
    "principal" JSONB NOT NULL,
    "status_reason" TEXT,
    "ending" TEXT,
    "holds_slot" BOOLEAN NOT NULL DEFAULT false,
    "told" BOOLEAN NOT NULL DEFAULT true,
    "history_sequence" BIGINT NOT NULL DEFAULT 0,
    "total_steps" INTEGER NOT NULL,
    "ended_steps" INTEGER NOT NULL DEFAULT 0,
    "retries" INTEGER NOT NULL DEFAULT 0,
    "deadline_at" TIMESTAMPTZ(3),
    "next_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "execution_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "core"."step_execution" (
    "tenant_id" TEXT NOT NULL,
    "execution_id" UUID NOT NULL,
    "step_id" TEXT NOT NULL,
    "place" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "phase" TEXT NOT NULL DEFAULT 'forward',
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "lease_owner" TEXT,
    "lease_until" TIMESTAMPTZ(3),
    "lease_epoch" INTEGER NOT NULL DEFAULT 0,
    "ready_at" TIMESTAMPTZ(3),
    "due_at" TIMESTAMPTZ(3),
    "timeout_at" TIMESTAMPTZ(3),
    "waits_for" TEXT,
    "iteration" INTEGER NOT NULL DEFAULT 0,
    "input" JSONB,
    "output" JSONB,
    "error" JSONB,
    "compensation" JSONB,
    "outcome" TEXT,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "step_execution_pkey" PRIMARY KEY ("tenant_id","execution_id","step_id")
);

-- CreateTable
CREATE TABLE "core"."history" (
    "tenant_id" TEXT NOT NULL,
    "execution_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "type" TEXT NOT NULL,
    "step_id" TEXT,
    "attempt" INTEGER,
    "data" JSONB NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "history_pkey" PRIMARY KEY ("tenant_id","execution_id","sequence")
);

-- CreateTable
CREATE TABLE "core"."signal" (
    "tenant_id" TEXT NOT NULL,
    "execution_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "payload" JSONB,
    "sent_by" TEXT NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "taken_by" TEXT,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "signal_pkey" PRIMARY KEY ("tenant_id","execution_id","id")
);

-- CreateTable
CREATE TABLE "core"."tenant_share" (
    "tenant_id" TEXT NOT NULL,
    "weight" INTEGER NOT NULL,

    CONSTRAINT "tenant_share_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "core"."event" (
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

-- Takes what no partition covers.
CREATE TABLE "core"."event_default" PARTITION OF "core"."event" DEFAULT;

-- CreateTable
CREATE TABLE "core"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "core"."audit" (
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

-- Takes what no partition covers.
CREATE TABLE "core"."audit_default" PARTITION OF "core"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "core"."idempotency" (
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
CREATE TABLE "core"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "core"."replica" (
    "tenant_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "detail" JSONB NOT NULL,
    "sequence" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "replica_pkey" PRIMARY KEY ("tenant_id","type","id")
);

-- CreateIndex
CREATE INDEX "workflow_tenant_id_created_at_id_idx" ON "core"."workflow"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "execution_tenant_id_created_at_id_idx" ON "core"."execution"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "execution_tenant_id_workflow_id_created_at_id_idx" ON "core"."execution"("tenant_id", "workflow_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "execution_tenant_id_context_id_created_at_id_idx" ON "core"."execution"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "execution_tenant_id_parent_id_idx" ON "core"."execution"("tenant_id", "parent_id");

-- CreateIndex
CREATE INDEX "event_position_idx" ON "core"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "core"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "core"."idempotency"("created_at");

-- What is due, the most urgent first; executions that wait for others alone are not in it.
CREATE INDEX "execution_due_idx" ON "core"."execution"("next_at") WHERE "next_at" IS NOT NULL;
CREATE INDEX "execution_due_tenant_idx" ON "core"."execution"("tenant_id", "priority", "next_at") WHERE "next_at" IS NOT NULL;
-- Parents that have not heard of the end of a child.
CREATE INDEX "execution_untold_idx" ON "core"."execution"("completed_at") WHERE NOT "told" AND "completed_at" IS NOT NULL;
CREATE INDEX "step_execution_waits_idx" ON "core"."step_execution"("tenant_id", "waits_for") WHERE "waits_for" IS NOT NULL;
CREATE INDEX "signal_open_idx" ON "core"."signal"("tenant_id", "execution_id", "ordinal") WHERE "taken_by" IS NULL;
-- Updated with every transition.
ALTER TABLE "core"."execution" SET (fillfactor = 50);
ALTER TABLE "core"."step_execution" SET (fillfactor = 50);
