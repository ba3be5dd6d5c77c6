-- AlterTable
ALTER TABLE "network"."network" ADD COLUMN     "approval" JSONB,
ADD COLUMN     "pending" JSONB,
ADD COLUMN     "refusal" TEXT;

-- AlterTable
ALTER TABLE "network"."run" ADD COLUMN     "refusal" TEXT,
ADD COLUMN     "state" TEXT NOT NULL DEFAULT 'computed';

-- Runs of before were applied or not.
UPDATE "network"."run" SET "state" = 'applied' WHERE "applied_at" IS NOT NULL;

-- CreateTable
CREATE TABLE "core"."uptime" (
    "tenant_id" TEXT NOT NULL,
    "component" TEXT NOT NULL,
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "looks" INTEGER NOT NULL,
    "up" INTEGER NOT NULL,

    CONSTRAINT "uptime_pkey" PRIMARY KEY ("tenant_id","component","hour")
);
