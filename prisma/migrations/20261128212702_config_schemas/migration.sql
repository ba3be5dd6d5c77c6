-- AlterTable
ALTER TABLE "platform"."config_entry" ADD COLUMN     "schema_ref" TEXT;

-- AlterTable
ALTER TABLE "platform"."config_version" ADD COLUMN     "schema_ref" TEXT;

-- AlterTable
ALTER TABLE "platform"."schema_document" ADD COLUMN     "status" TEXT NOT NULL DEFAULT 'active';
