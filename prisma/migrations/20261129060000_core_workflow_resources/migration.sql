-- CreateTable
CREATE TABLE IF NOT EXISTS "core"."operation_time" (
    "tenant_id" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "bucket" INTEGER NOT NULL,
    "count" INTEGER NOT NULL,

    CONSTRAINT "operation_time_pkey" PRIMARY KEY ("tenant_id","operation","day","bucket")
);

-- AlterTable
ALTER TABLE "core"."step_execution" ADD COLUMN IF NOT EXISTS "allocation_id" UUID;

-- AlterTable
ALTER TABLE "core"."allocation" ADD COLUMN IF NOT EXISTS "execution_id" UUID,
ADD COLUMN IF NOT EXISTS "step_id" TEXT;

-- AlterTable
ALTER TABLE "core"."execution" ADD COLUMN IF NOT EXISTS "rule_depth" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN IF NOT EXISTS "rule_chain" TEXT[] NOT NULL DEFAULT '{}';

-- AlterTable
ALTER TABLE "core"."rule" ADD COLUMN IF NOT EXISTS "automatic" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN IF NOT EXISTS "principal" JSONB;

-- Most tenants have none that react by themselves.
CREATE INDEX IF NOT EXISTS "rule_automatic_idx" ON "core"."rule"("tenant_id") WHERE "automatic" AND "enabled";

-- What holders say that they use: vectors as what they asked for.
ALTER TABLE "core"."allocation" ADD COLUMN IF NOT EXISTS "usage_current" DOUBLE PRECISION[],
ADD COLUMN IF NOT EXISTS "usage_peak" DOUBLE PRECISION[],
ADD COLUMN IF NOT EXISTS "usage_integral" DOUBLE PRECISION[],
ADD COLUMN IF NOT EXISTS "usage_ms" DOUBLE PRECISION,
ADD COLUMN IF NOT EXISTS "usage_at" TIMESTAMPTZ(3);
