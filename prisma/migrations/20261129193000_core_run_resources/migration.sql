-- What a run holds as a whole.
ALTER TABLE "core"."execution" ADD COLUMN IF NOT EXISTS "allocation_id" UUID;
ALTER TABLE "core"."execution" ADD COLUMN IF NOT EXISTS "holds_resources" BOOLEAN NOT NULL DEFAULT false;

-- Whether it was told of a budget that it is near its end.
ALTER TABLE "core"."execution" ADD COLUMN IF NOT EXISTS "warn_at" TIMESTAMPTZ(3);
ALTER TABLE "core"."quota" ADD COLUMN IF NOT EXISTS "warned" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "core"."quota" ADD COLUMN IF NOT EXISTS "exceeded" BOOLEAN NOT NULL DEFAULT false;

-- Connections that wait for a way.
ALTER TABLE "network"."connection" ADD COLUMN IF NOT EXISTS "wait_until" TIMESTAMPTZ(3);
CREATE INDEX IF NOT EXISTS "connection_wait_until_idx" ON "network"."connection"("wait_until") WHERE "wait_until" IS NOT NULL;
