-- AlterTable
ALTER TABLE "trace"."trace" ADD COLUMN     "severity" TEXT;
