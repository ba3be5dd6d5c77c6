-- AlterTable
ALTER TABLE "role"."delegation" ADD COLUMN     "approval" JSONB,
ADD COLUMN     "status_reason" TEXT;

-- AlterTable
ALTER TABLE "role"."role" ADD COLUMN     "delegation_rules" JSONB;

ALTER TABLE "role"."delegation" DROP CONSTRAINT "delegation_status_check";
ALTER TABLE "role"."delegation" ADD CONSTRAINT "delegation_status_check"
  CHECK ("status" IN ('pending', 'active', 'suspended', 'revoked', 'expired'));

-- What waits or is suspended ends by the clock too.
DROP INDEX "role"."delegation_expiry_idx";
CREATE INDEX "delegation_expiry_idx" ON "role"."delegation"("ends_at") WHERE "status" IN ('pending', 'active', 'suspended');
