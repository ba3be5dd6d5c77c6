-- CreateTable
CREATE TABLE "dialog"."dialog" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "thread_id" UUID,
    "status" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "category" TEXT,
    "description" TEXT,
    "tags" TEXT[],
    "configuration" JSONB NOT NULL,
    "workflow" JSONB NOT NULL,
    "flow" JSONB,
    "flow_state" TEXT,
    "turn_order" UUID[],
    "governance" JSONB,
    "protocol" JSONB,
    "conversation_summary" TEXT,
    "key_topics" TEXT[],
    "participant_count" INTEGER NOT NULL DEFAULT 0,
    "paused_by" TEXT,
    "status_reason" TEXT,
    "retention_days" INTEGER NOT NULL,
    "kept_from" BIGINT NOT NULL DEFAULT 1,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "started_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "archived_at" TIMESTAMPTZ(3),
    "next_check_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "dialog_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "dialog"."dialog_state" (
    "tenant_id" TEXT NOT NULL,
    "dialog_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL DEFAULT 0,
    "message_count" INTEGER NOT NULL DEFAULT 0,
    "active_count" INTEGER NOT NULL DEFAULT 0,
    "last_message_at" TIMESTAMPTZ(3),
    "last_sender_type" TEXT,
    "last_activity_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "window_started_at" TIMESTAMPTZ(3),
    "window_count" INTEGER NOT NULL DEFAULT 0,
    "current_turn" UUID,
    "turn_started_at" TIMESTAMPTZ(3),
    "analysis_queued_at" TIMESTAMPTZ(3),
    "analyzed_upto" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "dialog_state_pkey" PRIMARY KEY ("tenant_id","dialog_id")
);

-- CreateTable
CREATE TABLE "dialog"."participant" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "dialog_id" UUID NOT NULL,
    "subject" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "display_name" TEXT,
    "role" TEXT NOT NULL,
    "permissions" TEXT[],
    "status" TEXT NOT NULL,
    "capabilities" TEXT[],
    "notifications" JSONB NOT NULL DEFAULT '{}',
    "availability" JSONB,
    "timezone" TEXT,
    "spans" JSONB NOT NULL DEFAULT '[]',
    "invited_by" TEXT,
    "status_reason" TEXT,
    "invited_at" TIMESTAMPTZ(3),
    "joined_at" TIMESTAMPTZ(3),
    "left_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "participant_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "dialog"."participant_cursor" (
    "tenant_id" TEXT NOT NULL,
    "dialog_id" UUID NOT NULL,
    "participant_id" UUID NOT NULL,
    "delivered_upto" BIGINT NOT NULL DEFAULT 0,
    "delivered_at" TIMESTAMPTZ(3),
    "read_upto" BIGINT NOT NULL DEFAULT 0,
    "read_at" TIMESTAMPTZ(3),

    CONSTRAINT "participant_cursor_pkey" PRIMARY KEY ("tenant_id","dialog_id","participant_id")
);

-- CreateTable
CREATE TABLE "dialog"."message" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "dialog_id" UUID NOT NULL,
    "thread_id" UUID,
    "sequence" BIGINT NOT NULL,
    "sender_id" UUID,
    "sender_subject" TEXT,
    "sender_type" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "text" TEXT,
    "structured_data" JSONB,
    "mentions" UUID[],
    "hashtags" TEXT[],
    "language" TEXT,
    "reply_to" UUID,
    "topic" TEXT,
    "priority" TEXT NOT NULL,
    "requires_response" BOOLEAN NOT NULL,
    "response_deadline" TIMESTAMPTZ(3),
    "recipients" UUID[],
    "recipient_count" INTEGER NOT NULL,
    "attachments" JSONB NOT NULL,
    "reactions" JSONB NOT NULL,
    "ai_processing" JSONB,
    "client_message_id" TEXT,
    "protocol" JSONB,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "edited_at" TIMESTAMPTZ(3),
    "deleted_at" TIMESTAMPTZ(3),
    "deleted_by" TEXT,
    "search" tsvector NOT NULL,

    CONSTRAINT "message_pkey" PRIMARY KEY ("tenant_id","id","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers: imported messages of long ago, and what a late job would refuse.
CREATE TABLE "dialog"."message_default" PARTITION OF "dialog"."message" DEFAULT;

-- CreateTable
CREATE TABLE "dialog"."message_key" (
    "tenant_id" TEXT NOT NULL,
    "dialog_id" UUID NOT NULL,
    "sender_subject" TEXT NOT NULL,
    "client_message_id" TEXT NOT NULL,
    "message_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "content_hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "message_key_pkey" PRIMARY KEY ("tenant_id","dialog_id","sender_subject","client_message_id")
);

-- CreateTable
CREATE TABLE "dialog"."delivery" (
    "tenant_id" TEXT NOT NULL,
    "dialog_id" UUID NOT NULL,
    "message_id" UUID NOT NULL,
    "participant_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "status" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "delivery_pkey" PRIMARY KEY ("tenant_id","dialog_id","message_id","participant_id")
);

-- CreateTable
CREATE TABLE "dialog"."message_analysis" (
    "tenant_id" TEXT NOT NULL,
    "message_id" UUID NOT NULL,
    "dialog_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "provider" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "result" JSONB NOT NULL,
    "action_items" INTEGER NOT NULL DEFAULT 0,
    "decisions" INTEGER NOT NULL DEFAULT 0,
    "analyzed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "message_analysis_pkey" PRIMARY KEY ("tenant_id","message_id")
);

-- CreateTable
CREATE TABLE "dialog"."summary" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "dialog_id" UUID NOT NULL,
    "thread_id" UUID,
    "status" TEXT NOT NULL,
    "from_sequence" BIGINT NOT NULL,
    "to_sequence" BIGINT NOT NULL,
    "provider" TEXT,
    "version" TEXT,
    "result" JSONB,
    "error" TEXT,
    "requested_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requested_by" TEXT NOT NULL,
    "completed_at" TIMESTAMPTZ(3),

    CONSTRAINT "summary_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "dialog"."memory" (
    "tenant_id" TEXT NOT NULL,
    "dialog_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "value" JSONB NOT NULL,
    "importance" DOUBLE PRECISION NOT NULL DEFAULT 0.5,
    "ttl_seconds" INTEGER,
    "expires_at" TIMESTAMPTZ(3),
    "last_accessed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "memory_pkey" PRIMARY KEY ("tenant_id","dialog_id","kind","key")
);

