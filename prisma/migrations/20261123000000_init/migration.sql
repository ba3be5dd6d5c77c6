-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "context";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "dialog";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "platform";

-- CreateTable
CREATE TABLE "context"."usage" (
    "tenant_id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "open_contexts" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "usage_pkey" PRIMARY KEY ("tenant_id","owner_id")
);

-- CreateTable
CREATE TABLE "context"."context" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "root" JSONB NOT NULL,
    "domain" TEXT NOT NULL,
    "environment" TEXT NOT NULL,
    "summary" TEXT,
    "tags" TEXT[],
    "language" TEXT,
    "owner_role" TEXT,
    "constraints" JSONB,
    "governance" JSONB,
    "protocol" JSONB,
    "type" TEXT NOT NULL,
    "lifecycle_stage" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "owner_type" TEXT NOT NULL,
    "configuration" JSONB NOT NULL,
    "access_control" JSONB NOT NULL,
    "priority" TEXT NOT NULL,
    "category" TEXT,
    "custom_data" JSONB,
    "metadata_text" TEXT NOT NULL DEFAULT '',
    "join_token_hash" TEXT,
    "version" INTEGER NOT NULL DEFAULT 1,
    "participant_count" INTEGER NOT NULL DEFAULT 0,
    "session_count" INTEGER NOT NULL DEFAULT 0,
    "shared_version" INTEGER NOT NULL DEFAULT 0,
    "shared_checksum" TEXT NOT NULL,
    "shared_updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_activity_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),
    "close_reason" TEXT,
    "closed_at" TIMESTAMPTZ(3),
    "deleted_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,
    "search" tsvector NOT NULL,

    CONSTRAINT "context_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "context"."participant" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "agent_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "display_name" TEXT,
    "status" TEXT NOT NULL,
    "roles" TEXT[],
    "capabilities" TEXT[],
    "permissions" TEXT[],
    "joined_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "left_at" TIMESTAMPTZ(3),
    "last_activity_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "max_concurrent_tasks" INTEGER NOT NULL DEFAULT 5,
    "timeout_ms" BIGINT NOT NULL DEFAULT 300000,
    "notifications" JSONB NOT NULL DEFAULT '{}',
    "total_tasks" INTEGER NOT NULL DEFAULT 0,
    "completed_tasks" INTEGER NOT NULL DEFAULT 0,
    "failed_tasks" INTEGER NOT NULL DEFAULT 0,
    "average_response_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "participant_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "context"."session" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "participant_ids" UUID[],
    "active_participant_ids" UUID[],
    "max_duration_ms" BIGINT NOT NULL DEFAULT 7200000,
    "persist_state" BOOLEAN NOT NULL DEFAULT true,
    "isolation_level" TEXT NOT NULL,
    "auto_save" BOOLEAN NOT NULL DEFAULT true,
    "compression" BOOLEAN NOT NULL DEFAULT false,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(3),
    "message_count" INTEGER NOT NULL DEFAULT 0,
    "data_size_bytes" INTEGER NOT NULL DEFAULT 0,
    "average_latency_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "session_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "context"."metadata" (
    "tenant_id" TEXT NOT NULL,
    "context_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "value" JSONB NOT NULL,
    "type" TEXT NOT NULL,
    "description" TEXT,
    "access_level" TEXT NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "metadata_pkey" PRIMARY KEY ("tenant_id","context_id","key")
);

-- CreateTable
CREATE TABLE "context"."metadata_version" (
    "tenant_id" TEXT NOT NULL,
    "context_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "value" JSONB NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "metadata_version_pkey" PRIMARY KEY ("tenant_id","context_id","key","version")
);

-- CreateTable
CREATE TABLE "context"."context_version" (
    "tenant_id" TEXT NOT NULL,
    "context_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "document" JSONB NOT NULL,
    "changed" TEXT[],
    "changed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "changed_by" TEXT NOT NULL,

    CONSTRAINT "context_version_pkey" PRIMARY KEY ("tenant_id","context_id","version")
);

-- CreateTable
CREATE TABLE "context"."shared_key" (
    "tenant_id" TEXT NOT NULL,
    "context_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "value" JSONB,
    "version" INTEGER NOT NULL,
    "changed_at" TIMESTAMPTZ(3) NOT NULL,
    "node_id" TEXT NOT NULL,

    CONSTRAINT "shared_key_pkey" PRIMARY KEY ("tenant_id","context_id","key")
);

-- CreateTable
CREATE TABLE "context"."event" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "tags" TEXT[],
    "traceparent" TEXT,
    "txid" BIGINT NOT NULL DEFAULT ((pg_current_xact_id())::text)::bigint,
    "position" BIGSERIAL NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_pkey" PRIMARY KEY ("tenant_id","stream_id","sequence","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers, so that a late job never refuses a write.
CREATE TABLE "context"."event_default" PARTITION OF "context"."event" DEFAULT;

