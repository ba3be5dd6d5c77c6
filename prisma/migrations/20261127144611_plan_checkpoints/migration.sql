-- AlterTable
ALTER TABLE "plan"."execution" ADD COLUMN     "checkpoint_at" TIMESTAMPTZ(3),
ADD COLUMN     "checkpoints" INTEGER NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "plan"."step_execution" ADD COLUMN     "escalate_at" TIMESTAMPTZ(3),
ADD COLUMN     "escalations" INTEGER NOT NULL DEFAULT 0;

-- The sweep looks for blocked steps whose next level of escalation is due.
CREATE INDEX "step_execution_escalate_idx" ON "plan"."step_execution"("escalate_at") WHERE "status" = 'blocked' AND "escalate_at" IS NOT NULL;