-- CreateIndex
CREATE INDEX "dialog_tenant_id_created_at_id_idx" ON "dialog"."dialog"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "dialog_tenant_id_context_id_created_at_id_idx" ON "dialog"."dialog"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "dialog_tenant_id_type_status_idx" ON "dialog"."dialog"("tenant_id", "type", "status");

-- CreateIndex
CREATE INDEX "dialog_tenant_id_created_by_idx" ON "dialog"."dialog"("tenant_id", "created_by");

-- CreateIndex
CREATE INDEX "dialog_next_check_at_idx" ON "dialog"."dialog"("next_check_at");

-- CreateIndex
CREATE INDEX "participant_tenant_id_dialog_id_ordinal_idx" ON "dialog"."participant"("tenant_id", "dialog_id", "ordinal");

-- CreateIndex
CREATE INDEX "participant_tenant_id_subject_status_idx" ON "dialog"."participant"("tenant_id", "subject", "status");

-- CreateIndex
CREATE UNIQUE INDEX "participant_tenant_id_dialog_id_subject_key" ON "dialog"."participant"("tenant_id", "dialog_id", "subject");

-- CreateIndex
CREATE INDEX "message_tenant_id_dialog_id_sequence_idx" ON "dialog"."message"("tenant_id", "dialog_id", "sequence");

-- CreateIndex
CREATE INDEX "message_search_idx" ON "dialog"."message" USING GIN ("search");

-- CreateIndex
CREATE INDEX "delivery_next_attempt_at_idx" ON "dialog"."delivery"("next_attempt_at");

-- CreateIndex
CREATE INDEX "message_analysis_tenant_id_dialog_id_sequence_idx" ON "dialog"."message_analysis"("tenant_id", "dialog_id", "sequence");

-- CreateIndex
CREATE INDEX "summary_tenant_id_dialog_id_requested_at_idx" ON "dialog"."summary"("tenant_id", "dialog_id", "requested_at");

-- CreateIndex
CREATE INDEX "memory_expires_at_idx" ON "dialog"."memory"("expires_at");

-- Rows that every message or receipt rewrites: room on the page keeps their updates off the index.
ALTER TABLE "dialog"."dialog_state" SET (fillfactor = 50);
ALTER TABLE "dialog"."participant_cursor" SET (fillfactor = 50);

-- Threads of a dialog, and what was deleted while its events are still kept.
CREATE INDEX "message_thread_idx" ON "dialog"."message"("tenant_id", "dialog_id", "thread_id", "sequence") WHERE "thread_id" IS NOT NULL;
CREATE INDEX "message_tombstone_idx" ON "dialog"."message"("tenant_id", "dialog_id", "deleted_at") WHERE "deleted_at" IS NOT NULL;
CREATE INDEX "delivery_waiting_idx" ON "dialog"."delivery"("tenant_id", "dialog_id", "participant_id", "sequence") WHERE "status" <> 'READ';
CREATE INDEX "message_ai_idx" ON "dialog"."message"("tenant_id", "dialog_id", "sequence") WHERE "ai_processing" IS NOT NULL;
CREATE INDEX "message_analysis_action_items_idx" ON "dialog"."message_analysis"("tenant_id", "dialog_id", "sequence") WHERE "action_items" > 0;

-- The words of the frozen protocol, also for whoever writes past the service.
ALTER TABLE "dialog"."dialog" ADD CONSTRAINT "dialog_status_check" CHECK ("status" IN ('active', 'paused', 'completed', 'cancelled'));
ALTER TABLE "dialog"."message" ADD CONSTRAINT "message_role_check" CHECK ("role" IN ('user', 'assistant', 'system', 'agent'));
ALTER TABLE "dialog"."message" ADD CONSTRAINT "message_tombstone_check" CHECK ("deleted_at" IS NULL OR "text" IS NULL);
