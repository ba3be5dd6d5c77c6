-- AlterTable
ALTER TABLE "extension"."extension" ADD COLUMN     "integration_targets" JSONB;

-- AlterTable
ALTER TABLE "extension"."publisher_key" ADD COLUMN     "email" TEXT,
ADD COLUMN     "website" TEXT;
