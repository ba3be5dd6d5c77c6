-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "network";

-- CreateTable
CREATE TABLE "network"."event" (
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
CREATE TABLE "network"."event_default" PARTITION OF "network"."event" DEFAULT;

-- CreateTable
CREATE TABLE "network"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "network"."audit" (
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
CREATE TABLE "network"."audit_default" PARTITION OF "network"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "network"."idempotency" (
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
CREATE TABLE "network"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "network"."replica" (
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
CREATE TABLE "network"."network" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "topology_type" TEXT NOT NULL,
    "layout" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "status_reason" TEXT,
    "config" JSONB NOT NULL,
    "stats" JSONB NOT NULL,
    "protocol" JSONB,
    "structure" INTEGER NOT NULL DEFAULT 1,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "network_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "network"."node" (
    "tenant_id" TEXT NOT NULL,
    "network_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "place" INTEGER NOT NULL,
    "name" TEXT,
    "kind" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "role_id" TEXT,
    "function" TEXT,
    "agent_id" TEXT,
    "capabilities" TEXT[],
    "address" JSONB,
    "location" JSONB,
    "resources" JSONB,
    "failover" JSONB,
    "required" BOOLEAN NOT NULL,
    "open_connections" INTEGER NOT NULL DEFAULT 0,
    "protocol" JSONB,

    CONSTRAINT "node_pkey" PRIMARY KEY ("tenant_id","network_id","id")
);

-- CreateTable
CREATE TABLE "network"."heartbeat" (
    "tenant_id" TEXT NOT NULL,
    "network_id" UUID NOT NULL,
    "node_id" UUID NOT NULL,
    "last_at" TIMESTAMPTZ(3) NOT NULL,
    "intervals_ms" DOUBLE PRECISION[],
    "load" DOUBLE PRECISION,

    CONSTRAINT "heartbeat_pkey" PRIMARY KEY ("tenant_id","network_id","node_id")
);

-- CreateTable
CREATE TABLE "network"."link" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "place" INTEGER NOT NULL,
    "source_id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "direction" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "weight" DOUBLE PRECISION NOT NULL,
    "latency_ms" DOUBLE PRECISION NOT NULL,
    "jitter_ms" DOUBLE PRECISION NOT NULL,
    "loss_rate" DOUBLE PRECISION NOT NULL,
    "reliability" DOUBLE PRECISION NOT NULL,
    "cost_per_gb" DOUBLE PRECISION NOT NULL,
    "capacity_kbps" BIGINT NOT NULL,
    "reserved_real_time" BIGINT NOT NULL DEFAULT 0,
    "reserved_interactive" BIGINT NOT NULL DEFAULT 0,
    "reserved_bulk" BIGINT NOT NULL DEFAULT 0,
    "reserved_management" BIGINT NOT NULL DEFAULT 0,
    "measured" JSONB,

    CONSTRAINT "link_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "network"."connection" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "status_reason" TEXT,
    "source_id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "endpoints" JSONB NOT NULL,
    "requirements" JSONB NOT NULL,
    "traffic_class" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "bandwidth_kbps" BIGINT NOT NULL,
    "link_ids" UUID[],
    "node_ids" UUID[],
    "backup_link_ids" UUID[],
    "backup_node_ids" UUID[],
    "backup_reserved" BOOLEAN NOT NULL,
    "predicted" JSONB NOT NULL,
    "opened_by" TEXT NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "connection_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "network"."service" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "service_version" TEXT NOT NULL,
    "provider_node_id" UUID NOT NULL,
    "endpoints" JSONB NOT NULL,
    "capabilities" TEXT[],
    "weight" DOUBLE PRECISION NOT NULL,
    "ttl_ms" INTEGER NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "registered_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "service_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "network"."message" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "sender_id" UUID NOT NULL,
    "strategy" TEXT NOT NULL,
    "recipients" UUID[],
    "acknowledged" UUID[],
    "priority" TEXT NOT NULL,
    "reliability" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "sent_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "message_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "network"."run" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "structure" INTEGER NOT NULL,
    "inputs_hash" TEXT NOT NULL,
    "seed" INTEGER NOT NULL,
    "result" JSONB NOT NULL,
    "applied_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "run_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "network"."sample" (
    "tenant_id" TEXT NOT NULL,
    "network_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "max_utilization" DOUBLE PRECISION NOT NULL,
    "mean_utilization" DOUBLE PRECISION NOT NULL,
    "latency_ms" DOUBLE PRECISION,
    "loss_rate" DOUBLE PRECISION,
    "connections" INTEGER NOT NULL,
    "unreachable_nodes" INTEGER NOT NULL,

    CONSTRAINT "sample_pkey" PRIMARY KEY ("tenant_id","network_id","created_at")
) PARTITION BY RANGE ("created_at");

-- Takes what no partition covers.
CREATE TABLE "network"."sample_default" PARTITION OF "network"."sample" DEFAULT;

-- CreateIndex
CREATE INDEX "event_position_idx" ON "network"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "network"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "network"."idempotency"("created_at");

-- CreateIndex
CREATE INDEX "network_tenant_id_created_at_id_idx" ON "network"."network"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "network_tenant_id_context_id_created_at_id_idx" ON "network"."network"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "network_tenant_id_status_created_at_id_idx" ON "network"."network"("tenant_id", "status", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "node_tenant_id_network_id_place_idx" ON "network"."node"("tenant_id", "network_id", "place");

-- CreateIndex
CREATE INDEX "node_tenant_id_role_id_idx" ON "network"."node"("tenant_id", "role_id");

-- CreateIndex
CREATE INDEX "heartbeat_last_at_idx" ON "network"."heartbeat"("last_at");

-- CreateIndex
CREATE INDEX "link_tenant_id_network_id_place_idx" ON "network"."link"("tenant_id", "network_id", "place");

-- CreateIndex
CREATE INDEX "connection_tenant_id_network_id_created_at_id_idx" ON "network"."connection"("tenant_id", "network_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "service_tenant_id_network_id_name_idx" ON "network"."service"("tenant_id", "network_id", "name");

-- CreateIndex
CREATE INDEX "service_expires_at_idx" ON "network"."service"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "service_tenant_id_network_id_provider_node_id_name_service__key" ON "network"."service"("tenant_id", "network_id", "provider_node_id", "name", "service_version");

-- CreateIndex
CREATE INDEX "message_tenant_id_network_id_sent_at_idx" ON "network"."message"("tenant_id", "network_id", "sent_at" DESC);

-- CreateIndex
CREATE INDEX "run_tenant_id_network_id_created_at_idx" ON "network"."run"("tenant_id", "network_id", "created_at" DESC);

-- Connections over a link or a node that fails.
CREATE INDEX "connection_open_links" ON "network"."connection" USING GIN ("link_ids") WHERE "closed_at" IS NULL;
CREATE INDEX "connection_open_backup_links" ON "network"."connection" USING GIN ("backup_link_ids") WHERE "closed_at" IS NULL;
CREATE INDEX "connection_open_network" ON "network"."connection" ("tenant_id", "network_id") WHERE "closed_at" IS NULL;

-- Messages that somebody still has to acknowledge.
CREATE INDEX "message_open" ON "network"."message" ("expires_at") WHERE "status" = 'sent';

-- Whatever writes them: a link never holds more than it has, and nothing is released twice.
ALTER TABLE "network"."link" ADD CONSTRAINT "link_reserved_within_capacity" CHECK (
  "reserved_real_time" >= 0 AND "reserved_interactive" >= 0 AND "reserved_bulk" >= 0 AND "reserved_management" >= 0 AND
  "reserved_real_time" + "reserved_interactive" + "reserved_bulk" + "reserved_management" <= "capacity_kbps"
);
ALTER TABLE "network"."node" ADD CONSTRAINT "node_open_connections" CHECK ("open_connections" >= 0);

-- Who takes part in private contexts, and whether a tenant has any.
CREATE INDEX "replica_participant_idx" ON "network"."replica"("tenant_id", ("detail"->>'agentId'), ("detail"->>'contextId')) WHERE "type" = 'ContextParticipant';
CREATE INDEX "replica_private_idx" ON "network"."replica"("tenant_id") WHERE "type" = 'Context' AND "detail"->>'visibility' = 'PRIVATE';