-- CreateTable
CREATE TABLE "context"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "context"."audit" (
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
CREATE TABLE "context"."audit_default" PARTITION OF "context"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "context"."idempotency" (
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
CREATE TABLE "context"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "txid" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "context"."replica" (
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
CREATE TABLE "dialog"."event" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "tags" TEXT[],
    "traceparent" TEXT,
    "txid" BIGINT NOT NULL DEFAULT ((pg_current_xact_id())::text)::bigint,
    "position" BIGSERIAL NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_pkey" PRIMARY KEY ("tenant_id","stream_id","sequence","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers, so that a late job never refuses a write.
CREATE TABLE "dialog"."event_default" PARTITION OF "dialog"."event" DEFAULT;

-- CreateTable
CREATE TABLE "dialog"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "dialog"."audit" (
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
CREATE TABLE "dialog"."audit_default" PARTITION OF "dialog"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "dialog"."idempotency" (
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
CREATE TABLE "dialog"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "txid" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "dialog"."replica" (
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
CREATE TABLE "platform"."event" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "tags" TEXT[],
    "traceparent" TEXT,
    "txid" BIGINT NOT NULL DEFAULT ((pg_current_xact_id())::text)::bigint,
    "position" BIGSERIAL NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_pkey" PRIMARY KEY ("tenant_id","stream_id","sequence","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers, so that a late job never refuses a write.
CREATE TABLE "platform"."event_default" PARTITION OF "platform"."event" DEFAULT;

-- CreateTable
CREATE TABLE "platform"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "platform"."audit" (
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
CREATE TABLE "platform"."audit_default" PARTITION OF "platform"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "platform"."idempotency" (
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
CREATE TABLE "platform"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "txid" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "platform"."replica" (
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
CREATE TABLE "platform"."import" (
    "tenant_id" TEXT NOT NULL,
    "module" TEXT NOT NULL,
    "object_id" UUID NOT NULL,
    "context_id" UUID,
    "bundle_id" UUID NOT NULL,
    "imported_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "imported_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "import_pkey" PRIMARY KEY ("tenant_id","module","object_id")
);

-- CreateIndex
CREATE INDEX "context_tenant_id_created_at_id_idx" ON "context"."context"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "context_tenant_id_updated_at_id_idx" ON "context"."context"("tenant_id", "updated_at" DESC, "id");

-- CreateIndex
CREATE INDEX "context_tenant_id_title_id_idx" ON "context"."context"("tenant_id", "title", "id");

-- CreateIndex
CREATE INDEX "context_tenant_id_type_status_idx" ON "context"."context"("tenant_id", "type", "status");

-- CreateIndex
CREATE INDEX "context_tenant_id_created_by_idx" ON "context"."context"("tenant_id", "created_by");

-- CreateIndex
CREATE INDEX "context_tenant_id_owner_id_idx" ON "context"."context"("tenant_id", "owner_id");

-- CreateIndex
CREATE INDEX "context_tenant_id_domain_idx" ON "context"."context"("tenant_id", "domain");

-- CreateIndex
CREATE INDEX "context_search_idx" ON "context"."context" USING GIN ("search");

-- CreateIndex
CREATE INDEX "context_tags_idx" ON "context"."context" USING GIN ("tags");

-- CreateIndex
CREATE INDEX "context_root_idx" ON "context"."context" USING GIN ("root" jsonb_path_ops);

-- CreateIndex
CREATE INDEX "participant_tenant_id_context_id_joined_at_id_idx" ON "context"."participant"("tenant_id", "context_id", "joined_at", "id");

-- CreateIndex
CREATE INDEX "participant_tenant_id_agent_id_idx" ON "context"."participant"("tenant_id", "agent_id");

-- CreateIndex
CREATE INDEX "session_tenant_id_context_id_started_at_id_idx" ON "context"."session"("tenant_id", "context_id", "started_at", "id");

-- CreateIndex
CREATE INDEX "metadata_value_idx" ON "context"."metadata" USING GIN ("value" jsonb_path_ops);

-- CreateIndex
CREATE INDEX "event_txid_position_idx" ON "context"."event"("txid", "position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "context"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "context"."idempotency"("created_at");

-- CreateIndex
CREATE INDEX "event_txid_position_idx" ON "dialog"."event"("txid", "position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "dialog"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "dialog"."idempotency"("created_at");

-- CreateIndex
CREATE INDEX "event_txid_position_idx" ON "platform"."event"("txid", "position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "platform"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "platform"."idempotency"("created_at");

-- CreateIndex
CREATE INDEX "import_tenant_id_bundle_id_idx" ON "platform"."import"("tenant_id", "bundle_id");

-- AddForeignKey
ALTER TABLE "context"."participant" ADD CONSTRAINT "participant_tenant_id_context_id_fkey" FOREIGN KEY ("tenant_id", "context_id") REFERENCES "context"."context"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "context"."session" ADD CONSTRAINT "session_tenant_id_context_id_fkey" FOREIGN KEY ("tenant_id", "context_id") REFERENCES "context"."context"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "context"."metadata" ADD CONSTRAINT "metadata_tenant_id_context_id_fkey" FOREIGN KEY ("tenant_id", "context_id") REFERENCES "context"."context"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "context"."metadata_version" ADD CONSTRAINT "metadata_version_tenant_id_context_id_key_fkey" FOREIGN KEY ("tenant_id", "context_id", "key") REFERENCES "context"."metadata"("tenant_id", "context_id", "key") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "context"."context_version" ADD CONSTRAINT "context_version_tenant_id_context_id_fkey" FOREIGN KEY ("tenant_id", "context_id") REFERENCES "context"."context"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "context"."shared_key" ADD CONSTRAINT "shared_key_tenant_id_context_id_fkey" FOREIGN KEY ("tenant_id", "context_id") REFERENCES "context"."context"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- An agent takes part in a context once at a time.
CREATE UNIQUE INDEX "participant_present_key" ON "context"."participant"("tenant_id", "context_id", "agent_id") WHERE "status" <> 'LEFT';

-- The words of the frozen protocol, also for whoever writes past the service.
ALTER TABLE "context"."context" ADD CONSTRAINT "context_status_check" CHECK ("status" IN ('draft', 'active', 'suspended', 'closed', 'archived'));
ALTER TABLE "context"."context" ADD CONSTRAINT "context_title_check" CHECK ("title" <> '');
