-- AlterTable
ALTER TABLE "platform"."delivery" ADD COLUMN     "fault" TEXT,
ADD COLUMN     "priority" SMALLINT NOT NULL DEFAULT 1;

-- AlterTable
ALTER TABLE "platform"."event_subscription" ADD COLUMN     "batch_wait_ms" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "headers" JSONB,
ADD COLUMN     "module" TEXT;

-- Whether anything that waits is more or less urgent than the rest.
CREATE INDEX "delivery_urgent_idx" ON "platform"."delivery"("tenant_id", "subscription_id", "partition") WHERE "status" IN ('pending', 'sent') AND "priority" <> 1;
