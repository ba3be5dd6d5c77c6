-- AlterTable
ALTER TABLE "role"."role" ADD COLUMN     "begun_at" TIMESTAMPTZ(3),
ADD COLUMN     "next_review_at" TIMESTAMPTZ(3),
ADD COLUMN     "review_every_days" INTEGER,
ADD COLUMN     "review_told_at" TIMESTAMPTZ(3),
ADD COLUMN     "reviewed_at" TIMESTAMPTZ(3),
ADD COLUMN     "reviewed_by" TEXT;

-- What is in force already was told long ago.
UPDATE "role"."role" SET "begun_at" = "effective_at" WHERE "effective_at" <= now();

ALTER TABLE "role"."role" ADD CONSTRAINT "role_review_check" CHECK ("review_every_days" > 0);

CREATE INDEX "role_over_idx" ON "role"."role"("expires_at") WHERE "status" IN ('active', 'suspended', 'deprecated') AND "deleted_at" IS NULL;
CREATE INDEX "role_begin_idx" ON "role"."role"("effective_at") WHERE "begun_at" IS NULL AND "deleted_at" IS NULL;
CREATE INDEX "role_review_idx" ON "role"."role"("next_review_at") WHERE "review_told_at" IS NULL AND "deleted_at" IS NULL;
