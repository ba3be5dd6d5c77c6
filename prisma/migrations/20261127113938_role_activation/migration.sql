-- AlterTable
ALTER TABLE "role"."assignment" ADD COLUMN     "active_in" TEXT[] DEFAULT ARRAY[]::TEXT[];
