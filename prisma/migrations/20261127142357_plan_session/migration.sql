-- CreateTable
CREATE TABLE "plan"."session" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "plan_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "outcome" TEXT,
    "status_reason" TEXT,
    "participants" JSONB NOT NULL,
    "threshold" INTEGER NOT NULL,
    "quorum" INTEGER NOT NULL,
    "deadline_at" TIMESTAMPTZ(3) NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "session_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "plan"."contribution" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "plan_id" UUID NOT NULL,
    "author" TEXT NOT NULL,
    "rationale" TEXT,
    "status" TEXT NOT NULL,
    "outcome" TEXT,
    "plan_version" INTEGER NOT NULL,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "change" JSONB,
    "undo_of" UUID,
    "electorate" JSONB NOT NULL,
    "before" JSONB NOT NULL,
    "after" JSONB NOT NULL,
    "trail" JSONB,
    "applied_version" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "decided_at" TIMESTAMPTZ(3),
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "contribution_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "plan"."contribution_vote" (
    "tenant_id" TEXT NOT NULL,
    "contribution_id" UUID NOT NULL,
    "revision" INTEGER NOT NULL,
    "subject" TEXT NOT NULL,
    "plan_id" UUID NOT NULL,
    "vote" TEXT NOT NULL,
    "weight" INTEGER NOT NULL,
    "comment" TEXT,
    "cast_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "contribution_vote_pkey" PRIMARY KEY ("tenant_id","contribution_id","revision","subject")
);

-- CreateIndex
CREATE INDEX "session_tenant_id_plan_id_created_at_id_idx" ON "plan"."session"("tenant_id", "plan_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "contribution_tenant_id_session_id_ordinal_idx" ON "plan"."contribution"("tenant_id", "session_id", "ordinal");

-- CreateIndex
CREATE INDEX "contribution_tenant_id_plan_id_idx" ON "plan"."contribution"("tenant_id", "plan_id");

-- CreateIndex
CREATE INDEX "contribution_vote_tenant_id_plan_id_idx" ON "plan"."contribution_vote"("tenant_id", "plan_id");

-- A plan has one open session at most.
CREATE UNIQUE INDEX "session_open_key" ON "plan"."session"("tenant_id", "plan_id") WHERE "status" = 'OPEN';

-- The sweep looks for sessions whose time is over.
CREATE INDEX "session_deadline_idx" ON "plan"."session"("deadline_at") WHERE "status" = 'OPEN';

ALTER TABLE "plan"."session" ADD CONSTRAINT "session_status_check" CHECK ("status" IN ('OPEN', 'CLOSED', 'TIMED_OUT'));
ALTER TABLE "plan"."contribution" ADD CONSTRAINT "contribution_status_check"
  CHECK ("status" IN ('OPEN', 'APPLIED', 'REJECTED', 'CONFLICTED', 'WITHDRAWN', 'UNDONE'));
ALTER TABLE "plan"."contribution_vote" ADD CONSTRAINT "contribution_vote_weight_check" CHECK ("weight" > 0);
