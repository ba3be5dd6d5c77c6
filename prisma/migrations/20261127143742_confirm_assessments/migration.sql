-- AlterTable
ALTER TABLE "confirm"."approver" ADD COLUMN     "condition_id" UUID;

-- AlterTable
ALTER TABLE "confirm"."confirm" ADD COLUMN     "attachments" JSONB,
ADD COLUMN     "impact" JSONB;
