-- CreateTable
CREATE TABLE "platform"."event_subscription" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "patterns" TEXT[],
    "target" TEXT NOT NULL,
    "url" TEXT,
    "secret" TEXT,
    "delivery_mode" TEXT NOT NULL,
    "partitions" INTEGER NOT NULL,
    "max_retry" INTEGER NOT NULL,
    "retry_delay_ms" INTEGER NOT NULL,
    "dead_letter" BOOLEAN NOT NULL,
    "batch_size" INTEGER NOT NULL,
    "ack_timeout_ms" INTEGER NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'active',
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_subscription_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."event_partition" (
    "tenant_id" TEXT NOT NULL,
    "subscription_id" UUID NOT NULL,
    "partition" INTEGER NOT NULL,
    "pending" INTEGER NOT NULL DEFAULT 0,
    "in_flight" INTEGER NOT NULL DEFAULT 0,
    "lease_token" UUID,
    "lease_until" TIMESTAMPTZ(3),
    "next_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_partition_pkey" PRIMARY KEY ("tenant_id","subscription_id","partition")
);

-- CreateTable
CREATE TABLE "platform"."delivery" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "subscription_id" UUID NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,
    "partition" INTEGER NOT NULL,
    "ordering_key" TEXT NOT NULL,
    "event_id" UUID NOT NULL,
    "replay_id" UUID NOT NULL,
    "event" JSONB NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "last_error" TEXT,
    "expires_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "sent_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "delivery_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."event_inbox" (
    "tenant_id" TEXT NOT NULL,
    "consumer" UUID NOT NULL,
    "event_id" UUID NOT NULL,
    "processed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_inbox_pkey" PRIMARY KEY ("tenant_id","consumer","event_id")
);

-- CreateTable
CREATE TABLE "platform"."config_entry" (
    "tenant_id" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "value" JSONB,
    "secret" BOOLEAN NOT NULL,
    "version" INTEGER NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "updated_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "config_entry_pkey" PRIMARY KEY ("tenant_id","scope","target","key")
);

-- CreateTable
CREATE TABLE "platform"."config_version" (
    "tenant_id" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "value" JSONB,
    "secret" BOOLEAN NOT NULL,
    "deleted" BOOLEAN NOT NULL,
    "updated_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "config_version_pkey" PRIMARY KEY ("tenant_id","scope","target","key","version")
);

-- CreateTable
CREATE TABLE "platform"."schema_document" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "document" JSONB NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "schema_document_pkey" PRIMARY KEY ("tenant_id","name","version")
);

-- CreateTable
CREATE TABLE "platform"."business_rule" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "rule_set" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "expression" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "business_rule_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "event_subscription_tenant_id_name_key" ON "platform"."event_subscription"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "delivery_tenant_id_subscription_id_ordinal_idx" ON "platform"."delivery"("tenant_id", "subscription_id", "ordinal");

-- CreateIndex
CREATE INDEX "delivery_tenant_id_event_id_idx" ON "platform"."delivery"("tenant_id", "event_id");

-- CreateIndex
CREATE INDEX "delivery_created_at_idx" ON "platform"."delivery"("created_at");

-- CreateIndex
CREATE UNIQUE INDEX "delivery_tenant_id_subscription_id_event_id_replay_id_key" ON "platform"."delivery"("tenant_id", "subscription_id", "event_id", "replay_id");

-- CreateIndex
CREATE INDEX "event_inbox_processed_at_idx" ON "platform"."event_inbox"("processed_at");

-- CreateIndex
CREATE UNIQUE INDEX "business_rule_tenant_id_rule_set_name_key" ON "platform"."business_rule"("tenant_id", "rule_set", "name");

-- What waits, by partition; what is over is most of the table and is not in it.
CREATE INDEX "delivery_waiting_idx" ON "platform"."delivery"("tenant_id", "subscription_id", "partition", "ordinal") WHERE "status" IN ('pending', 'sent');

-- Partitions with work.
CREATE INDEX "event_partition_waiting_idx" ON "platform"."event_partition"("next_at") WHERE "pending" > 0;
