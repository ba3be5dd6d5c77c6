-- AlterTable
ALTER TABLE "plan"."plan" ADD COLUMN     "archived_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "plan"."step_execution" ADD COLUMN     "waived" UUID[] DEFAULT ARRAY[]::UUID[];
