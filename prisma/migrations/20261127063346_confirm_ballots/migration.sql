-- AlterTable
ALTER TABLE "confirm"."approver" ADD COLUMN     "ballot" JSONB;

-- AlterTable
ALTER TABLE "confirm"."confirm" ADD COLUMN     "result" JSONB;

-- AlterTable
ALTER TABLE "confirm"."decision" ADD COLUMN     "ballot" JSONB;
