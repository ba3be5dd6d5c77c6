-- AlterTable
ALTER TABLE "core"."manifest" ADD COLUMN     "approval" JSONB,
ADD COLUMN     "pending" JSONB,
ADD COLUMN     "refusal" TEXT;
