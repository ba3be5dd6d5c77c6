-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "trace";

-- CreateTable
CREATE TABLE "trace"."event" (
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
CREATE TABLE "trace"."event_default" PARTITION OF "trace"."event" DEFAULT;

-- CreateTable
CREATE TABLE "trace"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "trace"."audit" (
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
CREATE TABLE "trace"."audit_default" PARTITION OF "trace"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "trace"."idempotency" (
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
CREATE TABLE "trace"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "trace"."replica" (
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
CREATE TABLE "trace"."trace" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "w3c_id" TEXT NOT NULL,
    "context_id" UUID,
    "plan_id" UUID,
    "name" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "start_ns" BIGINT,
    "end_ns" BIGINT,
    "span_count" INTEGER NOT NULL DEFAULT 0,
    "error_count" INTEGER NOT NULL DEFAULT 0,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "trace_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "trace"."span" (
    "tenant_id" TEXT NOT NULL,
    "trace_id" UUID NOT NULL,
    "span_id" TEXT NOT NULL,
    "traced_at" TIMESTAMPTZ(3) NOT NULL,
    "parent_span_id" TEXT,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "service" TEXT NOT NULL,
    "start_ns" BIGINT NOT NULL,
    "end_ns" BIGINT,
    "status" TEXT NOT NULL,
    "status_message" TEXT,
    "late" BOOLEAN NOT NULL,
    "detail" JSONB NOT NULL,

    CONSTRAINT "span_pkey" PRIMARY KEY ("tenant_id","trace_id","span_id","traced_at")
) PARTITION BY RANGE ("traced_at");

-- Takes what no partition covers.
CREATE TABLE "trace"."span_default" PARTITION OF "trace"."span" DEFAULT;

-- CreateIndex
CREATE INDEX "event_position_idx" ON "trace"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "trace"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "trace"."idempotency"("created_at");

-- CreateIndex
CREATE INDEX "trace_tenant_id_created_at_id_idx" ON "trace"."trace"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "trace_tenant_id_context_id_created_at_id_idx" ON "trace"."trace"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "trace_tenant_id_w3c_id_idx" ON "trace"."trace"("tenant_id", "w3c_id");

-- CreateIndex
CREATE INDEX "trace_created_at_idx" ON "trace"."trace"("created_at");

-- CreateIndex
CREATE INDEX "span_tenant_id_service_name_start_ns_idx" ON "trace"."span"("tenant_id", "service", "name", "start_ns");
