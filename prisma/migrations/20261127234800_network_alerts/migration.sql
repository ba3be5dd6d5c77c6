-- AlterTable
ALTER TABLE "network"."network" ADD COLUMN     "alerts" JSONB NOT NULL DEFAULT '[]';
