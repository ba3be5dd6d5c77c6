-- AlterTable
ALTER TABLE "role"."role" ADD COLUMN     "auto_assign" BOOLEAN NOT NULL DEFAULT false;
