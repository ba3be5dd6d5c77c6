-- AlterTable
ALTER TABLE "plan"."step" ADD COLUMN     "parent_id" UUID;

-- AlterTable
ALTER TABLE "plan"."step_execution" ADD COLUMN     "ancestors" UUID[],
ADD COLUMN     "composite" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "parent_id" UUID;

-- What is stored already lies in no composite step.
UPDATE "plan"."step_execution" SET "ancestors" = '{}' WHERE "ancestors" IS NULL;

-- The parts of a composite step within a run.
CREATE INDEX "step_execution_parent_idx" ON "plan"."step_execution"("tenant_id", "execution_id", "parent_id") WHERE "parent_id" IS NOT NULL;
