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
