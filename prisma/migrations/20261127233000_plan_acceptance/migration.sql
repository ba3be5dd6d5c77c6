-- AlterTable
ALTER TABLE "plan"."step" ADD COLUMN     "criteria" JSONB NOT NULL DEFAULT '[]';

-- AlterTable
ALTER TABLE "plan"."step_execution" ADD COLUMN     "criteria" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "open_reviews" INTEGER NOT NULL DEFAULT 0;
