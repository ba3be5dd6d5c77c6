-- AlterTable
ALTER TABLE "collab"."collaboration" ADD COLUMN     "max_duration_ms" DOUBLE PRECISION;

-- AlterTable
ALTER TABLE "collab"."task" ADD COLUMN     "helpers" JSONB NOT NULL DEFAULT '[]';
