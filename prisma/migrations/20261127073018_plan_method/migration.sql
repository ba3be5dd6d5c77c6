-- CreateTable
CREATE TABLE "plan"."method" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "task" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "rank" INTEGER NOT NULL,
    "parameters" TEXT[],
    "precondition" TEXT,
    "subtask_order" TEXT NOT NULL,
    "subtasks" JSONB,
    "step" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,

    CONSTRAINT "method_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE INDEX "method_tenant_id_task_rank_ordinal_idx" ON "plan"."method"("tenant_id", "task", "rank", "ordinal");

-- CreateIndex
CREATE UNIQUE INDEX "method_name_key" ON "plan"."method"("tenant_id", "task", "name");
