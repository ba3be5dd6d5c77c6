-- AlterTable
ALTER TABLE "plan"."method" ADD COLUMN     "bindings" JSONB NOT NULL DEFAULT '[]';

-- AlterTable
ALTER TABLE "plan"."step_execution" ADD COLUMN     "state" JSONB;
