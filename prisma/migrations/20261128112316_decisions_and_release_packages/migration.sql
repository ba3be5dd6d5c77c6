-- AlterTable
ALTER TABLE "core"."decision" ADD COLUMN     "context_id" UUID,
ADD COLUMN     "execution_id" UUID;

-- AlterTable
ALTER TABLE "extension"."release" ADD COLUMN     "package" JSONB;
