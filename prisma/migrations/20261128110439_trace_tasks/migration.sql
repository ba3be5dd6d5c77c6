-- AlterTable
ALTER TABLE "trace"."metric" ADD COLUMN     "window_ms" DOUBLE PRECISION;

-- AlterTable
ALTER TABLE "trace"."trace" ADD COLUMN     "task_id" UUID;

-- Of the traces that are about a step alone.
CREATE INDEX "trace_task_idx" ON "trace"."trace"("tenant_id", "task_id", "created_at" DESC) WHERE "task_id" IS NOT NULL;
