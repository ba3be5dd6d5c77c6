-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "extension";

-- CreateTable
CREATE TABLE "extension"."extension" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "extension_type" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "runtime_state" TEXT NOT NULL,
    "display_name" TEXT,
    "description" TEXT,
    "category" TEXT,
    "keywords" TEXT[],
    "license" TEXT,
    "homepage" TEXT,
    "repository" TEXT,
    "publisher" JSONB,
    "trust_level" INTEGER NOT NULL DEFAULT 0,
    "config" JSONB,
    "settings" JSONB NOT NULL,
    "grants" JSONB NOT NULL,
    "current_release_id" UUID,
    "previous_release_id" UUID,
    "reloaded_at" TIMESTAMPTZ(3),
    "deprecated_at" TIMESTAMPTZ(3),
    "installed_at" TIMESTAMPTZ(3),
    "activated_at" TIMESTAMPTZ(3),
    "deactivated_at" TIMESTAMPTZ(3),
    "activation_count" INTEGER NOT NULL DEFAULT 0,
    "error_count" INTEGER NOT NULL DEFAULT 0,
    "last_error" JSONB,
    "quarantine" JSONB,
    "governance" JSONB,
    "protocol" JSONB,
    "search" tsvector,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "extension_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "extension"."release" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "extension_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "version" TEXT NOT NULL,
    "manifest" JSONB NOT NULL,
    "bundle" TEXT NOT NULL,
    "checksum" TEXT NOT NULL,
    "size_bytes" INTEGER NOT NULL,
    "signature" TEXT,
    "key_id" UUID,
    "trust_level" INTEGER NOT NULL DEFAULT 0,
    "validation" JSONB NOT NULL,
    "quality_score" DOUBLE PRECISION NOT NULL,
    "approved_by" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "release_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "extension"."capability" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "extension_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "version" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "interfaces" JSONB NOT NULL,

    CONSTRAINT "capability_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "extension"."sandbox" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "extension_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "release_id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "limits" JSONB NOT NULL,
    "errors" JSONB NOT NULL,
    "recovery_attempts" INTEGER NOT NULL DEFAULT 0,
    "health_failures" INTEGER NOT NULL DEFAULT 0,
    "health_checked_at" TIMESTAMPTZ(3),
    "started_at" TIMESTAMPTZ(3),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "sandbox_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "extension"."hook" (
    "tenant_id" TEXT NOT NULL,
    "extension_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "point" TEXT NOT NULL,
    "phase" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,

    CONSTRAINT "hook_pkey" PRIMARY KEY ("tenant_id","extension_id","point","phase")
);

-- CreateTable
CREATE TABLE "extension"."execution" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "extension_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "capability_id" UUID NOT NULL,
    "release_id" UUID NOT NULL,
    "method" TEXT NOT NULL,
    "caller" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "crashed" BOOLEAN NOT NULL,
    "duration_ms" DOUBLE PRECISION NOT NULL,
    "cpu_ms" DOUBLE PRECISION NOT NULL,
    "memory_bytes" BIGINT NOT NULL,
    "host_calls" INTEGER NOT NULL,
    "cache_hit" BOOLEAN NOT NULL,
    "error" JSONB,
    "logs" JSONB,
    "result" JSONB,
    "traceparent" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "execution_pkey" PRIMARY KEY ("tenant_id","id","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers, so that a late job never refuses a write.
CREATE TABLE "extension"."execution_default" PARTITION OF "extension"."execution" DEFAULT;

-- CreateTable
CREATE TABLE "extension"."usage" (
    "tenant_id" TEXT NOT NULL,
    "extension_id" UUID NOT NULL,
    "capability_id" UUID NOT NULL,
    "method" TEXT NOT NULL,
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "invocations" BIGINT NOT NULL,
    "failures" BIGINT NOT NULL,
    "crashes" BIGINT NOT NULL,
    "cache_hits" BIGINT NOT NULL,
    "total_ms" DOUBLE PRECISION NOT NULL,
    "max_ms" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "usage_pkey" PRIMARY KEY ("tenant_id","extension_id","capability_id","method","hour")
);

-- CreateTable
CREATE TABLE "extension"."state" (
    "tenant_id" TEXT NOT NULL,
    "extension_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "value" JSONB NOT NULL,
    "size_bytes" INTEGER NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "state_pkey" PRIMARY KEY ("tenant_id","extension_id","key")
);

-- CreateTable
CREATE TABLE "extension"."publisher_key" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "publisher_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "public_key" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "trust_level" INTEGER NOT NULL,
    "revoked_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "publisher_key_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "extension"."event" (
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
CREATE TABLE "extension"."event_default" PARTITION OF "extension"."event" DEFAULT;

-- CreateTable
CREATE TABLE "extension"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "extension"."audit" (
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
CREATE TABLE "extension"."audit_default" PARTITION OF "extension"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "extension"."idempotency" (
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
CREATE TABLE "extension"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "extension"."replica" (
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
CREATE INDEX "extension_tenant_id_created_at_id_idx" ON "extension"."extension"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "extension_tenant_id_context_id_created_at_id_idx" ON "extension"."extension"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "extension_tenant_id_runtime_state_idx" ON "extension"."extension"("tenant_id", "runtime_state");

-- CreateIndex
CREATE INDEX "extension_tenant_id_name_idx" ON "extension"."extension"("tenant_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "release_tenant_id_extension_id_version_key" ON "extension"."release"("tenant_id", "extension_id", "version");

-- CreateIndex
CREATE UNIQUE INDEX "capability_tenant_id_extension_id_name_key" ON "extension"."capability"("tenant_id", "extension_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "sandbox_tenant_id_extension_id_key" ON "extension"."sandbox"("tenant_id", "extension_id");

-- CreateIndex
CREATE INDEX "hook_tenant_id_context_id_point_phase_idx" ON "extension"."hook"("tenant_id", "context_id", "point", "phase");

-- CreateIndex
CREATE INDEX "execution_tenant_id_extension_id_created_at_id_idx" ON "extension"."execution"("tenant_id", "extension_id", "created_at" DESC, "id");

-- CreateIndex
CREATE UNIQUE INDEX "publisher_key_tenant_id_fingerprint_key" ON "extension"."publisher_key"("tenant_id", "fingerprint");

-- CreateIndex
CREATE INDEX "event_position_idx" ON "extension"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "extension"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "extension"."idempotency"("created_at");

-- Of what was registered here a context has each name once; documents may repeat them.
CREATE UNIQUE INDEX "extension_name_key" ON "extension"."extension"("tenant_id", "context_id", "name")
  WHERE "current_release_id" IS NOT NULL AND "runtime_state" <> 'uninstalled';

-- Those that run, for what looks after them.
CREATE INDEX "extension_active_idx" ON "extension"."extension"("tenant_id", "id") WHERE "runtime_state" = 'active';

-- Calls that had to be stopped, for the quarantine.
CREATE INDEX "execution_crashed_idx" ON "extension"."execution"("tenant_id", "extension_id", "created_at") WHERE "crashed";

ALTER TABLE "extension"."extension" SET (fillfactor = 80);
ALTER TABLE "extension"."usage" SET (fillfactor = 70);
