-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "confirm";

-- CreateTable
CREATE TABLE "confirm"."confirm" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID,
    "plan_id" UUID,
    "target_type" TEXT NOT NULL,
    "target_id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "phase" TEXT NOT NULL,
    "confirmation_type" TEXT,
    "title" TEXT NOT NULL,
    "description" TEXT,
    "priority" TEXT NOT NULL,
    "urgency" TEXT NOT NULL,
    "requested_by" TEXT,
    "requested_by_role" TEXT NOT NULL,
    "requested_at" TIMESTAMPTZ(3) NOT NULL,
    "reason" TEXT,
    "resolution" TEXT,
    "requester" JSONB,
    "subject" JSONB,
    "risk_assessment" JSONB,
    "notifications" JSONB,
    "reference" JSONB,
    "template_id" UUID,
    "template_version" INTEGER,
    "workflow" JSONB,
    "steps" JSONB NOT NULL,
    "decision_count" INTEGER NOT NULL DEFAULT 0,
    "chain_head" TEXT NOT NULL,
    "gate_key" TEXT,
    "request_event_id" UUID,
    "governance" JSONB,
    "protocol" JSONB,
    "next_deadline_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "claimed_until" TIMESTAMPTZ(3),
    "resolved_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "confirm_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "confirm"."approver" (
    "tenant_id" TEXT NOT NULL,
    "confirm_id" UUID NOT NULL,
    "step_id" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "role" TEXT,
    "weight" DOUBLE PRECISION NOT NULL,
    "required" BOOLEAN NOT NULL,
    "position" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "vote" TEXT,
    "delegated_from" TEXT,
    "depth" INTEGER NOT NULL DEFAULT 0,
    "level" INTEGER NOT NULL DEFAULT 0,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "waiting_since" TIMESTAMPTZ(3),
    "decided_at" TIMESTAMPTZ(3),

    CONSTRAINT "approver_pkey" PRIMARY KEY ("tenant_id","confirm_id","step_id","subject")
);

-- CreateTable
CREATE TABLE "confirm"."decision" (
    "tenant_id" TEXT NOT NULL,
    "confirm_id" UUID NOT NULL,
    "sequence" INTEGER NOT NULL,
    "id" UUID NOT NULL,
    "step_id" TEXT,
    "approver" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "vote" TEXT,
    "rationale" TEXT,
    "conditions" JSONB NOT NULL,
    "delegate_to" TEXT,
    "risk" JSONB,
    "signature" TEXT,
    "protocol" JSONB,
    "decided_at" TIMESTAMPTZ(3) NOT NULL,
    "previous_hash" TEXT NOT NULL,
    "hash" TEXT NOT NULL,

    CONSTRAINT "decision_pkey" PRIMARY KEY ("tenant_id","confirm_id","sequence")
);

-- CreateTable
CREATE TABLE "confirm"."template" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "active" BOOLEAN NOT NULL,
    "latest_version" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "template_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "confirm"."template_version" (
    "tenant_id" TEXT NOT NULL,
    "template_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "triggers" JSONB NOT NULL,
    "definition" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "template_version_pkey" PRIMARY KEY ("tenant_id","template_id","version")
);

-- CreateTable
CREATE TABLE "confirm"."event" (
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
CREATE TABLE "confirm"."event_default" PARTITION OF "confirm"."event" DEFAULT;

-- CreateTable
CREATE TABLE "confirm"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "confirm"."audit" (
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
CREATE TABLE "confirm"."audit_default" PARTITION OF "confirm"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "confirm"."idempotency" (
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
CREATE TABLE "confirm"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "confirm"."replica" (
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
CREATE INDEX "confirm_tenant_id_created_at_id_idx" ON "confirm"."confirm"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "confirm_tenant_id_context_id_created_at_id_idx" ON "confirm"."confirm"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "confirm_tenant_id_plan_id_created_at_id_idx" ON "confirm"."confirm"("tenant_id", "plan_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "confirm_tenant_id_target_id_status_idx" ON "confirm"."confirm"("tenant_id", "target_id", "status");

-- CreateIndex
CREATE INDEX "confirm_tenant_id_confirmation_type_status_idx" ON "confirm"."confirm"("tenant_id", "confirmation_type", "status");

-- CreateIndex
CREATE INDEX "confirm_tenant_id_requested_by_idx" ON "confirm"."confirm"("tenant_id", "requested_by");

-- CreateIndex
CREATE INDEX "confirm_next_deadline_at_idx" ON "confirm"."confirm"("next_deadline_at");

-- CreateIndex
CREATE INDEX "decision_tenant_id_approver_decided_at_idx" ON "confirm"."decision"("tenant_id", "approver", "decided_at" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "decision_tenant_id_id_key" ON "confirm"."decision"("tenant_id", "id");

-- CreateIndex
CREATE INDEX "template_tenant_id_created_at_id_idx" ON "confirm"."template"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "event_position_idx" ON "confirm"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "confirm"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "confirm"."idempotency"("created_at");

-- A target has one open confirm of a type, an event opens one, an approver decides a step once.
CREATE UNIQUE INDEX "confirm_open_key" ON "confirm"."confirm"("tenant_id", "gate_key") WHERE "status" = 'pending' AND "gate_key" IS NOT NULL;
CREATE UNIQUE INDEX "confirm_request_event_key" ON "confirm"."confirm"("tenant_id", "request_event_id") WHERE "request_event_id" IS NOT NULL;
CREATE UNIQUE INDEX "decision_vote_key" ON "confirm"."decision"("tenant_id", "confirm_id", "step_id", "approver") WHERE "vote" IS NOT NULL;

-- What waits for a subject, the most urgent first.
CREATE INDEX "approver_waiting_idx" ON "confirm"."approver"("tenant_id", "subject", "due_at", "confirm_id", "step_id") WHERE "state" = 'waiting';

CREATE UNIQUE INDEX "template_name_key" ON "confirm"."template"("tenant_id", "name");

ALTER TABLE "confirm"."confirm"
  ADD CONSTRAINT "confirm_status_check" CHECK ("status" IN ('pending', 'approved', 'rejected', 'cancelled')),
  ADD CONSTRAINT "confirm_target_type_check" CHECK ("target_type" IN ('context', 'plan', 'trace', 'extension', 'other'));
ALTER TABLE "confirm"."approver"
  ADD CONSTRAINT "approver_state_check" CHECK ("state" IN ('queued', 'waiting', 'decided', 'delegated', 'escalated', 'closed')),
  ADD CONSTRAINT "approver_vote_check" CHECK ("vote" IN ('approve', 'reject', 'abstain'));
ALTER TABLE "confirm"."decision" ADD CONSTRAINT "decision_vote_check" CHECK ("vote" IN ('approve', 'reject', 'abstain'));
ALTER TABLE "confirm"."confirm" SET (fillfactor = 70);
ALTER TABLE "confirm"."approver" SET (fillfactor = 70);
