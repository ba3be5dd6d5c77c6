-- AlterTable
ALTER TABLE "extension"."execution" ADD COLUMN     "host_operations" JSONB;
