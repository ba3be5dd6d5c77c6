-- AlterTable
ALTER TABLE "confirm"."confirm" ADD COLUMN     "attempt" INTEGER NOT NULL DEFAULT 1,
ADD COLUMN     "conditions" JSONB,
ADD COLUMN     "resubmission_of" UUID;

-- Who is responsible for a condition that is still open.
CREATE INDEX "confirm_conditions_idx" ON "confirm"."confirm" USING gin ("conditions" jsonb_path_ops) WHERE "conditions" IS NOT NULL;
