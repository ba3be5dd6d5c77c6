-- AlterTable
ALTER TABLE "platform"."alert_rule" ADD COLUMN     "match" TEXT NOT NULL DEFAULT 'any';
