-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "collab";

-- CreateTable
CREATE TABLE "collab"."collaboration" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "plan_id" UUID,
    "dialog_id" UUID,
    "confirm_id" UUID,
    "title" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "mode" TEXT NOT NULL,
    "type" TEXT,
    "status" TEXT NOT NULL,
    "status_reason" TEXT,
    "suspended_by" TEXT,
    "is_failed" BOOLEAN NOT NULL DEFAULT false,
    "coordination" JSONB NOT NULL,
    "decision_config" JSONB NOT NULL,
    "objectives" JSONB NOT NULL,
    "performance_targets" JSONB NOT NULL,
    "turn_taking" JSONB NOT NULL,
    "turn_state" JSONB NOT NULL,
    "max_participants" INTEGER NOT NULL,
    "participant_count" INTEGER NOT NULL,
    "deadlines" JSONB NOT NULL,
    "stats" JSONB NOT NULL,
    "experience" JSONB NOT NULL,
    "governance" JSONB,
    "protocol" JSONB,
    "next_deadline_at" TIMESTAMPTZ(3),
    "started_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "collaboration_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."participant" (
    "tenant_id" TEXT NOT NULL,
    "collab_id" UUID NOT NULL,
    "participant_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "role_id" TEXT,
    "display_name" TEXT,
    "agent_id" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "capabilities" JSONB NOT NULL,
    "permissions" JSONB NOT NULL,
    "priority" INTEGER NOT NULL,
    "weight" DOUBLE PRECISION NOT NULL,
    "workload" DOUBLE PRECISION NOT NULL,
    "authority" JSONB NOT NULL,
    "position" INTEGER NOT NULL,
    "replaced_by" TEXT,
    "joined_at" TIMESTAMPTZ(3),
    "left_at" TIMESTAMPTZ(3),

    CONSTRAINT "participant_pkey" PRIMARY KEY ("tenant_id","collab_id","participant_id")
);

-- CreateTable
CREATE TABLE "collab"."task" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "type" TEXT,
    "priority" TEXT NOT NULL,
    "effort_hours" DOUBLE PRECISION NOT NULL,
    "required_skills" JSONB NOT NULL,
    "skill_weights" JSONB NOT NULL,
    "depends_on" JSONB NOT NULL,
    "deliverables" JSONB NOT NULL,
    "risks" JSONB NOT NULL,
    "assigned_to" TEXT,
    "status" TEXT NOT NULL,
    "progress" DOUBLE PRECISION NOT NULL,
    "note" TEXT,
    "position" INTEGER NOT NULL,
    "deadline" TIMESTAMPTZ(3),
    "planned_start" TIMESTAMPTZ(3),
    "planned_finish" TIMESTAMPTZ(3),
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "task_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."decision" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT,
    "type" TEXT NOT NULL,
    "proposed_by" TEXT NOT NULL,
    "options" JSONB NOT NULL,
    "criteria" JSONB NOT NULL,
    "rules" JSONB NOT NULL,
    "electorate" JSONB NOT NULL,
    "status" TEXT NOT NULL,
    "outcome" TEXT,
    "winner" TEXT,
    "result" JSONB,
    "impact" DOUBLE PRECISION NOT NULL,
    "gate" TEXT,
    "confirm_id" UUID,
    "urgency" TEXT,
    "reversibility" TEXT,
    "implementation" JSONB,
    "note" TEXT,
    "ballot_count" INTEGER NOT NULL,
    "opened_at" TIMESTAMPTZ(3),
    "deadline" TIMESTAMPTZ(3),
    "decided_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "decision_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."ballot" (
    "tenant_id" TEXT NOT NULL,
    "decision_id" UUID NOT NULL,
    "voter" TEXT NOT NULL,
    "collab_id" UUID NOT NULL,
    "vote" JSONB,
    "delegate_to" TEXT,
    "rationale" TEXT,
    "revision" INTEGER NOT NULL,
    "cast_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "ballot_pkey" PRIMARY KEY ("tenant_id","decision_id","voter")
);

-- CreateTable
CREATE TABLE "collab"."turn" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "participant_id" TEXT NOT NULL,
    "role_id" TEXT NOT NULL,
    "token_id" UUID NOT NULL,
    "task_id" UUID,
    "instruction" JSONB,
    "status" TEXT NOT NULL,
    "result" JSONB,
    "error" TEXT,
    "dispatched_by" TEXT NOT NULL,
    "dispatched_at" TIMESTAMPTZ(3) NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "completed_at" TIMESTAMPTZ(3),

    CONSTRAINT "turn_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."broadcast" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "sender_id" TEXT NOT NULL,
    "message" JSONB NOT NULL,
    "status" TEXT NOT NULL,
    "recipients" JSONB NOT NULL,
    "receipts" JSONB NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "broadcast_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."conflict" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "level" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "participants" JSONB NOT NULL,
    "claims" JSONB NOT NULL,
    "resolution" JSONB,
    "agreements" JSONB NOT NULL,
    "raised_by" TEXT NOT NULL,
    "level_due_at" TIMESTAMPTZ(3),
    "resolved_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "conflict_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."resource" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "unit" TEXT,
    "capacity" DOUBLE PRECISION NOT NULL,
    "allocations" JSONB NOT NULL,
    "version" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "resource_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."recommendation" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "action" JSONB NOT NULL,
    "wording" TEXT NOT NULL,
    "before" JSONB NOT NULL,
    "after" JSONB NOT NULL,
    "gain" DOUBLE PRECISION NOT NULL,
    "score" DOUBLE PRECISION NOT NULL,
    "confidence" DOUBLE PRECISION NOT NULL,
    "evidence" JSONB NOT NULL,
    "status" TEXT NOT NULL,
    "note" TEXT,
    "decided_by" TEXT,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "recommendation_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "collab"."event" (
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
CREATE TABLE "collab"."event_default" PARTITION OF "collab"."event" DEFAULT;

-- CreateTable
CREATE TABLE "collab"."stream_head" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "last_sequence" BIGINT NOT NULL,

    CONSTRAINT "stream_head_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateTable
CREATE TABLE "collab"."audit" (
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
CREATE TABLE "collab"."audit_default" PARTITION OF "collab"."audit" DEFAULT;

-- CreateTable
CREATE TABLE "collab"."idempotency" (
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
CREATE TABLE "collab"."consumer_offset" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "consumer_offset_pkey" PRIMARY KEY ("consumer")
);

-- CreateTable
CREATE TABLE "collab"."replica" (
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
CREATE INDEX "collaboration_tenant_id_created_at_id_idx" ON "collab"."collaboration"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "collaboration_tenant_id_context_id_created_at_id_idx" ON "collab"."collaboration"("tenant_id", "context_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "collaboration_tenant_id_plan_id_created_at_id_idx" ON "collab"."collaboration"("tenant_id", "plan_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "collaboration_tenant_id_dialog_id_created_at_id_idx" ON "collab"."collaboration"("tenant_id", "dialog_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "collaboration_tenant_id_type_status_idx" ON "collab"."collaboration"("tenant_id", "type", "status");

-- CreateIndex
CREATE INDEX "collaboration_tenant_id_created_by_idx" ON "collab"."collaboration"("tenant_id", "created_by");

-- CreateIndex
CREATE INDEX "collaboration_next_deadline_at_idx" ON "collab"."collaboration"("next_deadline_at");

-- CreateIndex
CREATE INDEX "participant_tenant_id_agent_id_idx" ON "collab"."participant"("tenant_id", "agent_id");

-- CreateIndex
CREATE INDEX "participant_tenant_id_role_id_idx" ON "collab"."participant"("tenant_id", "role_id");

-- CreateIndex
CREATE INDEX "task_tenant_id_collab_id_position_id_idx" ON "collab"."task"("tenant_id", "collab_id", "position", "id");

-- CreateIndex
CREATE INDEX "decision_tenant_id_collab_id_created_at_id_idx" ON "collab"."decision"("tenant_id", "collab_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "ballot_tenant_id_collab_id_idx" ON "collab"."ballot"("tenant_id", "collab_id");

-- CreateIndex
CREATE UNIQUE INDEX "turn_tenant_id_collab_id_number_key" ON "collab"."turn"("tenant_id", "collab_id", "number");

-- CreateIndex
CREATE INDEX "broadcast_tenant_id_collab_id_created_at_id_idx" ON "collab"."broadcast"("tenant_id", "collab_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "conflict_tenant_id_collab_id_created_at_id_idx" ON "collab"."conflict"("tenant_id", "collab_id", "created_at" DESC, "id");

-- CreateIndex
CREATE UNIQUE INDEX "resource_tenant_id_collab_id_name_key" ON "collab"."resource"("tenant_id", "collab_id", "name");

-- CreateIndex
CREATE INDEX "recommendation_tenant_id_collab_id_created_at_id_idx" ON "collab"."recommendation"("tenant_id", "collab_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "event_position_idx" ON "collab"."event"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_resource_id_created_at_idx" ON "collab"."audit"("tenant_id", "resource_id", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "collab"."idempotency"("created_at");

ALTER TABLE "collab"."collaboration"
  ADD CONSTRAINT "collaboration_status_check" CHECK ("status" IN ('draft', 'active', 'suspended', 'completed', 'cancelled')),
  ADD CONSTRAINT "collaboration_mode_check" CHECK ("mode" IN ('broadcast', 'round_robin', 'orchestrated', 'swarm', 'pair'));
ALTER TABLE "collab"."participant"
  ADD CONSTRAINT "participant_kind_check" CHECK ("kind" IN ('agent', 'human', 'system', 'external')),
  ADD CONSTRAINT "participant_status_check" CHECK ("status" IN ('active', 'inactive', 'pending', 'completed', 'failed', 'cancelled'));
ALTER TABLE "collab"."task"
  ADD CONSTRAINT "task_status_check" CHECK ("status" IN ('pending', 'assigned', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled'));
ALTER TABLE "collab"."decision"
  ADD CONSTRAINT "decision_status_check" CHECK ("status" IN ('proposed', 'under_review', 'voting', 'decided', 'implemented', 'reviewed', 'withdrawn'));
ALTER TABLE "collab"."ballot" ADD CONSTRAINT "ballot_content_check" CHECK (("vote" IS NULL) <> ("delegate_to" IS NULL));

-- An agent takes part in a collaboration once, and has one turn under way.
CREATE UNIQUE INDEX "participant_agent_key" ON "collab"."participant"("tenant_id", "collab_id", "agent_id") WHERE "status" = 'active';
CREATE UNIQUE INDEX "turn_dispatched_key" ON "collab"."turn"("tenant_id", "collab_id", "participant_id") WHERE "status" = 'dispatched';
-- What falls due in sessions that run.
CREATE INDEX "collaboration_due_idx" ON "collab"."collaboration"("next_deadline_at") WHERE "status" = 'active';

ALTER TABLE "collab"."collaboration" SET (fillfactor = 70);
ALTER TABLE "collab"."decision" SET (fillfactor = 70);
ALTER TABLE "collab"."turn" SET (fillfactor = 70);
